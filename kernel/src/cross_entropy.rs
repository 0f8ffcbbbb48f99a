//! Cross entropy over a block of logits, and its gradient in place.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{exp, max};
use super::simd;

/// What one row of logits says of its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowLoss {
    /// −Σ t·log softmax(logits): t is one at the target, or, smoothed, 1 − ε there and ε spread evenly over all.
    pub loss: f32,
    /// Whether the target has the largest logit.
    pub correct: bool,
}

/// What the losses of rows are multiplied by in the loss of all of them.
#[derive(Clone, Copy, Debug)]
pub enum RowWeights<'a> {
    /// The same for each.
    Same(f32),
    /// One a row.
    Each(&'a [f32]),
}

impl<'a> RowWeights<'a> {
    #[inline]
    fn of(&self, row: usize) -> f32 {
        match self {
            RowWeights::Same(weight) => *weight,
            RowWeights::Each(weights) => weights[row],
        }
    }

    /// Those of some of the rows.
    pub fn part(&self, rows: Range<usize>) -> RowWeights<'a> {
        match *self {
            RowWeights::Same(weight) => RowWeights::Same(weight),
            RowWeights::Each(weights) => RowWeights::Each(&weights[rows]),
        }
    }

    /// All of them, of so many rows.
    pub fn to_vec(&self, rows: usize) -> Vec<f32> {
        (0..rows).map(|row| self.of(row)).collect()
    }
}

/// For each row of `vocab` logits: its loss, smoothed by `smoothing` (Szegedy et al. 2016, section 7); the row becomes
/// (softmax − t) · its weight.
pub fn loss_and_gradient(
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
    smoothing: f32,
    weights: RowWeights,
) -> Vec<RowLoss> {
    logits
        .par_chunks_mut(vocab)
        .zip(targets.par_iter())
        .enumerate()
        .map(|(index, (row, target))| {
            let scale = weights.of(index);
            simd(
                #[inline(always)]
                || {
                    let (result, top, total) = row_loss(row, *target, smoothing);
                    let factor = scale / total;
                    let everywhere = scale * smoothing / vocab as f32;
                    for x in row.iter_mut() {
                        *x = exp(*x - top) * factor - everywhere;
                    }
                    row[*target as usize] -= scale * (1.0 - smoothing);
                    result
                },
            )
        })
        .collect()
}

/// The losses alone; the logits stay.
pub fn loss(logits: &[f32], vocab: usize, targets: &[u32], smoothing: f32) -> Vec<RowLoss> {
    logits
        .par_chunks(vocab)
        .zip(targets.par_iter())
        .map(|(row, target)| {
            simd(
                #[inline(always)]
                || row_loss(row, *target, smoothing).0,
            )
        })
        .collect()
}

/// (loss, largest logit, Σ e^(x − largest))
#[inline(always)]
fn row_loss(row: &[f32], target: u32, smoothing: f32) -> (RowLoss, f32, f32) {
    let top = max(row);
    let total = super::lanes::sum(row, |x| exp(x - top));
    let own = row[target as usize];
    // torch's argmax takes one of equal maxima; ties between distinct tokens do not occur in practice.
    let mut loss = top + total.ln() - own;
    if smoothing > 0.0 {
        let mean = top + super::lanes::sum(row, |x| x - top) / row.len() as f32;
        loss += smoothing * (own - mean);
    }
    (RowLoss { loss, correct: own >= top }, top, total)
}
