//! Causal self-attention with rotary positions over a ragged batch.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::past::{Extension, Pages};
use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::attention::{
    self as kernel, AttentionShape, Columns, Heads, PagedSegment, Segment, Slope, Span,
};
use crate::kernel::rope::{RopeLayout, rotate};
use crate::kernel::{rows_per_task, uninit};
use crate::tensor::{from_vec, mutate, view};

/// How a layer attends.
#[derive(Clone, Debug)]
pub struct AttentionSpec {
    /// Heads, their sizes, and what becomes of the scores.
    pub shape: AttentionShape,
    /// Where queries, keys and values lie in a row.
    pub columns: [Columns; 3],
    /// Which part of a head turns with the position.
    pub rotary: Rotary,
    /// Slopes of linear position biases, one per head.
    pub slopes: Option<Arc<Vec<Slope>>>,
}

/// The part of each head that is rotated; nothing of it in a layer without rotary positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotary {
    /// First rotated dimension of a head.
    pub start: usize,
    /// Rotated dimensions of a head.
    pub dim: usize,
    /// Pairs are neighbours instead of halves.
    pub interleaved: bool,
}

/// Angles of the rows of a batch: cos and sin, each [rows, rotary dim / 2].
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// Cosines, row by row.
    pub cos: Arc<Vec<f32>>,
    /// Sines, row by row.
    pub sin: Arc<Vec<f32>>,
    /// Factor on each row's queries.
    pub query_factors: Option<Arc<Vec<f32>>>,
}

impl AttentionSpec {
    /// Queries, then keys, then values.
    pub fn adjacent(shape: AttentionShape) -> [Columns; 3] {
        let (q, k) = (shape.query_width(), shape.key_width());
        let dim = shape.head_dim;
        [Columns::adjacent(0, dim), Columns::adjacent(q, dim), Columns::adjacent(q + k, shape.value_dim)]
    }

    /// Columns of a row of queries, keys and values.
    pub fn width(&self) -> usize {
        self.shape.query_width() + self.shape.key_width() + self.shape.value_width()
    }

    /// Rotates queries and keys of a [rows, width] buffer, or undoes it.
    pub fn rotate(&self, qkv: &mut [f32], rotation: &Rotation, inverse: bool) {
        let [q, k, _] = self.columns;
        let starts = (0..self.shape.heads).map(|head| q.of(head));
        let starts = starts.chain((0..self.shape.kv_heads).map(|head| k.of(head)));
        let starts: Vec<usize> = starts.map(|start| start + self.rotary.start).collect();
        let layout = RopeLayout {
            stride: self.width(),
            starts: &starts,
            rotary_dim: self.rotary.dim,
            interleaved: self.rotary.interleaved,
        };
        rotate(qkv, layout, &rotation.cos, &rotation.sin, inverse);
        if let Some(factors) = &rotation.query_factors {
            self.scale_queries(qkv, factors);
        }
    }

    /// Leading padding sees nothing, and the reference's softmax over nothing is even: the mean of all values
    /// of the sequence. Only a filter over neighbouring tokens can tell. There is no gradient of this.
    fn fill_padding(&self, qkv: &Tensor, span: Span, out: &mut [f32]) -> Result<()> {
        let (width, dim) = (self.shape.out_width(), self.shape.value_dim);
        let data = view(qkv)?;
        let rows = &data.f32()?[span.start * self.width()..(span.start + span.len) * self.width()];
        for head in 0..self.shape.heads {
            let column = self.columns[2].of(head / self.shape.group());
            let mut mean = vec![0.0; dim];
            for row in rows.chunks_exact(self.width()) {
                let share = row[column..column + dim].iter().map(|x| x / span.len as f32);
                mean.iter_mut().zip(share).for_each(|(mean, x)| *mean += x);
            }
            for row in span.start..span.start + span.padding {
                out[row * width + head * dim..][..dim].copy_from_slice(&mean);
            }
        }
        Ok(())
    }

