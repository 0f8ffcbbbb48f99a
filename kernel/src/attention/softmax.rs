//! Softmax over the visible part of a block of score rows, and its gradient.

use super::{BLOCK, Slope};
use crate::lanes::{LANES, exp, max, sum, tanh};
use crate::simd;

/// Length of a row of scores of `seen` keys: whole vectors, so that no row ends in scalar work, and an odd number of
/// them, so that a column's cache lines spread over all sets of the cache.
pub(super) fn row_length(seen: usize) -> usize {
    (seen.div_ceil(LANES) | 1) * LANES
}

/// Which columns the rows of a block see. Column c is the key at position `low + c`.
pub(super) struct Visible {
    /// Position of the first column.
    pub low: usize,
    /// Leading positions that are padding.
    pub padding: usize,
    /// First visible column of each row, and the one after the last.
    pub firsts: [usize; BLOCK],
    pub ends: [usize; BLOCK],
}

impl Visible {
    /// Row i sees columns `range.0..range.1`.
    #[inline(always)]
    fn range(&self, row: usize) -> (usize, usize) {
        (self.firsts[row], self.ends[row])
    }

    /// Position of column `column`, counted from the first that is not padding.
    #[inline(always)]
    fn position(&self, column: usize) -> usize {
        (self.low + column).saturating_sub(self.padding)
    }
}

/// What becomes of a raw score before the softmax: scale, cap, and a bias that falls with the distance.
#[derive(Clone, Copy)]
pub(super) struct ScoreRule {
    pub scale: f32,
    pub cap: Option<f32>,
    pub slope: Option<Slope>,
}

impl ScoreRule {
    /// Caps and biases a row of raw scores, the first of which is at `position`; answers with the factor that is still to
    /// be applied.
    #[inline(always)]
    fn apply(self, row: &mut [f32], position: usize) -> f32 {
        let ScoreRule { scale, cap, slope } = self;
        if cap.is_none() && slope.is_none() {
            return scale;
        }
        if let Some(cap) = cap {
            for x in row.iter_mut() {
                *x = cap * tanh(*x * scale / cap);
            }
        } else {
            row.iter_mut().for_each(|x| *x *= scale);
        }
        if let Some(slope) = slope {
            slope.add(row, position);
        }
        1.0
    }
}

/// The whole vectors of a row that hold what it sees; what they hold besides is set to `hidden`, and what
/// lies outside of them to zero.
#[inline(always)]
fn vectors(row: &mut [f32], (first, end): (usize, usize), hidden: f32) -> &mut [[f32; LANES]] {
    let (low, high) = (first / LANES * LANES, end.next_multiple_of(LANES));
    row[..low].fill(0.0);
    row[low..first].fill(hidden);
    row[end..high].fill(hidden);
    row[high..].fill(0.0);
    row[low..high].as_chunks_mut().0
}

/// Rows of raw scores, each of [`row_length`], become probabilities.
pub(super) fn softmax(scores: &mut [f32], seen: usize, visible: &Visible, rule: ScoreRule, logs: &mut [f32]) {
    simd(
        #[inline(always)]
        || {
            for (i, row) in scores.chunks_exact_mut(row_length(seen)).enumerate() {
                let (first, end) = visible.range(i);
                let scale = rule.apply(&mut row[first..end], visible.position(first));
                let row = vectors(row, (first, end), f32::NEG_INFINITY);
                let top = max(row.as_flattened()) * scale;
                row.as_flattened_mut().iter_mut().for_each(|x| *x = exp(*x * scale - top));
                let total = sum(row.as_flattened(), |x| x);
                logs[i] = top + total.ln();
                let inverse = 1.0 / total;
                row.as_flattened_mut().iter_mut().for_each(|x| *x *= inverse);
            }
        },
    );
}

/// `p`: raw scores → probabilities, in rows of [`row_length`]; `ds`: dP → p · (dP − delta) · d score / d raw score.
pub(super) fn softmax_gradient(
    p: &mut [f32],
    ds: &mut [f32],
    seen: usize,
    visible: &Visible,
    rule: ScoreRule,
    logs: &[f32],
    deltas: &[f32],
) {
    simd(
        #[inline(always)]
        || {
            let length = row_length(seen);
            for (i, (p, ds)) in p.chunks_exact_mut(length).zip(ds.chunks_exact_mut(length)).enumerate() {
                let (first, end) = visible.range(i);
                let (log, delta) = (logs[i], deltas[i]);
                let (scale, position) = (rule.scale, visible.position(first));
                if let Some(cap) = rule.cap {
                    // What the cap does to a score is known from the raw one alone.
                    for (p, ds) in p[first..end].iter().zip(&mut ds[first..end]) {
                        let bent = tanh(*p * scale / cap);
                        *ds = (*ds - delta) * (1.0 - bent * bent) * scale;
                    }
                    rule.apply(&mut p[first..end], position);
                    for (p, ds) in p[first..end].iter_mut().zip(&mut ds[first..end]) {
                        *p = exp(*p - log);
                        *ds *= *p;
                    }
                    vectors(p, (first, end), 0.0);
                    vectors(ds, (first, end), 0.0);
                    continue;
                }
                let rest = rule.apply(&mut p[first..end], position);
                let p = vectors(p, (first, end), f32::NEG_INFINITY);
                let ds = vectors(ds, (first, end), 0.0);
                for (p, ds) in p.iter_mut().zip(ds) {
                    for (p, ds) in p.iter_mut().zip(ds) {
                        *p = exp(*p * rest - log);
                        *ds = *p * (*ds - delta) * scale;
                    }
                }
            }
        },
    );
}
