//! Cross entropy over a block of logits, and its gradient in place.

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

/// For each row of `vocab` logits: its loss; the row becomes (softmax − one-hot) · `scale`.
pub fn loss_and_gradient(logits: &mut [f32], vocab: usize, targets: &[u32], scale: f32) -> Vec<RowLoss> {
    logits
        .par_chunks_mut(vocab)
        .zip(targets.par_iter())
        .map(|(row, target)| {
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