    fn scale_queries(&self, qkv: &mut [f32], factors: &[f32]) {
        let width = self.width();
        let task = rows_per_task(width);
        qkv.par_chunks_mut(width * task).zip(factors.par_chunks(task)).for_each(|(rows, factors)| {
            for (row, factor) in rows.chunks_exact_mut(width).zip(factors) {
                for head in 0..self.shape.heads {
                    let start = self.columns[0].of(head);
                    row[start..start + self.shape.head_dim].iter_mut().for_each(|x| *x *= factor);
                }
            }
        });
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

/// out [rows, heads · value dim] of `qkv` [rows, width], which is consumed: queries and keys are rotated in
/// place.
///
/// # Errors
/// If an operation fails.
pub fn attention(
    tape: &Tape,
    spec: &AttentionSpec,
    qkv: Var,
    rotation: &Rotation,
    spans: &Arc<Vec<Span>>,
) -> Result<Var> {
    if !has_kernels(&qkv.tensor) {
        return plain::recorded_attention(tape, spec, qkv, rotation, spans);
    }
    let rows = qkv.tensor.dims()[0];
    let stride = spec.width();
    mutate(&qkv.tensor, |qkv| spec.rotate(qkv, rotation, false))?;
    let mut out = uninit(rows * spec.shape.out_width());
    let mut log_sums = uninit(spec.shape.heads * rows);
    {
        let data = view(&qkv.tensor)?;
        let data = data.f32()?;
        let segments: Vec<Segment> = spans.iter().map(|span| Segment::causal(*span)).collect();
        let [q, k, v] = spec.columns.map(|columns| Heads { data, stride, columns });
        let slopes = spec.slopes.as_ref().map(|slopes| &slopes[..]);
        kernel::forward(spec.shape, slopes, &segments, (q, k, v), &mut out, Some(&mut log_sums));
    }
    spans
        .iter()
        .filter(|span| span.padding > 0)
        .try_for_each(|span| spec.fill_padding(&qkv.tensor, *span, &mut out))?;
    let out = from_vec(out, (rows, spec.shape.out_width()))?;
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
                self.spec.slopes.as_ref().map(|slopes| &slopes[..]),
                &self.spans,
                (qkv.f32()?, self.spec.width(), self.spec.columns),
                (out.f32()?, &self.log_sums, d_out.f32()?),
                &mut d_qkv,
            );
        }
        self.spec.rotate(&mut d_qkv, &self.rotation, true);
        grads.add(self.node, from_vec(d_qkv, self.qkv.shape())?)
    }
}

/// [`attention`] of new rows of several sequences, whose keys and values go to their pages. `qkv` is consumed.
///
/// # Errors
/// If an operation fails.
pub fn extend(
    spec: &AttentionSpec,
    qkv: Tensor,
    rotation: &Rotation,
    pages: &mut Pages,
    extensions: &[Extension],
) -> Result<Tensor> {
    if !has_kernels(&qkv) {
        return plain::extend(spec, &qkv, rotation, pages, extensions);
    }
    mutate(&qkv, |qkv| spec.rotate(qkv, rotation, false))?;
    let (shape, stride) = (spec.shape, spec.width());
    let data = view(&qkv)?;
    let data = data.f32()?;
    let [q, k, v] = spec.columns.map(|columns| Heads { data, stride, columns });
    for (row, count, page, place) in extensions.iter().flat_map(Extension::pieces) {
        let page = pages.get_mut(shape, page);
        (0..count).for_each(|i| shape.write_to_page(page, place + i, (k, v), row + i));
    }
    let paged = |extension: &Extension| {
        let queries = Span::new(extension.start, extension.len);
        let segment = Segment { queries, keys: Span::new(0, extension.total()) };
        PagedSegment { segment, pages: extension.pages.iter().map(|page| pages.get(*page)).collect() }
    };
    let sequences: Vec<PagedSegment> = extensions.iter().map(paged).collect();
    let rows = qkv.dims()[0];
    let mut out = uninit(rows * shape.out_width());
    let slopes = spec.slopes.as_ref().map(|slopes| &slopes[..]);
    kernel::forward_paged(shape, slopes, &sequences, q, &mut out);
    from_vec(out, (rows, shape.out_width()))
}

/// Slopes of ALiBi (Press et al. 2021): 2^(−8 i / n) for n heads, n a power of two; else those of the next
/// lower power, and every second of the next higher one.
pub fn alibi_slopes(heads: usize) -> Vec<f32> {
    let power = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let slope = |count: usize, i: usize| 2f64.powf(-8.0 * i as f64 / count as f64) as f32;
    let lower = (1..=power).map(|i| slope(power, i));
    let higher = (1..=2 * power).step_by(2).map(|i| slope(2 * power, i));
    lower.chain(higher).take(heads).collect()
}
