//! Attention, all heads of a sequence at once, a block of queries at a time: scores never exist beyond a block.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::{softmax, take_columns};
use crate::Result;
use crate::autograd::{Backward, Gradients, Tape, Var, Weights, gradients};
use crate::kernel::attention::{Columns, PAGE, Slope, Span};
use crate::ops::{AttentionSpec, Extension, Pages, Rotation};

/// Floats of scores in a block; few in tests, so that they see several blocks.
const BLOCK_FLOATS: usize = if cfg!(test) { 32 << 10 } else { 16 << 20 };

/// What stands for −∞: a row that sees nothing gets even weights, as in the reference.
const UNSEEN: f32 = -1e30;

/// Consecutive queries and the keys that they may see.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// First row of the queries, and how many.
    row: usize,
    size: usize,
    /// Position of the first query in its sequence.
    position: usize,
    /// First key row, its position, and how many keys.
    key_row: usize,
    low: usize,
    keys: usize,
    span: Span,
}

/// The blocks of the last `queries` positions of a sequence whose keys are the rows of `span`; queries begin at
/// row `row`.
fn blocks(spec: &AttentionSpec, (row, queries): (usize, usize), span: Span) -> Vec<Block> {
    let past = span.len - queries;
    let step = (BLOCK_FLOATS / (spec.shape.heads * span.len.max(1))).max(16);
    let padded = span.padding + span.trailing > 0;
    let block = |start: usize| {
        let (size, position) = (step.min(queries - start), past + start);
        // Padding may see any key.
        let (low, end) = match spec.shape.window {
            _ if padded => (0, span.len),
            Some(window) => ((position + 1).saturating_sub(window), position + size),
            None => (0, position + size),
        };
        Block { row: row + start, size, position, key_row: span.start + low, low, keys: end - low, span }
    };
    (0..queries).step_by(step).map(block).collect()
}

impl Block {
    /// What is added to the scores [heads or 1, queries, keys]: linear biases, and −∞ where a key is not seen.
    fn bias(&self, spec: &AttentionSpec, like: &Tensor) -> Result<Tensor> {
        let device = like.device();
        let range = |start: usize, len: usize| Tensor::arange(start as f32, (start + len) as f32, device);
        let queries = range(self.position, self.size)?.unsqueeze(1)?;
        let keys = range(self.low, self.keys)?.unsqueeze(0)?;
        let distance = keys.broadcast_sub(&queries)?;
        let mut seen = distance.le(0.0)?;
        if let Some(window) = spec.shape.window {
            seen = (seen * distance.gt(-(window as f64))?)?;
        }
        let Span { padding, trailing, len, .. } = self.span;
        if padding > 0 {
            seen = seen.broadcast_mul(&keys.ge(padding as f64)?)?;
        }
        if trailing > 0 {
            seen = seen.broadcast_mul(&keys.lt((len - trailing) as f64)?)?;
        }
        let unseen = Tensor::full(UNSEEN, distance.shape(), device)?;
        let Some(slopes) = &spec.slopes else {
            return Ok(seen.where_cond(&unseen.zeros_like()?, &unseen)?.unsqueeze(0)?);
        };
        let biases = self.linear(slopes, &keys, &distance)?;
        let shape = biases.shape();
        let (seen, unseen) =
            (seen.unsqueeze(0)?.broadcast_as(shape)?, unseen.unsqueeze(0)?.broadcast_as(shape)?);
        Ok(seen.contiguous()?.where_cond(&biases.contiguous()?, &unseen.contiguous()?)?)
    }

    /// Linear biases [heads, queries, keys].
    fn linear(&self, slopes: &[Slope], keys: &Tensor, distance: &Tensor) -> Result<Tensor> {
        let values: Vec<f32> = slopes.iter().map(|slope| slope.slope).collect();
        let values = Tensor::from_slice(&values, (slopes.len(), 1, 1), keys.device())?;
        let Some(factor) = slopes.first().and_then(|slope| slope.rounded) else {
            return Ok(values.broadcast_mul(&distance.unsqueeze(0)?)?);
        };
        let round = |x: Tensor| x.to_dtype(DType::BF16)?.to_dtype(DType::F32);
        let positions = round((keys - self.span.padding as f64)?.relu()?)?;
        let biases = (round(values.broadcast_mul(&positions.unsqueeze(0)?)?)? * f64::from(factor))?;
        Ok(biases.broadcast_as((slopes.len(), self.size, self.keys))?)
    }

    /// Rows of queries, keys and values that take part.
    fn part(&self, [q, k, v]: [&Tensor; 3]) -> Result<[Tensor; 3]> {
        let keys = |x: &Tensor| x.narrow(1, self.key_row, self.keys)?.contiguous();
        Ok([q.narrow(1, self.row, self.size)?.contiguous()?, keys(k)?, keys(v)?])
    }

