//! Causal grouped-query attention over ragged sequences.
//!
//! Works on blocks of query rows, so that scores never exist beyond a block: the upper triangle is
//! skipped, the log of each row's normaliser is kept and probabilities are recomputed in the backward
//! pass (Dao et al. 2022, "FlashAttention"). Heads are read strided from the rows as projected: nothing is
//! transposed or repeated.

use rayon::prelude::*;

use super::gemm::{Elements, MatMut, MatRef, Options, gemm_single};
use super::lanes::{dot, exp, max, sum};
use super::{simd, with_scratch};

/// Query rows in a block.
const BLOCK: usize = 64;

/// Head counts and sizes.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    pub heads: usize,
    /// Heads of keys and values; a divisor of `heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
}

impl AttentionShape {
    /// Columns of the queries.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Columns of the keys, and of the values.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Rows `start..start + len` of a ragged batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub len: usize,
}

/// A buffer whose rows hold heads side by side from column `start`.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub start: usize,
}

impl<'a> Heads<'a> {
    fn head(&self, row: usize, rows: usize, head: usize, dim: usize) -> MatRef<'a> {
        let offset = (row * self.stride + self.start + head * dim).min(self.data.len());
        MatRef::new(Elements::F32(&self.data[offset..]), rows, dim, self.stride)
    }

    fn row(&self, row: usize, head: usize, dim: usize) -> &'a [f32] {
        let offset = row * self.stride + self.start + head * dim;
        &self.data[offset..offset + dim]
    }
}

/// Like [`Heads`], written to by several threads: each owns the columns of its heads.
#[derive(Clone, Copy)]
struct HeadsMut {
    data: *mut f32,
    len: usize,
    stride: usize,
    start: usize,
}

// SAFETY: tasks write disjoint heads of disjoint sequences.
unsafe impl Send for HeadsMut {}
// SAFETY: as above.
unsafe impl Sync for HeadsMut {}

impl HeadsMut {
    fn new(data: &mut [f32], stride: usize, start: usize) -> Self {
        HeadsMut { data: data.as_mut_ptr(), len: data.len(), stride, start }
    }

