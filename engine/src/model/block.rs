//! A decoder block: x + attention(norm x), then x + feed-forward(norm x).

use std::sync::Arc;

use candle_core::Tensor;

use super::batch::Context;
use super::cache::LayerCache;
use crate::Result;
use crate::autograd::{Param, Segment, Tape, Var};
use crate::kernel::attention::{self as kernel, Heads, Segment as Range, Span};
use crate::kernel::uninit;
use crate::ops::{AttentionSpec, Projection, attention};
use crate::tensor::{from_vec, mutate, view};

/// Parts of a block; each [`Projection`] carries the norm or activation in front of it.
#[derive(Debug, Clone)]
pub struct Block {
    pub qkv: Arc<Projection>,
    pub attention: AttentionSpec,
    pub output: Arc<Projection>,
    pub gate_up: Arc<Projection>,
    pub down: Arc<Projection>,
}

impl Block {
    pub fn projections(&self) -> [&Arc<Projection>; 4] {
        [&self.qkv, &self.output, &self.gate_up, &self.down]
    }

    pub fn projections_mut(&mut self) -> [&mut Arc<Projection>; 4] {
        [&mut self.qkv, &mut self.output, &mut self.gate_up, &mut self.down]
    }

    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.projections().into_iter().flat_map(|projection| projection.params())
    }

    /// The block over whole sequences.
    pub fn forward(&self, tape: &Tape, x: Var, context: &Context) -> Result<Var> {
        let qkv = self.qkv.forward(tape, x.clone(), None, context.dropout)?;
        let mixed = attention(tape, &self.attention, qkv, &context.rotation, &context.spans)?;
        let x = self.output.forward(tape, mixed, Some(&x), context.dropout)?;
        self.feed_forward(tape, x, context)
    }

    fn feed_forward(&self, tape: &Tape, x: Var, context: &Context) -> Result<Var> {
        let gate_up = self.gate_up.forward(tape, x.clone(), None, context.dropout)?;
        self.down.forward(tape, gate_up, Some(&x), context.dropout)
    }

    /// The block over new rows of one sequence, whose earlier keys and values are in `cache`.
    pub fn extend(&self, x: Tensor, context: &Context, cache: &mut LayerCache) -> Result<Tensor> {
        let tape = Tape::off();
        let x = Var::constant(x);
        let qkv = self.qkv.forward(&tape, x.clone(), None, None)?.tensor;
        mutate(&qkv, |qkv| self.attention.rotate(qkv, &context.rotation, false))?;
        let mixed = self.attend(&qkv, cache)?;
        let x = self.output.forward(&tape, Var::constant(mixed), Some(&x), None)?;
        Ok(self.feed_forward(&tape, x, context)?.tensor)
    }

    /// Appends the new keys and values and attends over all.
    fn attend(&self, qkv: &Tensor, cache: &mut LayerCache) -> Result<Tensor> {
        let shape = self.attention.shape;
        let (rows, stride) = (qkv.dims()[0], self.attention.width());
        let (q, kv) = (shape.query_width(), shape.kv_width());
        let data = view(qkv)?;
        let data = data.f32()?;
        for row in data.chunks_exact(stride) {
            cache.keys.extend_from_slice(&row[q..q + kv]);
            cache.values.extend_from_slice(&row[q + kv..]);
        }
        let keys = Span { start: 0, len: cache.keys.len() / kv };
        let range = Range { queries: Span { start: 0, len: rows }, keys };
        let cached = |data| Heads { data, stride: kv, start: 0 };
        let heads = (Heads { data, stride, start: 0 }, cached(&cache.keys), cached(&cache.values));
        let mut out = uninit(rows * q);
        kernel::forward(shape, &[range], heads, &mut out, None);
        from_vec(out, (rows, q))
    }
}

/// A block within a pass, as a stretch that can be run again.
pub struct BlockInPass {
    pub block: Arc<Block>,
    pub context: Arc<Context>,
}

impl Segment for BlockInPass {
    fn run(&self, tape: &Tape, input: Var) -> Result<Var> {
        self.block.forward(tape, input, &self.context)
    }
}
