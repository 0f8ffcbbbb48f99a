//! Weights split into direction and magnitude (DoRA, Liu et al. 2024): W' = m · V / ‖V‖ with V = W + s·B·A and the norm
//! of each row, which is an output.
//!
//! As the paper says (section 4.3) and PEFT does, ‖V‖ follows the update but is a constant to its gradient. With masks
//! what goes through V alone is masked: y = W·x + (g·V − W)·drop(x) + b with the gains g = m / ‖V‖.

use std::sync::Arc;

use candle_core::Tensor;

use super::linear::{Linear, Part, PartMut, Stretch};
use super::lora::Lora;
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::gemm::{MatMut, MatRef, Options};
use crate::kernel::{column_sums, uninit};
use crate::tensor::view;

/// Magnitudes of a map's outputs.
#[derive(Debug, Clone)]
pub struct Magnitude {
    /// m [out]
    pub vector: Arc<Param>,
    /// ‖W‖² of each row of the frozen weight [out].
    pub squares: Arc<Vec<f32>>,
}

/// What each output is multiplied by, for as long as the update stays as it is.
pub(super) struct Gains {
    /// ‖V‖ [out]
    norms: Vec<f32>,
    /// m / ‖V‖ [out]
    gains: Vec<f32>,
}

impl Lora {
    /// The same update with magnitudes: those given, or ‖V‖, with which the map is what it is without them.
    ///
    /// # Errors
    /// If the weight cannot be read.
    pub fn with_magnitude(self, linear: &Linear, magnitude: Option<Tensor>) -> Result<Lora> {
        let norms = self.plain_norms(linear)?;
        let vector = linear.beside("lora_magnitude_vector", magnitude.unwrap_or(norms))?;
        let squares = Arc::new(linear.matrix()?.sqr()?.sum(1)?.to_vec1()?);
        Ok(Lora { magnitude: Some(Magnitude { vector, squares }), ..self })
    }

    /// ‖V‖ of each row, from products of the few rows of A with the weight:
    /// ‖w + s·b·A‖² = ‖w‖² + 2s·b·(A·w) + s²·b·(A·Aᵀ)·bᵀ.
    ///
    /// # Errors
    /// If a tensor is not of the type that kernels read.
    pub(super) fn norms(&self, linear: &Linear, squares: &[f32]) -> Result<Vec<f32>> {
        let (rank, n, k) = (self.rank(), linear.out_dim(), linear.in_dim());
        let (a, b) = (view(&self.a.tensor)?, view(&self.b.tensor)?);
        let (a, b) = (a.f32()?, b.f32()?);
        let rows = Stretch { first: 0, count: rank, dropout: None, bf16: false, alone: false };
        let (mut along, mut gram) = (uninit(rank * n), uninit(rank * rank));
        let a = MatRef::f32(a, rank, k);
        linear.products(rows).by_transposed(MatMut::f32(&mut along, rank, n), a, Options::default())?;
        rows.product(MatMut::f32(&mut gram, rank, rank), a, a.t(), Options::default());
        let scale = f64::from(self.scale);
        let norm = |(j, b): (usize, &[f32])| {
            let (mut linear, mut square) = (0.0, 0.0);
            for (r, x) in b.iter().enumerate() {
                let row: f64 = b.iter().zip(&gram[r * rank..]).map(|(y, g)| f64::from(y * g)).sum();
                linear += f64::from(x * along[r * n + j]);
                square += f64::from(*x) * row;
            }
            let squared = f64::from(squares[j]) + scale * (2.0 * linear + scale * square);
            squared.max(0.0).sqrt() as f32
        };
        Ok(b.chunks_exact(rank).enumerate().map(norm).collect())
    }

    /// What outputs are multiplied by, if the update has magnitudes.
    pub(super) fn gains(&self, linear: &Linear) -> Result<Option<Gains>> {
        let Some(magnitude) = &self.magnitude else { return Ok(None) };
        let norms = self.norms(linear, &magnitude.squares)?;
        let magnitude = view(&magnitude.vector.tensor)?;
        let gains = magnitude.f32()?.iter().zip(&norms).map(|(m, norm)| m / norm).collect();
        Ok(Some(Gains { norms, gains }))
    }

