//! Softmax over the visible part of a block of score rows, and its gradient.

use super::BLOCK;
use crate::kernel::lanes::{exp, max, sum, tanh};
use crate::kernel::simd;

/// Which columns the rows of a block see. Column c is the key at position `low + c`.
pub struct Visible {
    /// Position of the first column.
    pub low: usize,
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
}

/// Rows of raw scores become probabilities.
pub fn softmax(
    scores: &mut [f32],
    seen: usize,
    visible: &Visible,
    scale: f32,
    (cap, slope): (Option<f32>, f32),
    logs: &mut [f32],
) {
    simd(
        #[inline(always)]
        || {
            for (i, row) in scores.chunks_exact_mut(seen).enumerate() {
                let (first, end) = visible.range(i);
                row[..first].fill(0.0);
                row[end..].fill(0.0);
                let row = &mut row[first..end];
                let scale = shape_scores(row, scale, cap, slope);
                let top = max(row) * scale;
                for x in row.iter_mut() {
                    *x = exp(*x * scale - top);
                }
                let total = sum(row, |x| x);
                logs[i] = top + total.ln();
                let inverse = 1.0 / total;
                row.iter_mut().for_each(|x| *x *= inverse);
            }
        },
    );
}

/// Caps and biases a row of raw scores; answers with the factor that is still to be applied.
#[inline(always)]
fn shape_scores(row: &mut [f32], scale: f32, cap: Option<f32>, slope: f32) -> f32 {
    if cap.is_none() && slope == 0.0 {
        return scale;
    }
    if let Some(cap) = cap {
        row.iter_mut().for_each(|x| *x = cap * tanh(*x * scale / cap));
    } else {
        row.iter_mut().for_each(|x| *x *= scale);
    }
    add_slope(row, slope);
    1.0
}

/// Adds slope · (j − i); the last column is the query's own position.
#[inline(always)]
fn add_slope(row: &mut [f32], slope: f32) {
    let last = row.len() as f32 - 1.0;
    for (j, x) in row.iter_mut().enumerate() {
        *x += slope * (j as f32 - last);
    }
}

/// `p`: raw scores → probabilities; `ds`: dP → p · (dP − delta) · d score / d raw score.
pub fn softmax_gradient(
    (p, ds): (&mut [f32], &mut [f32]),
    seen: usize,
    visible: &Visible,
    scale: f32,
    (cap, slope): (Option<f32>, f32),
    (logs, deltas): (&[f32], &[f32]),
) {
    simd(
        #[inline(always)]
        || {
            for (i, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).enumerate() {
                let (first, end) = visible.range(i);
                for row in [&mut *p, &mut *ds] {
                    row[..first].fill(0.0);
                    row[end..].fill(0.0);
                }
                let (p, ds) = (&mut p[first..end], &mut ds[first..end]);
                let (log, delta) = (logs[i], deltas[i]);
                if let Some(cap) = cap {
                    let last = p.len() as f32 - 1.0;
                    for (j, (p, ds)) in p.iter_mut().zip(ds).enumerate() {
                        let bent = tanh(*p * scale / cap);
                        *p = exp(cap * bent + slope * (j as f32 - last) - log);
                        *ds = *p * (*ds - delta) * (1.0 - bent * bent) * scale;
                    }
                    continue;
                }
                let rest = shape_scores(p, scale, None, slope);
                for (p, ds) in p.iter_mut().zip(ds) {
                    *p = exp(*p * rest - log);
                    *ds = *p * (*ds - delta) * scale;
                }
            }
        },
    );
}
