//! Attention of new tokens over keys and values that lie in pages, as a cache of many sequences keeps them.
//!
//! A page holds [`PAGE`] tokens of one layer: for each head of keys [head dim, tokens], then for each head of values
//! [tokens, value dim]. Keys lie transposed because a single query, the case of every step of a generation, then meets
//! a page's keys in whole vectors: lanes are tokens, and nothing is summed over lanes.

use rayon::prelude::*;

use super::columns::{Heads, HeadsMut};
use super::softmax::{ScoreRule, row_length, softmax};
use super::{
    AttentionShape, BLOCK, Columns, HeadInput, MIN_PACKED, Output, Segment, Shared, Slope, attend, cut,
};
use crate::gemm::MatRef;
use crate::lanes::LANES;
use crate::{simd, with_scratch};

/// Tokens in a page: few enough that a short talk wastes little, and enough for whole vectors of every processor.
pub const PAGE: usize = 64;
// What a block of queries sees begins at a vector of a page.
const _: () = assert!(PAGE.is_multiple_of(Shared::UNIT) && PAGE.is_multiple_of(LANES));

/// Products of a pass, about, from which on threads share it: fewer take less time than waking a thread.
const MIN_SHARED: usize = 512 * 1024;

/// New tokens of a sequence, and the pages with all its tokens so far, the new ones included.
pub struct PagedSegment<'a> {
    /// Rows of the queries, and how many keys there are.
    pub segment: Segment,
    /// Pages [`AttentionShape::page_len`] with the sequence's tokens, in order.
    pub pages: Vec<&'a [f32]>,
}

impl AttentionShape {
    /// Floats of a page.
    pub fn page_len(&self) -> usize {
        PAGE * (self.key_width() + self.value_width())
    }

    /// The keys of a head in a page [head dim, tokens].
    fn page_keys<'a>(&self, page: &'a [f32], kv: usize) -> &'a [f32] {
        let len = PAGE * self.head_dim;
        &page[kv * len..][..len]
    }

    /// The values of a head in a page [tokens, value dim].
    fn page_values<'a>(&self, page: &'a [f32], kv: usize) -> &'a [f32] {
        let len = PAGE * self.value_dim;
        &page[PAGE * self.key_width() + kv * len..][..len]
    }

    /// Puts keys and values of a row as token `place` into a page.
    pub fn write_to_page(&self, page: &mut [f32], place: usize, (k, v): (Heads, Heads), row: usize) {
        let (keys, values) = page.split_at_mut(PAGE * self.key_width());
        for kv in 0..self.kv_heads {
            let columns = keys[kv * PAGE * self.head_dim..].chunks_exact_mut(PAGE);
            columns.zip(k.row(row, kv, self.head_dim)).for_each(|(column, x)| column[place] = *x);
            let at = (kv * PAGE + place) * self.value_dim;
            values[at..at + self.value_dim].copy_from_slice(v.row(row, kv, self.value_dim));
        }
    }
}

/// [`forward`](super::forward) of new tokens of several sequences over their pages. What comes out for a sequence does
/// not depend on the others.
pub fn forward_paged(
    shape: AttentionShape,
    slopes: Option<&[Slope]>,
    sequences: &[PagedSegment],
    q: Heads,
    out: &mut [f32],
) {
    let width = shape.out_width();
    let rows = out.len() / width;
    let mixed = HeadsMut::new(out, width, Columns::adjacent(0, shape.value_dim));
    let output = Output { mixed, log_sums: None, rows };
    let rule = |head: usize| shape.rule(slopes, head);
    // A few queries share what they read of the pages with those of the other heads of a group.
    let is_few = |sequence: &PagedSegment| sequence.segment.queries.len < MIN_PACKED;
    let jobs = |sequence: &PagedSegment| if is_few(sequence) { shape.kv_heads } else { shape.heads };
    let jobs: Vec<(&PagedSegment, usize)> =
        sequences.iter().flat_map(|sequence| (0..jobs(sequence)).map(move |head| (sequence, head))).collect();
    let run = |(sequence, head): (&PagedSegment, usize)| match is_few(sequence) {
        true => few(shape, &rule, sequence, head, q, &output),
        false => many(shape, rule(head), sequence, head, q, &output),
    };
    let products = |sequence: &PagedSegment| sequence.segment.queries.len * sequence.segment.keys.len;
    let products = sequences.iter().map(products).sum::<usize>();
    if products * shape.heads * (shape.head_dim + shape.value_dim) < MIN_SHARED {
        jobs.into_iter().for_each(run);
    } else {
        jobs.into_par_iter().with_max_len(1).for_each(run);
    }
}

