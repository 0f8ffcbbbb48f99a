//! Causal self-attention with rotary positions over a ragged batch.

use std::sync::Arc;

use candle_core::{D, Tensor};

use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::kernel::attention::{self as kernel, AttentionShape, Heads, Segment, Span};
use crate::kernel::rope::{RopeLayout, rotate};
use crate::kernel::uninit;
use crate::tensor::{from_vec, mutate, view};

/// How a layer attends.
#[derive(Clone, Debug)]
pub struct AttentionSpec {
    pub shape: AttentionShape,
    /// Leading dimensions of each head that are rotated; 0 for a layer without rotary positions.
    pub rotary_dim: usize,
    pub interleaved: bool,
}

/// Angles of the rows of a batch: cos and sin, each [rows, rotary_dim / 2].
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    pub cos: Arc<Vec<f32>>,
    pub sin: Arc<Vec<f32>>,
}

impl AttentionSpec {
    /// Columns of a row of queries, keys and values side by side.
    pub fn width(&self) -> usize {
        self.shape.query_width() + 2 * self.shape.kv_width()
    }

    /// Rotates queries and keys of a [rows, width] buffer, or undoes it.
    pub fn rotate(&self, qkv: &mut [f32], rotation: &Rotation, inverse: bool) {
        let layout = RopeLayout {
            stride: self.width(),
            start: 0,
            heads: self.shape.heads + self.shape.kv_heads,
            head_dim: self.shape.head_dim,
            rotary_dim: self.rotary_dim,
            interleaved: self.interleaved,
        };
        rotate(qkv, layout, &rotation.cos, &rotation.sin, inverse);
    }
}

struct AttentionNode {
    spec: AttentionSpec,
    rotation: Rotation,
    spans: Arc<Vec<Span>>,
    /// Rotated.
    qkv: Tensor,
    node: Option<NodeId>,
    out: Tensor,
    log_sums: Vec<f32>,
}

/// out [rows, heads · head_dim] of `qkv` [rows, width], which is consumed: queries and keys are rotated in
/// place.
pub fn attention(
    tape: &Tape,
    spec: &AttentionSpec,
    qkv: Var,
    rotation: &Rotation,
    spans: &Arc<Vec<Span>>,
) -> Result<Var> {
    let rows = qkv.tensor.dims()[0];
    let stride = spec.width();
    mutate(&qkv.tensor, |qkv| spec.rotate(qkv, rotation, false))?;
    let mut out = uninit(rows * spec.shape.query_width());
    let mut log_sums = uninit(spec.shape.heads * rows);
    {
        let data = view(&qkv.tensor)?;
        let data = data.f32()?;
        let segments: Vec<Segment> = spans.iter().map(|span| Segment::causal(*span)).collect();
        let heads = |start| Heads { data, stride, start };
        let (k, v) = (spec.shape.query_width(), spec.shape.query_width() + spec.shape.kv_width());
        kernel::forward(spec.shape, &segments, (heads(0), heads(k), heads(v)), &mut out, Some(&mut log_sums));
    }
    let out = from_vec(out, (rows, spec.shape.query_width()))?;
    Ok(tape.record(out.clone(), qkv.needs_grad(), || {
        Box::new(AttentionNode {
            spec: spec.clone(),
            rotation: rotation.clone(),
            spans: spans.clone(),
            qkv: qkv.tensor,
            node: qkv.node,
            out,
            log_sums,
        })
    }))
}

impl Backward for AttentionNode {
    fn backward(self: Box<Self>, d_out: Tensor, grads: &mut Gradients) -> Result<()> {
        let mut d_qkv = uninit(self.qkv.elem_count());
        {
            let (qkv, out, d_out) = (view(&self.qkv)?, view(&self.out)?, view(&d_out)?);
            kernel::backward(
                self.spec.shape,
                &self.spans,
                (qkv.f32()?, self.spec.width()),
                (out.f32()?, &self.log_sums, d_out.f32()?),
                &mut d_qkv,
            );
        }
        self.spec.rotate(&mut d_qkv, &self.rotation, true);
        grads.add(self.node, from_vec(d_qkv, self.qkv.shape())?)
    }
}

/// The same from candle's differentiable operations, head by head.
pub fn plain(spec: &AttentionSpec, qkv: &Tensor, rotation: &Rotation, spans: &[Span]) -> Result<Tensor> {
    let shape = spec.shape;
    let dim = shape.head_dim;
    let half = spec.rotary_dim / 2;
    let rows = qkv.dims()[0];
    let turn = |x: &Tensor| -> Result<Tensor> {
        if half == 0 {
            return Ok(x.clone());
        }
        let cos = Tensor::from_slice(&rotation.cos, (rows, half), x.device())?;
        let sin = Tensor::from_slice(&rotation.sin, (rows, half), x.device())?;
        let turned = x.narrow(1, 0, spec.rotary_dim)?;
        let rest = x.narrow(1, spec.rotary_dim, dim - spec.rotary_dim)?;
        let (low, high) = if spec.interleaved {
            let pairs = turned.reshape((rows, half, 2))?;
            (pairs.narrow(2, 0, 1)?.squeeze(2)?, pairs.narrow(2, 1, 1)?.squeeze(2)?)
        } else {
            (turned.narrow(1, 0, half)?, turned.narrow(1, half, half)?)
        };
        let new_low = ((&low * &cos)? - (&high * &sin)?)?;
        let new_high = ((&high * &cos)? + (&low * &sin)?)?;
        let turned = if spec.interleaved {
            Tensor::stack(&[new_low, new_high], 2)?.reshape((rows, spec.rotary_dim))?
        } else {
            Tensor::cat(&[new_low, new_high], 1)?
        };
        Ok(Tensor::cat(&[turned, rest], 1)?)
    };
    let mut heads = Vec::new();
    for head in 0..shape.heads {
        let kv = head / (shape.heads / shape.kv_heads);
        let q = turn(&qkv.narrow(1, head * dim, dim)?)?;
        let k = turn(&qkv.narrow(1, shape.query_width() + kv * dim, dim)?)?;
        let v = qkv.narrow(1, shape.query_width() + shape.kv_width() + kv * dim, dim)?;
        let mut outputs = Vec::new();
        for Span { start, len } in spans {
            let part = |x: &Tensor| x.narrow(0, *start, *len);
            let scores = (part(&q)?.matmul(&part(&k)?.t()?)? * shape.scale as f64)?;
            let hidden: Vec<f32> =
                (0..len * len).map(|i| if i % len > i / len { f32::NEG_INFINITY } else { 0.0 }).collect();
            let scores = (scores + Tensor::from_vec(hidden, (*len, *len), qkv.device())?)?;
            let top = scores.max_keepdim(D::Minus1)?.detach();
            let weights = scores.broadcast_sub(&top)?.exp()?;
            let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
            outputs.push(weights.matmul(&part(&v)?)?);
        }
        heads.push(Tensor::cat(&outputs, 0)?);
    }
    Ok(Tensor::cat(&heads, 1)?)
}
