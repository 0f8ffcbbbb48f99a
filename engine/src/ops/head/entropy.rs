//! How undecided a model is of its next tokens.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Head, Label};
use crate::Result;
use crate::device::has_kernels;
use crate::ops::Mode;

impl Head {
    /// The entropy, in nats, that the `count` likeliest tokens of each label's position have among themselves.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn entropies(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        count: usize,
        mode: &Mode,
    ) -> Result<Vec<f32>> {
        let count = count.clamp(1, self.vocab());
        if !has_kernels(hidden) {
            return self.plain_entropies(hidden, labels, count, mode);
        }
        let (map, factors) = (mode.adapted(&self.linear)?, self.factors()?);
        let mut entropies = Vec::with_capacity(labels.len());
        for block in self.blocks(labels) {
            let mut logits = self.run(&map, hidden, block, factors.as_deref(), mode)?.logits;
            let rows = logits.par_chunks_exact_mut(self.vocab()).map(|row| {
                row.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
                entropy(&row[..count])
            });
            entropies.extend(rows.collect::<Vec<f32>>());
        }
        Ok(entropies)
    }
}

/// −Σ p·ln p of p = softmax(logits), which is ln Σ eˣ − Σ p·x.
fn entropy(logits: &[f32]) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut mean) = (0.0, 0.0);
    for x in logits {
        let weight = (x - top).exp();
        total += weight;
        mean += weight * (x - top);
    }
    total.ln() - mean / total
}