/// A head's queries of a part of a prompt: what they see is gathered from the pages, then packed for all of them.
fn many(
    shape: AttentionShape,
    rule: ScoreRule,
    sequence: &PagedSegment,
    head: usize,
    q: Heads,
    output: &Output,
) {
    let PagedSegment { segment, pages } = sequence;
    let (dim, value_dim, len) = (shape.head_dim, shape.value_dim, segment.keys.len);
    let kv = head / shape.group();
    let sizes = [
        shape.block().min(segment.queries.len) * row_length(len),
        dim * len,
        len * value_dim,
        Shared::area(dim, len),
        Shared::area(len, value_dim),
    ];
    with_scratch(sizes.iter().sum(), |scratch| {
        let [scores, keys, values, key_area, value_area] = cut(scratch, sizes);
        for (index, page) in pages.iter().enumerate() {
            let first = index * PAGE;
            let count = PAGE.min(len - first);
            let columns = shape.page_keys(page, kv).chunks_exact(PAGE);
            for (row, column) in keys.chunks_exact_mut(len).zip(columns) {
                row[first..first + count].copy_from_slice(&column[..count]);
            }
            let rows = &shape.page_values(page, kv)[..count * value_dim];
            values[first * value_dim..][..rows.len()].copy_from_slice(rows);
        }
        let input = HeadInput {
            head,
            rule,
            queries: q,
            keys: Shared::pack(MatRef::f32(keys, dim, len), shape.bf16, key_area),
            values: Shared::pack(MatRef::f32(values, len, value_dim), shape.bf16, value_area),
        };
        attend(shape, segment, &input, scores, output);
    });
}

/// A few queries of all heads that share a head of keys and values, page by page.
fn few(
    shape: AttentionShape,
    rule: &impl Fn(usize) -> ScoreRule,
    sequence: &PagedSegment,
    kv: usize,
    q: Heads,
    output: &Output,
) {
    let PagedSegment { segment, pages } = sequence;
    let (group, count) = (shape.group(), segment.queries.len);
    let visible = segment.visible(segment.past(), count, shape.window);
    let (low, seen) = (visible.low, segment.keys.len - visible.low);
    let length = row_length(seen);
    // The pages that are seen: their first token that is, how many are, and the first one's column of the scores.
    let parts = pages.iter().enumerate().skip(low / PAGE).map(|(index, page)| {
        let first = low.max(index * PAGE);
        let count = (index * PAGE + PAGE).min(segment.keys.len) - first;
        (*page, first - index * PAGE, count, first - low)
    });
    let query = |row: usize| {
        let (head, query) = (kv * group + row / count, row % count);
        (head, segment.queries.start + query)
    };
    with_scratch(group * count * length, |scores| {
        for (page, first, tokens, column) in parts.clone() {
            let keys = shape.page_keys(page, kv);
            for (row, scores) in scores.chunks_exact_mut(length).enumerate() {
                let (head, query) = query(row);
                let all = simd(
                    #[inline(always)]
                    || products(q.row(query, head, shape.head_dim), keys),
                );
                scores[column..column + tokens].copy_from_slice(&all.as_flattened()[first..first + tokens]);
            }
        }
        for (index, scores) in scores.chunks_exact_mut(count * length).enumerate() {
            let rule = rule(kv * group + index);
            softmax(scores, seen, &visible, rule, &mut [0.0; BLOCK]);
        }
        for (page, first, tokens, column) in parts {
            let values = &shape.page_values(page, kv)[first * shape.value_dim..];
            for (row, weights) in scores.chunks_exact(length).enumerate() {
                let (head, query) = query(row);
                // SAFETY: this task alone writes the heads of its group in these rows.
                let out = unsafe { output.mixed.row(query, head, shape.value_dim) };
                if column == 0 {
                    out.fill(0.0);
                }
                simd(
                    #[inline(always)]
                    || mix(&weights[column..column + tokens], values, out),
                );
            }
        }
    });
}

/// A query's products with each of a page's keys [dim, tokens].
#[inline(always)]
fn products(query: &[f32], keys: &[f32]) -> [[f32; LANES]; PAGE / LANES] {
    let mut sums = [[0.0; LANES]; PAGE / LANES];
    for (x, keys) in query.iter().zip(keys.as_chunks::<PAGE>().0) {
        let (keys, _) = keys.as_chunks::<LANES>();
        for (sums, keys) in sums.iter_mut().zip(keys) {
            for i in 0..LANES {
                sums[i] = x.mul_add(keys[i], sums[i]);
            }
        }
    }
    sums
}

/// out += Σ weight · value, of values [tokens, dim] as wide as `out`.
#[inline(always)]
fn mix(weights: &[f32], values: &[f32], out: &mut [f32]) {
    let dim = out.len();
    let mut column = 0;
    while column + 4 * LANES <= dim {
        mix_columns::<4>(weights, values, out, column);
        column += 4 * LANES;
    }
    while column + LANES <= dim {
        mix_columns::<1>(weights, values, out, column);
        column += LANES;
    }
    for (weight, value) in weights.iter().zip(values.chunks_exact(dim)) {
        for (out, value) in out[column..].iter_mut().zip(&value[column..]) {
            *out = weight.mul_add(*value, *out);
        }
    }
}

/// The same of `N` vectors of columns from `column` on.
#[inline(always)]
fn mix_columns<const N: usize>(weights: &[f32], values: &[f32], out: &mut [f32], column: usize) {
    let dim = out.len();
    let mut sums = [[0.0; LANES]; N];
    sums.as_flattened_mut().copy_from_slice(&out[column..column + N * LANES]);
    for (weight, value) in weights.iter().zip(values.chunks_exact(dim)) {
        let (value, _) = value[column..column + N * LANES].as_chunks::<LANES>();
        for (sums, value) in sums.iter_mut().zip(value) {
            for i in 0..LANES {
                sums[i] = weight.mul_add(value[i], sums[i]);
            }
        }
    }
    out[column..column + N * LANES].copy_from_slice(sums.as_flattened());
}
