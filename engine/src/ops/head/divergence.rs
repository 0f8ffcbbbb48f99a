//! How far a model's next tokens are from those of another one: KL(q ‖ p) = Σ q·(ln q − ln p), q being the other's.

use candle_core::Tensor;
use rayon::prelude::*;

use super::{Head, Label};
use crate::autograd::ParamGradients;
use crate::device::has_kernels;
use crate::ops::Mode;
use crate::tensor::from_vec;
use crate::{Error, Result};

/// The model that another one is held to: its head, how that is computed, and its hidden states [rows, hidden] of the same
/// batch.
#[derive(Clone, Copy)]
pub struct Reference<'a> {
    /// Its head.
    pub head: &'a Head,
    /// The adapter that it is computed with.
    pub mode: &'a Mode,
    /// Its hidden states, before the final norm.
    pub hidden: &'a Tensor,
}

impl Head {
    /// The divergences of the labels' places, summed; gradients of `weight` times that go to `grads`, and that by the hidden
    /// states [rows, hidden] is the second part of the answer.
    ///
    /// # Errors
    /// The two know different numbers of tokens, or an operation fails.
    pub fn divergence_and_gradient(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        reference: Reference,
        weight: f32,
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<(f64, Tensor)> {
        let (own, other) = (self.vocab(), reference.head.vocab());
        if own != other {
            let message =
                format!("has {other} tokens and the trained model {own}; they must have the same ones");
            return Err(Error::recipe("ref_model", message));
        }
        if has_kernels(hidden) {
            self.fast_divergence(hidden, labels, reference, weight, grads, mode)
        } else {
            self.plain_divergence(hidden, labels, reference, weight, grads, mode)
        }
    }

    fn fast_divergence(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        reference: Reference,
        weight: f32,
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<(f64, Tensor)> {
        let (map, factors) = (mode.adapted(&self.linear)?, self.factors()?);
        let Reference { head: other, mode: other_mode, hidden: other_hidden } = reference;
        let (other_map, other_factors) = (other_mode.adapted(&other.linear)?, other.factors()?);
        let mut d_hidden = vec![0.0; hidden.elem_count()];
        let mut total = 0.0;
        for block in self.blocks(labels) {
            let mut rows = self.run(&map, hidden, block, factors.as_deref(), mode)?;
            let kept = self.kept(&rows);
            let wanted =
                other.run(&other_map, other_hidden, block, other_factors.as_deref(), other_mode)?.logits;
            let vocab = self.vocab();
            let each = rows.logits.par_chunks_exact_mut(vocab).zip(wanted.par_chunks_exact(vocab));
            let divergences: Vec<f64> = each.map(|(own, wanted)| diverge(own, wanted, weight)).collect();
            total += divergences.into_iter().sum::<f64>();
            self.shape_gradient(&mut rows.logits, kept.as_deref(), factors.as_deref());
            if let (Some(logits), Some(factors)) = (&kept, &factors) {
                self.unit_gradient(&rows.logits, logits, factors, grads)?;
            }
            self.backward(&map, block, &mut rows, &mut d_hidden, grads, mode)?;
        }
        Ok((total, from_vec(d_hidden, hidden.shape())?))
    }
}

/// KL(softmax(other) ‖ softmax(own)); its derivative by `own` times `weight`, weight · (p − q), takes the place of that.
fn diverge(own: &mut [f32], other: &[f32], weight: f32) -> f64 {
    let (own_level, other_level) = (level(own), level(other));
    let mut divergence = 0.0;
    for (z, r) in own.iter_mut().zip(other) {
        let (log_p, log_q) = (*z - own_level, r - other_level);
        let q = log_q.exp();
        divergence += f64::from(q * (log_q - log_p));
        *z = weight * (log_p.exp() - q);
    }
    divergence
}

/// ln Σ eˣ
fn level(logits: &[f32]) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    top + logits.iter().map(|x| (x - top).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against differences of the definition, in double precision.
    #[test]
    fn the_gradient_is_that_of_the_divergence() {
        let (own, other) = ([0.3f32, -1.2, 2.0, 0.1], [1.0f32, 0.5, -0.7, 0.2]);
        let softmax = |logits: &[f64]| {
            let total: f64 = logits.iter().map(|x| x.exp()).sum();
            logits.iter().map(|x| x.exp() / total).collect::<Vec<_>>()
        };
        let wide = |logits: &[f32]| logits.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        let divergence = |own: &[f64]| -> f64 {
            let (p, q) = (softmax(own), softmax(&wide(&other)));
            p.iter().zip(q).map(|(p, q)| q * (q / p).ln()).sum()
        };
        let mut gradient = own;
        let found = diverge(&mut gradient, &other, 0.5);
        assert!((found - divergence(&wide(&own))).abs() < 1e-6, "{found}");
        for (place, slope) in gradient.iter().enumerate() {
            let at = |by: f64| {
                let mut moved = wide(&own);
                moved[place] += by;
                divergence(&moved)
            };
            let difference = 0.5 * (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(*slope) - difference).abs() < 1e-6, "{place}: {slope}, {difference}");
        }
    }
}