    /// V·drop(x) of some rows [rows, out].
    fn direction(&self, linear: &Linear, dropped: &[f32], hidden: Part, rows: Stretch) -> Result<Vec<f32>> {
        let n = linear.out_dim();
        let mut z = uninit(rows.count * n);
        let b = view(&self.b.tensor)?;
        let extra = (self.columns(hidden, rows), MatRef::f32(b.f32()?, n, self.rank()).t());
        linear.products(rows).by_transposed(
            MatMut::f32(&mut z, rows.count, n),
            MatRef::f32(dropped, rows.count, linear.in_dim()),
            Options { extra: Some(extra), bf16: rows.bf16, ..Options::default() },
        )?;
        Ok(z)
    }
}

impl Gains {
    /// Writes a map's columns of y = [residual +] W·(x − drop x) + g·V·drop(x) + b.
    pub(super) fn apply(
        &self,
        (linear, lora): (&Linear, &Lora),
        x: &[f32],
        (y, column, stride): PartMut,
        residual: Option<&[f32]>,
        hidden: Part,
        rows: Stretch,
    ) -> Result<()> {
        let dropped = lora.mask(rows.dropout).map(|mask| mask.apply(x, rows.first * linear.in_dim()));
        let z = lora.direction(linear, dropped.as_deref().unwrap_or(x), hidden, rows)?;
        match dropped {
            Some(mut left) => {
                left.iter_mut().zip(x).for_each(|(left, x)| *left = x - *left);
                linear.apply(&left, (&mut *y, column, stride), residual, None, rows)?;
            }
            None if !linear.begin((&mut *y, column, stride), residual)? => {
                y.chunks_mut(stride).for_each(|y| y[column..column + self.gains.len()].fill(0.0));
            }
            None => {}
        }
        for (y, z) in y.chunks_mut(stride).zip(z.chunks_exact(self.gains.len())) {
            let y = y[column..].iter_mut();
            y.zip(z.iter().zip(&self.gains)).for_each(|(y, (z, gain))| *y += gain * z);
        }
        Ok(())
    }

    /// Adds the gradients of A, B and m to `grads`, and writes or adds that of x, if it is wanted. What V gives is
    /// computed again, as what norms and activations give is.
    pub(super) fn backward(
        &self,
        (linear, lora): (&Linear, &Lora),
        x: &[f32],
        ((dy, column, stride), hidden): (Part, Part),
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (n, k) = (linear.out_dim(), linear.in_dim());
        let mask = lora.mask(rows.dropout);
        let of_row = |row: usize| &dy[row * stride + column..][..n];
        if let Some(magnitude) = lora.magnitude.as_ref().filter(|magnitude| magnitude.vector.trainable) {
            let dropped = mask.as_ref().map(|mask| mask.apply(x, rows.first * k));
            let z = lora.direction(linear, dropped.as_deref().unwrap_or(x), hidden, rows)?;
            grads.accumulate(&magnitude.vector, |dm| {
                column_sums(
                    rows.count,
                    dm,
                    #[inline(always)]
                    |row, total| {
                        let products = of_row(row).iter().zip(&z[row * n..]).zip(&self.norms);
                        total.iter_mut().zip(products).for_each(|(dm, ((dy, z), norm))| *dm += dy * z / norm);
                    },
                );
            })?;
        }
        let mut dz = uninit(rows.count * n);
        for (row, dz) in dz.chunks_exact_mut(n).enumerate() {
            let products = of_row(row).iter().zip(&self.gains);
            dz.iter_mut().zip(products).for_each(|(dz, (dy, gain))| *dz = dy * gain);
        }
        let dz_matrix = MatRef::f32(&dz, rows.count, n);
        let du = lora.gradients(x, k, dz_matrix, lora.columns(hidden, rows), grads, rows)?;
        let Some((dx, accumulate)) = dx else { return Ok(()) };
        let a = view(&lora.a.tensor)?;
        let rank = lora.rank();
        let extra = Some((MatRef::f32(&du, rows.count, rank), MatRef::f32(a.f32()?, rank, k)));
        let Some(mask) = mask else {
            return linear.input_gradient((&dz, 0, n), (dx, accumulate), extra, rows);
        };
        linear.input_gradient((dy, column, stride), (&mut *dx, accumulate), None, rows)?;
        for (row, dz) in dz.chunks_exact_mut(n).enumerate() {
            dz.iter_mut().zip(of_row(row)).for_each(|(dz, dy)| *dz -= dy);
        }
        let mut masked = uninit(rows.count * k);
        linear.input_gradient((&dz, 0, n), (&mut masked, false), extra, rows)?;
        mask.add_to(dx, &masked, rows.first * k);
        Ok(())
    }
}
