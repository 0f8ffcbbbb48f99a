//! Causal grouped-query attention over ragged sequences.
//!
//! Works on blocks of query rows, so that scores never exist beyond a block: what no query of the block
//! sees is skipped, the log of each row's normaliser is kept and probabilities are recomputed in the
//! backward pass (Dao et al. 2022, "FlashAttention"). Heads are read strided from the rows as projected:
//! nothing is transposed or repeated.

mod columns;
mod slope;
mod softmax;

use rayon::prelude::*;

use super::gemm::{Elements, MatMut, MatRef, Options, gemm_single};
use super::lanes::dot;
use super::{simd, with_scratch};
use softmax::{Visible, row_length, softmax, softmax_gradient};

use columns::HeadsMut;
pub use columns::{Columns, Heads};
pub use slope::Slope;

/// Query rows in a block.
const BLOCK: usize = 64;

/// Head counts and sizes, and what becomes of the scores.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub heads: usize,
    /// Heads of keys and values; a divisor of `heads`.
    pub kv_heads: usize,
    /// Columns of a query or key.
    pub head_dim: usize,
    /// Columns of a value.
    pub value_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Scores are squeezed into (−cap, cap) by cap · tanh(score / cap) (Gemma 2).
    pub cap: Option<f32>,
    /// Positions a query sees, its own included.
    pub window: Option<usize>,
    /// Use bf16 products, where the processor has them; normalisers and sums stay in f32.
    pub bf16: bool,
}

impl AttentionShape {
    fn products(&self) -> Options<'static> {
        Options { bf16: self.bf16, ..Options::default() }
    }

    /// Columns of the queries.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Columns of the keys.
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Columns of the values.
    pub fn value_width(&self) -> usize {
        self.kv_heads * self.value_dim
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        self.heads * self.value_dim
    }

    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Rows `start..start + len` of a ragged batch, a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub len: usize,
    /// Leading and trailing rows that are padding: real rows do not see them.
    pub padding: usize,
    pub trailing: usize,
}

impl Span {
    pub fn new(start: usize, len: usize) -> Self {
        Span { start, len, padding: 0, trailing: 0 }
    }
}

/// Where queries stand relative to the keys of their sequence.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Rows of the queries (and of the output).
    pub queries: Span,
    /// Rows of the keys and values; the last query sees the last key.
    pub keys: Span,
}

impl Segment {
    /// A sequence that attends to itself.
    pub fn causal(span: Span) -> Self {
        Segment { queries: span, keys: span }
    }

    fn past(&self) -> usize {
        self.keys.len - self.queries.len
    }

    /// The keys that the query at position `i` of the sequence sees are `first(i)..=i`, without padding.
    fn first(&self, i: usize, window: Option<usize>) -> usize {
        let first = window.map_or(0, |window| (i + 1).saturating_sub(window));
        let padding = self.keys.padding;
        if i >= padding { first.max(padding) } else { first }
    }

    /// What the rows of a block of `size` queries from position `i` on see of keys `low..i + size`.
    fn visible(&self, i: usize, size: usize, window: Option<usize>) -> Visible {
        let low = self.first(i, window);
        let real = self.keys.len - self.keys.trailing;
        let mut visible = Visible { low, padding: self.keys.padding, firsts: [0; BLOCK], ends: [0; BLOCK] };
        for row in 0..size {
            visible.firsts[row] = self.first(i + row, window) - low;
            let end = (i + row + 1).min(real).saturating_sub(low);
            visible.ends[row] = end.max(visible.firsts[row] + 1);
        }
        visible
    }
}

/// out[i] = Σⱼ softmax(scoreᵢⱼ) vⱼ over the visible j of each query, where the score is scale · qᵢ·kⱼ,
/// capped, plus a linear bias with a slope per head; `log_sums` [heads, rows of `out`] receives the log of each row's normaliser, if wanted.
pub fn forward(
    shape: AttentionShape,
    slopes: Option<&[Slope]>,
    segments: &[Segment],
    (q, k, v): (Heads, Heads, Heads),
    out: &mut [f32],
    log_sums: Option<&mut [f32]>,
) {
    let width = shape.out_width();
    let rows = out.len() / width;
    let target = HeadsMut::new(out, width, Columns::adjacent(0, shape.value_dim));
    let sums = log_sums.map(|sums| HeadsMut::new(sums, 1, Columns::adjacent(0, 1)));
    let task = |segment: &Segment, head: usize| {
        let kv = head / shape.group();
        let slope = slopes.map(|slopes| slopes[head]);
        let keys = k.head(segment.keys.start, segment.keys.len, kv, shape.head_dim);
        let values = v.head(segment.keys.start, segment.keys.len, kv, shape.value_dim);
        with_scratch(BLOCK.min(segment.queries.len) * row_length(segment.keys.len), |scores| {
            for block in (0..segment.queries.len).step_by(BLOCK) {
                let size = BLOCK.min(segment.queries.len - block);
                let row = segment.queries.start + block;
                let position = segment.past() + block;
                let visible = segment.visible(position, size, shape.window);
                let (low, seen) = (visible.low, position + size - visible.low);
                let length = row_length(seen);
                let scores = &mut scores[..size * length];
                gemm_single(
                    MatMut::new(scores, size, seen, length),
                    q.head(row, size, head, shape.head_dim),
                    keys.row_range(low, seen).t(),
                    shape.products(),
                );
                let mut logs = [0f32; BLOCK];
                softmax(scores, seen, &visible, shape.scale, (shape.cap, slope), &mut logs);
                if let Some(sums) = sums {
                    for (i, log) in logs[..size].iter().enumerate() {
                        // SAFETY: (head, row) belongs to this task; the buffer is [heads, rows].
                        unsafe { sums.write(head * rows + row + i, *log) };
                    }
                }
                // SAFETY: these rows of this head belong to this task.
                let part = unsafe { target.head(row, size, head, shape.value_dim) };
                let scores = MatRef::new(Elements::F32(scores), size, seen, length);
                gemm_single(part, scores, values.row_range(low, seen), shape.products());
            }
        });
    };
    run(segments, shape.heads, rows * width, task);
}

