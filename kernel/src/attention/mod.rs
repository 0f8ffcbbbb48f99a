//! Causal grouped-query attention over ragged sequences.
//!
//! Works on blocks of query rows, so that scores never exist beyond a block: what no query of the block
//! sees is skipped, the log of each row's normaliser is kept and probabilities are recomputed in the
//! backward pass (Dao et al. 2022, "FlashAttention"). Heads are read strided from the rows as projected:
//! nothing is transposed or repeated.

mod columns;
mod paged;
mod slope;
mod softmax;

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{Elements, MatMut, MatRef, Shared, gemm_shared};
use super::lanes::dot;
use super::{simd, with_scratch};
use softmax::{ScoreRule, Visible, row_length, softmax, softmax_gradient};

use columns::HeadsMut;
pub use columns::{Columns, Heads};
pub use paged::{PAGE, PagedSegment, forward_paged};
pub use slope::Slope;

/// Query rows in a block, at most.
const BLOCK: usize = 64;
/// In f32: two register tiles, whose scores stay in the L1 cache up to a few hundred keys.
const BLOCK_F32: usize = 28;
/// Query rows from which on keys and values are packed for all of them.
const MIN_PACKED: usize = 15;

/// Head counts and sizes, and what becomes of the scores.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Heads of queries.
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
    /// Query rows in a block.
    fn block(&self) -> usize {
        if self.bf16 { BLOCK } else { BLOCK_F32 }
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

    /// Query heads that share a head of keys and values.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// What becomes of the raw scores of a head.
    fn rule(&self, slopes: Option<&[Slope]>, head: usize) -> ScoreRule {
        ScoreRule { scale: self.scale, cap: self.cap, slope: slopes.map(|slopes| slopes[head]) }
    }

    /// Floats of scratch for the gradients of a sequence of `len` rows: probabilities, gradients of scores, the packed
    /// parts (transposed keys, keys, transposed values, queries, gradients of the output), gradients of keys and values.
    fn gradient_areas(&self, len: usize) -> [usize; 9] {
        let (dim, value_dim) = (self.head_dim, self.value_dim);
        let scores = self.block().min(len) * row_length(len);
        let [key, value] = [dim, value_dim].map(|dim| Shared::area(len, dim));
        let [key_t, value_t] = [dim, value_dim].map(|dim| Shared::area(dim, len));
        [scores, scores, key_t, key, value_t, key, value, len * dim, len * value_dim]
    }
}

/// Rows `start..start + len` of a ragged batch, a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First row.
    pub start: usize,
    /// Rows, padding included.
    pub len: usize,
    /// Leading rows that are padding: real rows do not see them.
    pub padding: usize,
    /// The same behind the real rows.
    pub trailing: usize,
}

impl Span {
    /// Rows without padding.
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

    /// What the rows of a block of `size` queries from position `i` on see of keys `low..i + size`, where `low` is a
    /// multiple of [`Shared::UNIT`].
    fn visible(&self, i: usize, size: usize, window: Option<usize>) -> Visible {
        let low = self.first(i, window) / Shared::UNIT * Shared::UNIT;
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
    let (dim, value_dim) = (shape.head_dim, shape.value_dim);
    let mixed = HeadsMut::new(out, width, Columns::adjacent(0, value_dim));
    let log_sums = log_sums.map(|sums| HeadsMut::new(sums, 1, Columns::adjacent(0, 1)));
    let output = Output { mixed, log_sums, rows };
    let task = |segment: &Segment, head: usize| {
        let kv = head / shape.group();
        let Span { start, len, .. } = segment.keys;
        let scores = shape.block().min(segment.queries.len) * row_length(len);
        let sizes = [scores, Shared::area(dim, len), Shared::area(len, value_dim)];
        with_scratch(sizes.iter().sum(), |scratch| {
            let [scores, key_area, value_area] = cut(scratch, sizes);
            let share = |b, area| match segment.queries.len >= MIN_PACKED {
                true => Shared::pack(b, shape.bf16, area),
                false => Shared::plain(b, shape.bf16),
            };
            let input = HeadInput {
                head,
                rule: shape.rule(slopes, head),
                queries: q,
                keys: share(k.head(start, len, kv, dim).t(), key_area),
                values: share(v.head(start, len, kv, value_dim), value_area),
            };
            attend(shape, segment, &input, scores, &output);
        });
    };
    run(segments, shape.heads, rows * width, task);
}

/// What a head reads of a segment.
struct HeadInput<'a> {
    head: usize,
    rule: ScoreRule,
    queries: Heads<'a>,
    /// [head dim, keys]
    keys: Shared<'a>,
    /// [keys, value dim]
    values: Shared<'a>,
}

/// Where a pass writes.
struct Output {
    mixed: HeadsMut,
    /// [heads, rows]
    log_sums: Option<HeadsMut>,
    rows: usize,
}

