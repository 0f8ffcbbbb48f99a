//! Cross entropy over a block of logits, and its gradient in place.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{exp, max};
use super::simd;

/// What one row of logits says of its target.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowLoss {
    /// −log softmax(logits)[target]
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

/// For each row of `vocab` logits: its loss; the row becomes (softmax − one-hot) · its weight.
pub fn loss_and_gradient(
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
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
                    let (result, top, total) = row_loss(row, *target);
                    let factor = scale / total;
                    for x in row.iter_mut() {
                        *x = exp(*x - top) * factor;
                    }
                    row[*target as usize] -= scale;
                    result
                },
            )
        })
        .collect()
}

/// The losses alone; the logits stay.
pub fn loss(logits: &[f32], vocab: usize, targets: &[u32]) -> Vec<RowLoss> {
    logits
        .par_chunks(vocab)
        .zip(targets.par_iter())
        .map(|(row, target)| {
            simd(
                #[inline(always)]
                || row_loss(row, *target).0,
            )
        })
        .collect()
}

/// (loss, largest logit, Σ e^(x − largest))
#[inline(always)]
fn row_loss(row: &[f32], target: u32) -> (RowLoss, f32, f32) {
    let top = max(row);
    let total = super::lanes::sum(row, |x| exp(x - top));
    let own = row[target as usize];
    // torch's argmax takes one of equal maxima; ties between distinct tokens do not occur in practice.
    (RowLoss { loss: top + total.ln() - own, correct: own >= top }, top, total)
}
