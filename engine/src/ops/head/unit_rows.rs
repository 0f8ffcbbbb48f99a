//! Output matrices whose rows are scaled to length one (Baichuan 2's NormHead).

use rayon::prelude::*;

use super::Head;
use crate::Result;
use crate::autograd::ParamGradients;
use crate::kernel::lanes::dot;
use crate::kernel::{rows_per_task, simd, uninit};
use crate::tensor::view;

impl Head {
    /// Of each token, what its logit is multiplied by: the reciprocal length of its row.
    pub(super) fn factors(&self) -> Result<Option<Vec<f32>>> {
        if !self.unit_rows {
            return Ok(None);
        }
        let dim = self.hidden_dim();
        let length = |row: &[f32]| {
            let square = simd(
                #[inline(always)]
                || dot(row, row),
            );
            1.0 / square.sqrt().max(1e-12)
        };
        let tokens: Vec<u32> = (0..self.vocab() as u32).collect();
        let parts = tokens.par_chunks(rows_per_task(dim)).map(|tokens| {
            let mut rows = uninit(tokens.len() * dim);
            self.linear.weight.rows(tokens, &mut rows)?;
            Ok(rows.chunks_exact(dim).map(length).collect())
        });
        Ok(Some(parts.collect::<Result<Vec<Vec<f32>>>>()?.concat()))
    }

    /// The part of the matrix's gradient that goes through the lengths of its rows:
    /// dW[j] −= Σᵢ d[i, j] · (xᵢ·wⱼ) · wⱼ / |wⱼ|², d being the gradient by the raw products.
    pub(super) fn unit_gradient(
        &self,
        d: &[f32],
        logits: &[f32],
        factors: &[f32],
        grads: &mut ParamGradients,
    ) -> Result<()> {
        let (dim, vocab) = (self.hidden_dim(), self.vocab());
        let Some(weight) = self.linear.weight.trained() else { return Ok(()) };
        let mut along = vec![0.0; vocab];
        for (d, z) in d.chunks_exact(vocab).zip(logits.chunks_exact(vocab)) {
            for j in 0..vocab {
                along[j] += d[j] * z[j] / (factors[j] * self.scale);
            }
        }
        let values = view(&weight.tensor)?;
        let values = values.elements()?;
        grads.accumulate(weight, |dw| {
            dw.par_chunks_exact_mut(dim).enumerate().for_each_init(
                || uninit(dim),
                |w, (j, dw)| {
                    values.copy_to(j * dim, w);
                    let factor = along[j] * factors[j] * factors[j];
                    dw.iter_mut().zip(w).for_each(|(dw, w)| *dw -= factor * *w);
                },
            );
        })
    }
}

/// Multiplies each column of rows by its factor.
pub(super) fn multiply_columns(rows: &mut [f32], factors: &[f32]) {
    rows.par_chunks_exact_mut(factors.len()).for_each(|row| {
        row.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
    });
}