/// One head of a segment, a block of queries at a time; `scores` has room for a block's.
fn attend(shape: AttentionShape, segment: &Segment, input: &HeadInput, scores: &mut [f32], output: &Output) {
    let HeadInput { head, rule, queries, keys, values } = *input;
    let block = shape.block();
    for first in (0..segment.queries.len).step_by(block) {
        let size = block.min(segment.queries.len - first);
        let row = segment.queries.start + first;
        let position = segment.past() + first;
        let visible = segment.visible(position, size, shape.window);
        let (low, seen) = (visible.low, position + size - visible.low);
        let length = row_length(seen);
        let scores = &mut scores[..size * length];
        let queries = queries.head(row, size, head, shape.head_dim);
        gemm_shared(MatMut::new(scores, size, seen, length), queries, keys.col_range(low, seen), false);
        let mut logs = [0f32; BLOCK];
        softmax(scores, seen, &visible, rule, &mut logs);
        if let Some(sums) = output.log_sums {
            for (i, log) in logs[..size].iter().enumerate() {
                // SAFETY: (head, row) belongs to this task; the buffer is [heads, rows].
                unsafe { sums.write(head * output.rows + row + i, *log) };
            }
        }
        // SAFETY: these rows of this head belong to this task.
        let part = unsafe { output.mixed.head(row, size, head, shape.value_dim) };
        let scores = MatRef::new(Elements::F32(scores), size, seen, length);
        gemm_shared(part, scores, values.row_range(low, seen), false);
    }
}

/// Cuts a work area into parts of these sizes.
fn cut<const N: usize>(mut area: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| area.split_off_mut(..size).unwrap_or_default())
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
        let block = shape.block();
        let sizes = shape.gradient_areas(len);
        with_scratch(sizes.iter().sum(), |scratch| {
            let [probabilities, d_scores, kt_area, k_area, vt_area, q_area, d_area, d_keys, d_values] =
                cut(scratch, sizes);
            d_keys.fill(0.0);
            d_values.fill(0.0);
            let (keys, values) = (k.head(start, len, kv, dim), v.head(start, len, kv, value_dim));
            let keys_t = Shared::pack(keys.t(), shape.bf16, kt_area);
            let keys = Shared::pack(keys, shape.bf16, k_area);
            let values_t = Shared::pack(values.t(), shape.bf16, vt_area);
            for head in kv * group..(kv + 1) * group {
                let rule = shape.rule(slopes, head);
                let queries = q.head(start, len, head, dim);
                let d_rows = d_out.head(start, len, head, value_dim);
                let shared_queries = Shared::pack(queries, shape.bf16, q_area);
                let shared_d_rows = Shared::pack(d_rows, shape.bf16, d_area);
                for first in (0..len).step_by(block) {
                    let size = block.min(len - first);
                    let row = start + first;
                    let visible = segment.visible(first, size, shape.window);
                    let (low, seen) = (visible.low, first + size - visible.low);
                    let length = row_length(seen);
                    let p = &mut probabilities[..size * length];
                    let ds = &mut d_scores[..size * length];
                    let scores = MatMut::new(p, size, seen, length);
                    gemm_shared(scores, queries.row_range(first, size), keys_t.col_range(low, seen), false);
                    let products = MatMut::new(ds, size, seen, length);
                    gemm_shared(
                        products,
                        d_rows.row_range(first, size),
                        values_t.col_range(low, seen),
                        false,
                    );
                    let deltas = deltas(out, d_out, row..row + size, head, value_dim);
                    let logs = &log_sums[head * rows + row..head * rows + row + size];
                    softmax_gradient(p, ds, seen, &visible, rule, logs, &deltas);
                    let [p, ds] = [p, ds].map(|x| MatRef::new(Elements::F32(x), size, seen, length));
                    // SAFETY: this task alone writes the heads of its key/value group in its sequence.
                    let dq = unsafe { dq.head(row, size, head, dim) };
                    gemm_shared(dq, ds, keys.row_range(low, seen), false);
                    let dk = MatMut::f32(&mut d_keys[low * dim..], seen, dim);
                    gemm_shared(dk, ds.t(), shared_queries.row_range(first, size), true);
                    let dv = MatMut::f32(&mut d_values[low * value_dim..], seen, value_dim);
                    gemm_shared(dv, p.t(), shared_d_rows.row_range(first, size), true);
                }
            }
            // SAFETY: as above.
            unsafe {
                dk.write_head(start, kv, dim, d_keys);
                dv.write_head(start, kv, value_dim, d_values);
            }
        });
    };
    let segments: Vec<Segment> = spans.iter().map(|span| Segment::causal(*span)).collect();
    run(&segments, shape.kv_heads, rows * width, task);
}

/// Σ out · d_out of each row of a head: what the gradient of a softmax takes from that of each probability.
fn deltas(out: Heads, d_out: Heads, rows: Range<usize>, head: usize, dim: usize) -> [f32; BLOCK] {
    let mut deltas = [0f32; BLOCK];
    simd(
        #[inline(always)]
        || {
            for (row, delta) in rows.zip(&mut deltas) {
                *delta = dot(out.row(row, head, dim), d_out.row(row, head, dim));
            }
        },
    );
    deltas
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
