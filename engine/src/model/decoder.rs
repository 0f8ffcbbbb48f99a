//! The decoder: token table, blocks, head.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::batch::{Batch, Context};
use super::block::{Block, BlockInPass};
use super::cache::{Cache, LayerCache};
use super::feed_forward::RouterLogits;
use super::noise::Noise;
use crate::autograd::{Param, Tape, Var, checkpoint};
use crate::families::DecoderSpec;
use crate::families::spec::AttentionKind;
use crate::kernel::attention::Span;
use crate::ops::elementwise::normalise;
use crate::ops::{Balance, Dropout, Embedding, Head, Norm, Rotation, Weight};
use crate::{Error, Result};

/// Rows of a sequence being generated that are computed at once: bounds the memory of a long prompt.
const ROWS: usize = 512;

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
    /// Receives the routers' logits, if they are wanted.
    pub router_logits: Option<Arc<RouterLogits>>,
}

impl Pass {
    /// The same for a part of a batch, whose rows draw masks and noise of their own.
    pub(super) fn of_part(&self, index: usize) -> Pass {
        let other = |seed: u64| seed ^ (index as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let noise = self.noise.map(|noise| Noise { seed: other(noise.seed), ..noise });
        Pass { dropout: self.dropout.map(other), noise, ..self.clone() }
    }
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
            router_logits: pass.router_logits,
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

    /// Appends tokens to a sequence and answers with the last one's hidden state [1, hidden].
    pub fn extend(&self, cache: &mut Cache, ids: &[u32]) -> Result<Tensor> {
        let longest = cache.ids.len() + ids.len();
        if self.spec.ropes.iter().any(|rope| rope.switches(cache.ids.len(), longest)) {
            // What is cached was rotated by the frequencies for short texts: it is computed again, as in Phi-3.
            let all = [&cache.ids, ids].concat();
            *cache = Cache::default();
            return self.extend(cache, &all);
        }
        cache.layers.resize_with(self.blocks.len(), LayerCache::default);
        if cache.ids.is_empty() {
            cache.prompt = ids.len();
        }
        let mut last = None;
        for part in ids.chunks(ROWS) {
            last = Some(self.extend_by_part(cache, part, longest)?);
        }
        let last = last.ok_or_else(|| Error::Training("a sequence was extended by nothing".to_owned()))?;
        Ok(last.narrow(0, last.dims()[0] - 1, 1)?.contiguous()?)
    }

    /// The same by a part of the tokens after which the sequence is `longest` long.
    fn extend_by_part(&self, cache: &mut Cache, ids: &[u32], longest: usize) -> Result<Tensor> {
        let past = cache.ids.len() as u32;
        let positions: Vec<u32> = (past..past + ids.len() as u32).collect();
        // Frequencies that depend on each sequence's own length stay those of the prompt.
        let spans = vec![(Span::new(0, ids.len()), cache.prompt)];
        let lengths = Lengths { spans, longest, training: false };
        let context = Context { rotations: self.rotations(&positions, &lengths), ..Context::default() };
        let mut x = self.embed(&Tape::off(), ids, &positions, None)?.tensor;
        for (block, cache) in self.blocks.iter().zip(&mut cache.layers) {
            x = block.extend(x, &context, cache)?;
        }
        cache.ids.extend_from_slice(ids);
        Ok(x)
    }

    fn embed(&self, tape: &Tape, ids: &[u32], positions: &[u32], noise: Option<Noise>) -> Result<Var> {
        let mut x = self.embedding.forward(tape, ids, positions)?;
        if let Some(noise) = noise {
            x.tensor = noise.added_to(&x.tensor)?;
        }
        match &self.embedding_norm {
            Some(norm) => normalise(tape, norm, &x),
            None => Ok(x),
        }
    }

    /// Angles of the given positions for each of the spec's rotations, and one that rotates nothing.
    fn rotations(&self, positions: &[u32], lengths: &Lengths) -> Vec<Rotation> {
        let factors = self.query_factors(positions, lengths);
        let mut rotations: Vec<Rotation> = Vec::new();
        for rope in &self.spec.ropes {
            let mut angles: (Vec<f32>, Vec<f32>) = Default::default();
            let mut add = |positions: &[u32], length: usize| {
                let (frequencies, factor) = rope.frequencies(length);
                let angle = |frequency: &f32, position: &u32| {
                    let (sin, cos) = ((*position as f32 * frequency) as f64).sin_cos();
                    (cos as f32 * factor, sin as f32 * factor)
                };
                angles.par_extend(
                    positions
                        .par_iter()
                        .with_min_len(64)
                        .flat_map_iter(|position| frequencies.iter().map(move |f| angle(f, position))),
                );
            };
            if !rope.is_per_sequence() {
                add(positions, lengths.longest);
            } else {
                for (span, length) in &lengths.spans {
                    let length = if lengths.training { 0 } else { *length };
                    add(&positions[span.start..span.start + span.len], length);
                }
            }
            let (cos, sin) = angles;
            rotations.push(Rotation {
                cos: Arc::new(cos),
                sin: Arc::new(sin),
                query_factors: factors.clone(),
            });
        }
        rotations.push(Rotation { query_factors: factors, ..Rotation::default() });
        rotations
    }

    /// Whether a part of a batch for training, computed alone, has the frequencies that it has in the batch.
    pub(super) fn rotates_alike(&self, part: &Batch, batch: &Batch) -> bool {
        let [part, batch] = [part, batch].map(|batch| Lengths::of(batch, true).longest);
        let mut ropes = self.spec.ropes.iter().filter(|rope| !rope.is_per_sequence());
        part == batch || ropes.all(|rope| rope.frequencies(part) == rope.frequencies(batch))
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

    /// Weights that stay quantised, each once under the name of its first module.
    pub fn quantised(&self) -> Vec<(&str, &Weight)> {
        let table = &self.embedding.tokens;
        let table = table.param().is_none().then_some((self.spec.embedding.table, table));
        let blocks = self.blocks.iter().flat_map(|block| block.quantised());
        let mut all: Vec<_> = table.into_iter().chain(blocks).chain(self.head.linear.quantised()).collect();
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|(_, weight)| seen.insert(weight.identity()));
        all
    }

    /// Elements of all weights, those of quantised ones as if they were dense, which is how PEFT counts them.
    pub fn elements(&self) -> u64 {
        let params = self.params().into_iter().map(|param| param.len());
        params.chain(self.quantised().iter().map(|(_, weight)| weight.len())).map(|count| count as u64).sum()
    }

    /// Bytes that all weights take in memory.
    pub fn bytes(&self) -> usize {
        let params = self.params().into_iter().map(|param| Weight::from(param).bytes());
        params.chain(self.quantised().iter().map(|(_, weight)| weight.bytes())).sum()
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.embedding.tokens.device()
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

/// What models need to know whose frequencies depend on lengths.
struct Lengths {
    /// Each sequence's rows, and its length.
    spans: Vec<(Span, usize)>,
    /// The largest position of all, counted from one.
    longest: usize,
    training: bool,
}

impl Lengths {
    fn of(batch: &Batch, training: bool) -> Lengths {
        let spans = batch.spans.iter().map(|span| (*span, span.len - span.padding - span.trailing)).collect();
        let longest = batch.positions.iter().max().map_or(0, |position| *position as usize + 1);
        Lengths { spans, longest, training }
    }
}

#[cfg(test)]
pub(super) mod tests;
