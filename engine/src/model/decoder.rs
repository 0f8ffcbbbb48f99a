//! The decoder: token table, blocks, head.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::attention::Past;
use super::batch::{Batch, Context};
use super::block::{Block, BlockInPass};
use super::cache::{Cache, NewRows, SequenceId};
use super::feed_forward::RouterLogits;
use super::noise::Noise;
use super::shifted::ShiftedSpans;
use crate::Result;
use crate::autograd::{Active, Param, Tape, Var, checkpoint};
use crate::families::DecoderSpec;
use crate::families::spec::AttentionKind;
use crate::kernel::attention::Span;
use crate::ops::elementwise::normalise;
use crate::ops::{
    Balance, Dropout, Embedding, Head, HeadOutput, Mode, Norm, Rotation, Targets, Update, Updates, Weight,
};

/// A model in memory. Clones share its weights.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// What it is made after.
    pub spec: DecoderSpec,
    /// The token table.
    pub embedding: Embedding,
    /// The norm of the looked-up rows, where there is one.
    pub embedding_norm: Option<Arc<Norm>>,
    /// In the order in which they are gone through.
    pub blocks: Vec<Arc<Block>>,
    /// Final norm and output matrix.
    pub head: Head,
    /// What passes compute beside the weights.
    pub adapter: Arc<Updates>,
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
    /// Heads see groups of a sequence alone (LongLoRA).
    pub shifts: bool,
    /// The routers' auxiliary loss, if it is wanted.
    pub balance: Option<Arc<Balance>>,
    /// Noise on the embeddings.
    pub noise: Option<Noise>,
    /// Receives the routers' logits, if they are wanted.
    pub router_logits: Option<Arc<RouterLogits>>,
    /// What trains in this step; nothing is recorded below the first of it.
    pub active: Active,
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
    ///
    /// # Errors
    /// If an operation fails.
    pub fn hidden(&self, tape: &Tape, batch: &Batch, pass: Pass) -> Result<Var> {
        let lengths = Lengths::of(batch, pass.training);
        let context = Arc::new(Context {
            rotations: self.rotations(&batch.positions, &lengths),
            spans: batch.spans.clone(),
            groups: pass.shifts.then(|| ShiftedSpans::of(&batch.spans)),
            mode: self.mode(pass.dropout),
            balance: pass.balance,
            router_logits: pass.router_logits,
        });
        let (first, below) = (self.first_active(&pass.active), Tape::off());
        let tape_of = |part: usize| if part < first { &below } else { tape };
        let mut x = self.embed(tape_of(0), &batch.ids, &batch.positions, pass.noise)?;
        for (block, part) in self.blocks.iter().zip(1..) {
            let tape = tape_of(part);
            x = if pass.checkpointing && tape.is_recording() {
                let segment = BlockInPass { block: block.clone(), context: context.clone() };
                checkpoint(tape, Arc::new(segment), x)?
            } else {
                block.forward(tape, x, &context)?
            };
        }
        Ok(x)
    }

    /// The first part with anything that trains: 0 for the embedding, then the blocks.
    fn first_active(&self, active: &Active) -> usize {
        let Some(active) = active else { return 0 };
        let is_active = |param: &Arc<Param>| active.contains(&param.id);
        let mut embedding =
            self.embedding.params().chain(self.embedding_norm.iter().flat_map(|norm| norm.params()));
        if embedding.any(is_active) {
            return 0;
        }
        1 + self.blocks.iter().take_while(|block| !block.params().any(is_active)).count()
    }

    /// The same weights with another adapter beside them, or with an empty one as they are.
    pub fn with_adapter(&self, adapter: Arc<Updates>) -> Decoder {
        Decoder { adapter, ..self.clone() }
    }

    /// How passes compute: with this model's adapter, and with masks of the given seed.
    pub(crate) fn mode(&self, dropout: Dropout) -> Mode {
        Mode { updates: self.adapter.clone(), dropout }
    }

    /// Logits [rows, vocab] of the given rows of the hidden states.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn logits(&self, hidden: &Tensor, rows: &[u32]) -> Result<Vec<f32>> {
        self.head.logits(hidden, rows, &self.mode(None))
    }

    /// Losses of labels, without gradients and masks.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn losses<'t>(&self, hidden: &Tensor, targets: impl Into<Targets<'t>>) -> Result<HeadOutput> {
        self.head.loss(hidden, targets, &self.mode(None))
    }

    /// An empty cache for sequences of this model.
    pub fn cache(&self) -> Cache {
        let shapes: Vec<_> = self.blocks.iter().map(|block| block.attention.spec.shape).collect();
        Cache::new(&shapes, self.spec.ropes.clone())
    }

    /// Computes the next tokens of several sequences in one pass, and answers with the hidden state of the last one of
    /// each [sequences, hidden]: `parts` says of which sequences, and how many of the tokens that wait in the cache.
    ///
    /// Rows of all go through projections together, so that weights are read once for all; only attention is each
    /// one's own. The cache holds the tokens, not the caller: whatever the parts that a prompt is computed in, it is
    /// rotated by its whole length, and a sequence that outgrows its frequencies waits as a whole again.
    ///
    /// # Errors
    /// If a sequence is not in the cache, or has not so many tokens waiting; or if the device fails, after which the
    /// sequences of this pass cannot go on.
    pub fn extend(&self, cache: &mut Cache, parts: &[(SequenceId, usize)]) -> Result<Tensor> {
        let NewRows { ids, positions, extensions, lengths } = cache.prepare(parts)?;
        let spans = extensions.iter().map(|extension| Span::new(extension.start, extension.len));
        let spans = spans.zip(lengths).map(|(span, (own, longest))| Stretch { span, own, longest }).collect();
        let lengths = Lengths { spans, training: false };
        let rotations = self.rotations(&positions, &lengths);
        let context = Context { rotations, mode: self.mode(None), ..Context::default() };
        let mut x = self.embed(&Tape::off(), &ids, &positions, None)?.tensor;
        for (block, cache) in self.blocks.iter().zip(&mut cache.layers) {
            x = block.extend(x, &context, Past { cache, extensions: &extensions })?;
        }
        cache.advance(parts);
        if ids.len() == extensions.len() {
            return Ok(x);
        }
        let last = extensions.iter().map(|extension| (extension.start + extension.len - 1) as u32);
        let last = Tensor::from_iter(last, x.device())?;
        Ok(x.index_select(&last, 0)?)
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
            let length = |stretch: &Stretch| match (rope.is_per_sequence(), lengths.training) {
                (false, _) => stretch.longest,
                (true, true) => 0,
                (true, false) => stretch.own,
            };
            for alike in lengths.spans.chunk_by(|a, b| length(a) == length(b)) {
                let rows =
                    alike[0].span.start..alike.last().map_or(0, |last| last.span.start + last.span.len);
                add(&positions[rows], length(&alike[0]));
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
        let [part, batch] = [part, batch].map(longest);
        let mut ropes = self.spec.ropes.iter().filter(|rope| !rope.is_per_sequence());
        part == batch || ropes.all(|rope| rope.frequencies(part) == rope.frequencies(batch))
    }

    /// Qwen 1's log-n scaling: the logarithm of a token's place, padding counted, to the base of the trained
    /// length, where that is above one.
    fn query_factors(&self, positions: &[u32], lengths: &Lengths) -> Option<Arc<Vec<f32>>> {
        let AttentionKind::Heads(heads) = &self.spec.attention else { return None };
        let trained = heads.log_n.filter(|_| !lengths.training)? as f64;
        let places = lengths.spans.iter().flat_map(|Stretch { span, .. }| {
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
        params.extend(self.adapter.params().cloned());
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

    /// Names of all tensors that a checkpoint of the model has.
    pub fn names(&self) -> Vec<String> {
        let params = self.params().into_iter().chain(self.buffers().cloned());
        let quantised = self.quantised().into_iter().map(|(module, _)| format!("{module}.weight"));
        params.map(|param| param.name.clone()).chain(quantised).collect()
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

    /// Parameters of experts, and of blocks that some tokens go through: of a small batch, the loss of some may be none.
    pub fn sparse_params(&self) -> Vec<&Arc<Param>> {
        let mut found = Vec::new();
        for block in &self.blocks {
            let mut projections = block.feed_forward.expert_projections();
            if block.router.is_some() {
                found.extend(block.params());
                projections = block.projections();
            }
            for projection in projections {
                let updates = projection.linears.iter().filter_map(|linear| self.adapter.get(&linear.name));
                found.extend(projection.params().chain(updates.flat_map(Update::params)));
            }
        }
        found
    }

    /// The parameters that train, in checkpoint order.
    pub fn trainable(&self) -> Vec<Arc<Param>> {
        self.params().into_iter().filter(|param| param.trainable).collect()
    }
}

/// What models need to know whose frequencies depend on lengths.
struct Lengths {
    /// Of all sequences, which lie end to end.
    spans: Vec<Stretch>,
    training: bool,
}

/// Rows of a sequence.
struct Stretch {
    span: Span,
    /// The sequence's length.
    own: usize,
    /// The largest position, counted from one, of those that have the same frequencies.
    longest: usize,
}

impl Lengths {
    fn of(batch: &Batch, training: bool) -> Lengths {
        let longest = longest(batch);
        let length = |span: &Span| span.len - span.padding - span.trailing;
        let spans =
            batch.spans.iter().map(|span| Stretch { span: *span, own: length(span), longest }).collect();
        Lengths { spans, training }
    }
}

/// The largest position of a batch, counted from one.
fn longest(batch: &Batch) -> usize {
    batch.positions.iter().max().map_or(0, |position| *position as usize + 1)
}

#[cfg(test)]
pub(crate) mod tests;
