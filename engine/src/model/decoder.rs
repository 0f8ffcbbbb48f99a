//! The decoder: token table, blocks, head.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::batch::{Batch, Context};
use super::block::{Block, BlockInPass};
use super::cache::{Cache, LayerCache};
use super::noise::Noise;
use crate::Result;
use crate::autograd::{Param, Tape, Var, checkpoint};
use crate::families::DecoderSpec;
use crate::families::spec::AttentionKind;
use crate::kernel::attention::Span;
use crate::ops::elementwise::normalise;
use crate::ops::{Balance, Dropout, Embedding, Head, Norm, Rotation};

/// A model in memory.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub spec: DecoderSpec,
    pub embedding: Embedding,
    pub embedding_norm: Option<Arc<Norm>>,
    pub blocks: Vec<Arc<Block>>,
    pub head: Head,
}

/// How a forward pass is run.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// Keep only the blocks' inputs and run them again in the backward pass.
    pub checkpointing: bool,
    /// Seed of the dropout masks; none in evaluation.
    pub dropout: Dropout,
    /// Some models stretch positions in evaluation only.
    pub training: bool,
    /// The routers' auxiliary loss, if it is wanted.
    pub balance: Option<Arc<Balance>>,
    /// Noise on the embeddings.
    pub noise: Option<Noise>,
}

impl Decoder {
    /// Hidden states [tokens, hidden] before the final norm.
    pub fn hidden(&self, tape: &Tape, batch: &Batch, pass: Pass) -> Result<Var> {
        let lengths = Lengths::of(batch, pass.training);
        let context = Arc::new(Context {
            rotations: self.rotations(&batch.positions, &lengths),
            spans: batch.spans.clone(),
            dropout: pass.dropout,
            balance: pass.balance,
        });
        let mut x = self.embed(tape, &batch.ids, &batch.positions, pass.noise)?;
        for block in &self.blocks {
            x = if pass.checkpointing && tape.is_recording() {
                let segment = BlockInPass { block: block.clone(), context: context.clone() };
                checkpoint(tape, Arc::new(segment), x)?
            } else {
                block.forward(tape, x, &context)?
            };
        }
        Ok(x)
    }

    /// Appends tokens to a sequence and answers with their hidden states [ids, hidden].
    pub fn extend(&self, cache: &mut Cache, ids: &[u32]) -> Result<Tensor> {
        cache.layers.resize_with(self.blocks.len(), LayerCache::default);
        if cache.len == 0 {
            cache.prompt = ids.len();
        }
        let positions: Vec<u32> = (cache.len as u32..(cache.len + ids.len()) as u32).collect();
        // Frequencies that depend on the sequence's length stay those of the prompt.
        let lengths = Lengths { spans: vec![(Span::new(0, ids.len()), cache.prompt)], training: false };
        let context = Context { rotations: self.rotations(&positions, &lengths), ..Context::default() };
        let mut x = self.embed(&Tape::off(), ids, &positions, None)?.tensor;
        for (block, cache) in self.blocks.iter().zip(&mut cache.layers) {
            x = block.extend(x, &context, cache)?;
        }
        cache.len += ids.len();
        Ok(x)
    }

    fn embed(&self, tape: &Tape, ids: &[u32], positions: &[u32], noise: Option<Noise>) -> Result<Var> {
        let mut x = self.embedding.forward(tape, ids, positions)?;
        if let Some(noise) = noise {
            x.tensor = noise.add(&x.tensor)?;
        }
        match &self.embedding_norm {
            Some(norm) => normalise(tape, norm, &x),
            None => Ok(x),
        }
    }

    /// Angles of the given positions for each of the spec's rotations, and one that rotates nothing.
    fn rotations(&self, positions: &[u32], lengths: &Lengths) -> Vec<Rotation> {
        let longest = positions.iter().max().map_or(0, |position| *position as usize + 1);
        let factors = self.query_factors(positions, lengths);
        let mut rotations: Vec<Rotation> = Vec::new();
        for rope in &self.spec.ropes {
            let (mut cos, mut sin) = (Vec::new(), Vec::new());
            let mut add = |positions: &[u32], length: usize| {
                let (frequencies, factor) = rope.frequencies(length);
                for angle in positions.iter().flat_map(|p| frequencies.iter().map(move |f| *p as f32 * f)) {
                    let (s, c) = (angle as f64).sin_cos();
                    cos.push(c as f32 * factor);
                    sin.push(s as f32 * factor);
                }
            };
            if !rope.is_per_sequence() {
                add(positions, longest);
            } else {
                for (span, length) in &lengths.spans {
                    let length = if lengths.training { 0 } else { *length };
                    add(&positions[span.start..span.start + span.len], length);
                }
            }
            rotations.push(Rotation {
                cos: Arc::new(cos),
                sin: Arc::new(sin),
                query_factors: factors.clone(),
            });
        }
        rotations.push(Rotation { query_factors: factors, ..Rotation::default() });
        rotations
    }

    /// Qwen 1's log-n scaling: the logarithm of a token's place, padding counted, to the base of the trained
    /// length, where that is above one.
    fn query_factors(&self, positions: &[u32], lengths: &Lengths) -> Option<Arc<Vec<f32>>> {
        let AttentionKind::Heads(heads) = &self.spec.attention else { return None };
        let trained = heads.log_n.filter(|_| !lengths.training)? as f64;
        let places = lengths.spans.iter().flat_map(|(span, _)| {
            let first = positions.get(span.start).map_or(0, |position| *position as usize);
            first + 1..=first + span.len
        });
        Some(Arc::new(places.map(|place| ((place as f64).ln() / trained.ln()).max(1.0) as f32).collect()))
    }

    /// All parameters, in checkpoint order, each once.
    pub fn params(&self) -> Vec<Arc<Param>> {
        let mut params: Vec<Arc<Param>> = self.embedding.params().cloned().collect();
        params.extend(self.embedding_norm.iter().flat_map(|norm| norm.params().cloned()));
        params.extend(self.blocks.iter().flat_map(|block| block.params().cloned()));
        params.extend(self.head.params().cloned());
        let mut seen = std::collections::BTreeSet::new();
        params.retain(|param| seen.insert(param.id));
        params
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.embedding.tokens.tensor.device()
    }

    /// Tensors that are stored with the model but are no parameters.
    pub fn buffers(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.blocks.iter().filter_map(|block| block.feed_forward.buffers())
    }

    /// Parameters of experts: of a small batch, some may not be part of the computation.
    pub fn expert_params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.blocks.iter().flat_map(|block| block.feed_forward.expert_params())
    }

    pub fn trainable(&self) -> Vec<Arc<Param>> {
        self.params().into_iter().filter(|param| param.trainable).collect()
    }
}

/// What models need to know whose frequencies depend on each sequence's length.
struct Lengths {
    spans: Vec<(Span, usize)>,
    training: bool,
}

impl Lengths {
    fn of(batch: &Batch, training: bool) -> Lengths {
        let spans = batch.spans.iter().map(|span| (*span, span.len - span.padding - span.trailing)).collect();
        Lengths { spans, training }
    }
}