    /// softmax(scores)·v [heads, queries, value dim] of what [`Block::part`] gives.
    fn mix(&self, spec: &AttentionSpec, [q, k, v]: [&Tensor; 3], bias: &Tensor) -> Result<Tensor> {
        let shape = spec.shape;
        // The queries of a group of heads meet the same keys.
        let grouped = shape.group() * self.size;
        let q = q.reshape((shape.kv_heads, grouped, shape.head_dim))?;
        let mut scores = (q.matmul(&k.t()?)? * f64::from(shape.scale))?;
        if let Some(cap) = shape.cap {
            scores = ((scores / f64::from(cap))?.tanh()? * f64::from(cap))?;
        }
        let scores = scores.reshape((shape.heads, self.size, self.keys))?.broadcast_add(bias)?;
        let weights = softmax(&scores)?.reshape((shape.kv_heads, grouped, self.keys))?;
        Ok(weights.matmul(v)?.reshape((shape.heads, self.size, shape.value_dim))?)
    }
}

/// Rotated queries [heads, rows, dim] and keys [kv heads, rows, dim], and values [kv heads, rows, value dim], of
/// rows of all three.
fn heads(spec: &AttentionSpec, qkv: &Tensor, rotation: &Rotation) -> Result<[Tensor; 3]> {
    let (shape, rows) = (spec.shape, qkv.dims()[0]);
    let part = |columns: Columns, count: usize, dim: usize| -> Result<Tensor> {
        let starts: Vec<usize> = (0..count).map(|head| columns.of(head)).collect();
        Ok(take_columns(qkv, &starts, dim)?.reshape((rows, count, dim))?)
    };
    let [q, k, v] = spec.columns;
    let mut q = turn(spec, &part(q, shape.heads, shape.head_dim)?, rotation)?;
    if let Some(factors) = &rotation.query_factors {
        q = q.broadcast_mul(&Tensor::from_slice(factors, (rows, 1, 1), qkv.device())?)?;
    }
    let k = turn(spec, &part(k, shape.kv_heads, shape.head_dim)?, rotation)?;
    let v = part(v, shape.kv_heads, shape.value_dim)?;
    let by_head = |x: Tensor| x.transpose(0, 1)?.contiguous();
    Ok([by_head(q)?, by_head(k)?, by_head(v)?])
}