    /// # Safety
    /// No other reference to these rows of this head may be in use.
    unsafe fn head<'a>(&self, row: usize, rows: usize, head: usize, dim: usize) -> MatMut<'a> {
        let offset = row * self.stride + self.start + head * dim;
        assert!(rows == 0 || offset + (rows - 1) * self.stride + dim <= self.len);
        // SAFETY: in bounds by the assertion, exclusive by the caller's promise.
        unsafe { MatMut::from_raw(self.data.add(offset), rows, dim, self.stride) }
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
}

/// out[i] = Σⱼ softmax(scale · qᵢ·kⱼ) vⱼ over the visible j of each query; `log_sums` [heads, rows of
/// `out`] receives the log of each row's normaliser, if wanted.
pub fn forward(
    shape: AttentionShape,
    segments: &[Segment],
    (q, k, v): (Heads, Heads, Heads),
    out: &mut [f32],
    log_sums: Option<&mut [f32]>,
) {
    let (dim, width) = (shape.head_dim, shape.query_width());
    let rows = out.len() / width;
    let target = HeadsMut::new(out, width, 0);
    let sums = log_sums.map(|sums| HeadsMut::new(sums, 1, 0));
    let task = |segment: &Segment, head: usize| {
        let kv = head / shape.group();
        let keys = k.head(segment.keys.start, segment.keys.len, kv, dim);
        let values = v.head(segment.keys.start, segment.keys.len, kv, dim);
        with_scratch(BLOCK.min(segment.queries.len) * segment.keys.len, |scores| {
            for block in (0..segment.queries.len).step_by(BLOCK) {
                let size = BLOCK.min(segment.queries.len - block);
                let row = segment.queries.start + block;
                let seen = segment.past() + block + size;
                let scores = &mut scores[..size * seen];
                gemm_single(
                    MatMut::f32(scores, size, seen),
                    q.head(row, size, head, dim),
                    keys.row_range(0, seen).t(),
                    Options::default(),
                );
                let mut logs = [0f32; BLOCK];
                softmax(scores, seen, seen - size, shape.scale, &mut logs);
                if let Some(sums) = sums {
                    for (i, log) in logs[..size].iter().enumerate() {
                        // SAFETY: (head, row) belongs to this task; the buffer is [heads, rows].
                        unsafe { *sums.data.add(head * rows + row + i) = *log };
                    }
                }
                // SAFETY: these rows of this head belong to this task.
                let part = unsafe { target.head(row, size, head, dim) };
                gemm_single(
                    part,
                    MatRef::f32(scores, size, seen),
                    values.row_range(0, seen),
                    Options::default(),
                );
            }
        });
    };
    run(segments, shape.heads, rows * width, task);
}

/// Gradients of [`forward`] for self-attention; `d_qkv` (as `qkv`: queries, keys, values side by side in
/// rows of `stride`) is overwritten for all rows of `spans`.
pub fn backward(
    shape: AttentionShape,
    spans: &[Span],
    qkv: (&[f32], usize),
    (out, log_sums, d_out): (&[f32], &[f32], &[f32]),
    d_qkv: &mut [f32],
) {
    let (dim, width, group) = (shape.head_dim, shape.query_width(), shape.group());
    let (data, stride) = qkv;
    let rows = out.len() / width;
    let q = Heads { data, stride, start: 0 };
    let k = Heads { data, stride, start: width };
    let v = Heads { data, stride, start: width + shape.kv_width() };
    let (out, d_out) =
        (Heads { data: out, stride: width, start: 0 }, Heads { data: d_out, stride: width, start: 0 });
    let dq = HeadsMut::new(d_qkv, stride, 0);
    let dk = HeadsMut { start: width, ..dq };
    let dv = HeadsMut { start: width + shape.kv_width(), ..dq };
    let task = |span: &Segment, kv: usize| {
        let Span { start, len } = span.queries;
        let (keys, values) = (k.head(start, len, kv, dim), v.head(start, len, kv, dim));
        with_scratch(2 * BLOCK.min(len) * len, |scratch| {
            let (probabilities, d_scores) = scratch.split_at_mut(BLOCK.min(len) * len);
            for head in kv * group..(kv + 1) * group {
                // The last block covers all keys: it comes first and overwrites what the others add to.
                for block in (0..len).step_by(BLOCK).rev() {
                    let size = BLOCK.min(len - block);
                    let (row, seen) = (start + block, block + size);
                    let first = head == kv * group && seen == len;
                    let add = Options { accumulate: !first, ..Options::default() };
                    let p = &mut probabilities[..size * seen];
                    let ds = &mut d_scores[..size * seen];
                    let (queries, d_rows) = (q.head(row, size, head, dim), d_out.head(row, size, head, dim));
                    gemm_single(
                        MatMut::f32(p, size, seen),
                        queries,
                        keys.row_range(0, seen).t(),
                        Options::default(),
                    );
                    gemm_single(
                        MatMut::f32(ds, size, seen),
                        d_rows,
                        values.row_range(0, seen).t(),
                        Options::default(),
                    );
                    let mut deltas = [0f32; BLOCK];
                    for (i, delta) in deltas[..size].iter_mut().enumerate() {
                        *delta = dot(out.row(row + i, head, dim), d_out.row(row + i, head, dim));
                    }
                    let logs = &log_sums[head * rows + row..head * rows + row + size];
                    softmax_gradient(p, ds, seen, block, shape.scale, logs, &deltas);
                    let (p, ds) = (MatRef::f32(p, size, seen), MatRef::f32(ds, size, seen));
                    // SAFETY: this task alone writes the heads of its key/value group in its sequence.
                    unsafe {
                        gemm_single(
                            dq.head(row, size, head, dim),
                            ds,
                            keys.row_range(0, seen),
                            Options::default(),
                        );
                        gemm_single(dk.head(start, seen, kv, dim), ds.t(), queries, add);
                        gemm_single(dv.head(start, seen, kv, dim), p.t(), d_rows, add);
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

/// Rows of scores become probabilities; row i sees its first `past + i + 1` columns.
fn softmax(scores: &mut [f32], seen: usize, past: usize, scale: f32, logs: &mut [f32]) {
    simd(
        #[inline(always)]
        || {
            for (i, row) in scores.chunks_exact_mut(seen).enumerate() {
                let (visible, hidden) = row.split_at_mut(past + i + 1);
                let top = max(visible) * scale;
                for x in visible.iter_mut() {
                    *x = exp(*x * scale - top);
                }
                let total = sum(visible, |x| x);
                logs[i] = top + total.ln();
                let inverse = 1.0 / total;
                visible.iter_mut().for_each(|x| *x *= inverse);
                hidden.fill(0.0);
            }
        },
    );
}

/// `p`: scores → probabilities; `ds`: dP → p · (dP − delta) · scale.
fn softmax_gradient(
    p: &mut [f32],
    ds: &mut [f32],
    seen: usize,
    past: usize,
    scale: f32,
    logs: &[f32],
    deltas: &[f32],
) {
    simd(
        #[inline(always)]
        || {
            for (i, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).enumerate() {
                let visible = past + i + 1;
                let (log, delta) = (logs[i], deltas[i]);
                for (p, ds) in p[..visible].iter_mut().zip(&mut ds[..visible]) {
                    *p = exp(*p * scale - log);
                    *ds = *p * (*ds - delta) * scale;
                }
                p[visible..].fill(0.0);
                ds[visible..].fill(0.0);
            }
        },
    );
}