/// Gradients of [`forward`] for self-attention. `qkv` is a buffer with rows of `stride` and where in them
/// the heads of queries, keys and values lie; `d_qkv`, laid out alike, is overwritten in the rows of
/// `spans`.
pub fn backward(
    shape: AttentionShape,
    slopes: Option<&[Slope]>,
    spans: &[Span],
    (data, stride, [q, k, v]): (&[f32], usize, [Columns; 3]),
    (out, log_sums, d_out): (&[f32], &[f32], &[f32]),
    d_qkv: &mut [f32],
) {
    let (dim, value_dim, width, group) = (shape.head_dim, shape.value_dim, shape.out_width(), shape.group());
    let rows = out.len() / width;
    let target = HeadsMut::new(d_qkv, stride, q);
    let (dq, dk, dv) = (target, target.with(k), target.with(v));
    let [q, k, v] = [q, k, v].map(|columns| Heads { data, stride, columns });
    let side = |data| Heads { data, stride: width, columns: Columns::adjacent(0, value_dim) };
    let (out, d_out) = (side(out), side(d_out));
    let task = |segment: &Segment, kv: usize| {
        let Span { start, len, .. } = segment.queries;
        let (keys, values) = (k.head(start, len, kv, dim), v.head(start, len, kv, value_dim));
        let area = BLOCK.min(len) * row_length(len);
        with_scratch(2 * area, |scratch| {
            let (probabilities, d_scores) = scratch.split_at_mut(area);
            for head in kv * group..(kv + 1) * group {
                let slope = slopes.map(|slopes| slopes[head]);
                // The last block comes first and overwrites what the others add to.
                for block in (0..len).step_by(BLOCK).rev() {
                    let size = BLOCK.min(len - block);
                    let row = start + block;
                    let visible = segment.visible(block, size, shape.window);
                    let (low, seen) = (visible.low, block + size - visible.low);
                    let first = head == kv * group && block + size == len;
                    let add = Options { accumulate: !first, ..shape.products() };
                    let length = row_length(seen);
                    let p = &mut probabilities[..size * length];
                    let ds = &mut d_scores[..size * length];
                    let queries = q.head(row, size, head, dim);
                    let d_rows = d_out.head(row, size, head, value_dim);
                    let (block_keys, block_values) = (keys.row_range(low, seen), values.row_range(low, seen));
                    let scores = MatMut::new(p, size, seen, length);
                    gemm_single(scores, queries, block_keys.t(), shape.products());
                    let products = MatMut::new(ds, size, seen, length);
                    gemm_single(products, d_rows, block_values.t(), shape.products());
                    let mut deltas = [0f32; BLOCK];
                    simd(
                        #[inline(always)]
                        || {
                            for (i, delta) in deltas[..size].iter_mut().enumerate() {
                                let [out, d_out] = [out, d_out].map(|x| x.row(row + i, head, value_dim));
                                *delta = dot(out, d_out);
                            }
                        },
                    );
                    let logs = &log_sums[head * rows + row..head * rows + row + size];
                    softmax_gradient(
                        (p, ds),
                        seen,
                        &visible,
                        shape.scale,
                        (shape.cap, slope),
                        (logs, &deltas),
                    );
                    let [p, ds] = [p, ds].map(|x| MatRef::new(Elements::F32(x), size, seen, length));
                    // SAFETY: this task alone writes the heads of its key/value group in its sequence.
                    unsafe {
                        if first && low > 0 {
                            dk.zero(start, low, kv, dim);
                            dv.zero(start, low, kv, value_dim);
                        }
                        gemm_single(dq.head(row, size, head, dim), ds, block_keys, shape.products());
                        gemm_single(dk.head(start + low, seen, kv, dim), ds.t(), queries, add);
                        gemm_single(dv.head(start + low, seen, kv, value_dim), p.t(), d_rows, add);
                    }
                }
            }
        });
    };
    let segments: Vec<Segment> = spans.iter().map(|span| Segment::causal(*span)).collect();
    run(&segments, shape.kv_heads, rows * width, task);
}

/// Runs a task for every (segment, head); small batches stay on the calling thread.
fn run(segments: &[Segment], heads: usize, size: usize, task: impl Fn(&Segment, usize) + Sync) {
    let jobs = segments.len() * heads;
    let job = |i: usize| task(&segments[i / heads], i % heads);
    if size < 16 * 1024 {
        (0..jobs).for_each(job);
    } else {
        (0..jobs).into_par_iter().with_max_len(1).for_each(job);
    }
}