/// Rotates heads [rows, heads, dim].
fn turn(spec: &AttentionSpec, x: &Tensor, rotation: &Rotation) -> Result<Tensor> {
    let rotary = spec.rotary;
    let (rows, heads, dim) = x.dims3()?;
    let half = rotary.dim / 2;
    if half == 0 {
        return Ok(x.clone());
    }
    let angles = |values: &[f32]| Tensor::from_slice(values, (rows, 1, half), x.device());
    let (cos, sin) = (angles(&rotation.cos)?, angles(&rotation.sin)?);
    let end = rotary.start + rotary.dim;
    let turned = x.narrow(2, rotary.start, rotary.dim)?;
    let (low, high) = if rotary.interleaved {
        let pairs = turned.reshape((rows, heads, half, 2))?;
        (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
    } else {
        (turned.narrow(2, 0, half)?, turned.narrow(2, half, half)?)
    };
    let new_low = (low.broadcast_mul(&cos)? - high.broadcast_mul(&sin)?)?;
    let new_high = (high.broadcast_mul(&cos)? + low.broadcast_mul(&sin)?)?;
    let turned = if rotary.interleaved {
        Tensor::stack(&[new_low, new_high], 3)?.reshape((rows, heads, rotary.dim))?
    } else {
        Tensor::cat(&[new_low, new_high], 2)?
    };
    if rotary.dim == dim {
        return Ok(turned);
    }
    let (before, after) = (x.narrow(2, 0, rotary.start)?, x.narrow(2, end, dim - end)?);
    let parts: Vec<_> = [before, turned, after].into_iter().filter(|part| part.dims()[2] > 0).collect();
    Ok(Tensor::cat(&parts, 2)?)
}

/// Heads [heads, rows, value dim] as rows.
fn as_rows(heads: &Tensor) -> Result<Tensor> {
    let (count, rows, dim) = heads.dims3()?;
    Ok(heads.transpose(0, 1)?.reshape((rows, count * dim))?)
}

fn all_blocks(spec: &AttentionSpec, spans: &[Span]) -> Vec<Block> {
    spans.iter().flat_map(|span| blocks(spec, (span.start, span.len), *span)).collect()
}

/// out [rows, heads · value dim] of `qkv` [rows, width]. Spans lie end to end.
pub(in crate::ops) fn attention(
    spec: &AttentionSpec,
    qkv: &Tensor,
    rotation: &Rotation,
    spans: &[Span],
) -> Result<Tensor> {
    let [q, k, v] = heads(spec, qkv, rotation)?;
    let mix = |block: &Block| -> Result<Tensor> {
        let [q, k, v] = block.part([&q, &k, &v])?;
        block.mix(spec, [&q, &k, &v], &block.bias(spec, &q)?)
    };
    let parts: Vec<Tensor> = all_blocks(spec, spans).iter().map(mix).collect::<Result<_>>()?;
    as_rows(&Tensor::cat(&parts, 1)?)
}

struct AttentionNode {
    spec: AttentionSpec,
    rotation: Rotation,
    spans: Arc<Vec<Span>>,
    qkv: Var,
}

/// [`attention`] on a tape.
pub(crate) fn recorded_attention(
    tape: &Tape,
    spec: &AttentionSpec,
    qkv: Var,
    rotation: &Rotation,
    spans: &Arc<Vec<Span>>,
) -> Result<Var> {
    let out = attention(spec, &qkv.tensor, rotation, spans)?;
    let needs_grad = qkv.needs_grad();
    Ok(tape.record(out, needs_grad, || {
        Box::new(AttentionNode { spec: spec.clone(), rotation: rotation.clone(), spans: spans.clone(), qkv })
    }))
}

impl Backward for AttentionNode {
    fn backward(self: Box<Self>, d_out: Tensor, grads: &mut Gradients) -> Result<()> {
        let (spec, qkv) = (&self.spec, &self.qkv.tensor);
        let (shape, rows) = (spec.shape, qkv.dims()[0]);
        let d_out = d_out.reshape((rows, shape.heads, shape.value_dim))?.transpose(0, 1)?.contiguous()?;
        let [q, k, v] = heads(spec, qkv, &self.rotation)?;
        let mut d_queries = Vec::new();
        let (d_keys, d_values) = (k.zeros_like()?, v.zeros_like()?);
        for block in all_blocks(spec, &self.spans) {
            let [q, k, v] = block.part([&q, &k, &v])?;
            let bias = block.bias(spec, &q)?;
            let seed = d_out.narrow(1, block.row, block.size)?;
            let inputs = [(&q, true), (&k, true), (&v, true)];
            let parts = gradients(&inputs, &[seed], grads.params, |inputs, _| {
                Ok(vec![block.mix(spec, [&inputs[0], &inputs[1], &inputs[2]], &bias)?])
            })?;
            let [dq, dk, dv] = <[_; 3]>::try_from(parts).unwrap_or_default();
            d_queries.extend(dq);
            for (total, part) in [(&d_keys, dk), (&d_values, dv)] {
                let Some(part) = part else { continue };
                let sum = (total.narrow(1, block.key_row, block.keys)? + part)?;
                total.slice_set(&sum, 1, block.key_row)?;
            }
        }
        let seeds = [Tensor::cat(&d_queries, 1)?, d_keys, d_values];
        let mut d_qkv = gradients(&[(qkv, true)], &seeds, grads.params, |inputs: &[Tensor], _: &Weights| {
            Ok(heads(spec, &inputs[0], &self.rotation)?.into())
        })?;
        match d_qkv.pop().flatten() {
            Some(d_qkv) => grads.add(self.qkv.node, d_qkv),
            None => Ok(()),
        }
    }
}

/// The same of new rows of several sequences, whose keys and values go to their pages.
pub(crate) fn extend(
    spec: &AttentionSpec,
    qkv: &Tensor,
    rotation: &Rotation,
    pages: &mut Pages,
    extensions: &[Extension],
) -> Result<Tensor> {
    let [q, k, v] = heads(spec, qkv, rotation)?;
    let count = extensions.iter().flat_map(|extension| &extension.pages).max().map_or(0, |last| last + 1);
    let [keys, values] = pages.tensors(spec.shape, count, &k)?;
    for (row, count, page, place) in extensions.iter().flat_map(Extension::pieces) {
        for (all, new) in [(keys, &k), (values, &v)] {
            all.slice_set(&new.narrow(1, row, count)?.contiguous()?, 1, page * PAGE + place)?;
        }
    }
    let mut parts = Vec::new();
    for extension in extensions {
        let places = extension.pages.iter().flat_map(|page| page * PAGE..(page + 1) * PAGE);
        let places: Vec<u32> = places.take(extension.total()).map(|place| place as u32).collect();
        let places = Tensor::new(places, qkv.device())?;
        let (k, v) = (keys.index_select(&places, 1)?, values.index_select(&places, 1)?);
        for block in blocks(spec, (extension.start, extension.len), Span::new(0, extension.total())) {
            let [q, k, v] = block.part([&q, &k, &v])?;
            parts.push(block.mix(spec, [&q, &k, &v], &block.bias(spec, &q)?)?);
        }
    }
    as_rows(&Tensor::cat(&parts, 1)?)
}
