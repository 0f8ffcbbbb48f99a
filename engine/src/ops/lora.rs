//! Low-rank updates of linear maps, and their gradients.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::adapter::Adapted;
use super::dora::Magnitude;
use super::dropout::{self, Dropout};
use super::linear::{Linear, Part, PartMut, Stretch};
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::gemm::{MatMut, MatRef, Options};
use crate::kernel::uninit;
use crate::tensor::view;

/// A low-rank update s·B·A of a weight (Hu et al. 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    /// [rank, in]
    pub a: Arc<Param>,
    /// [out, rank]
    pub b: Arc<Param>,
    /// Factor on the update.
    pub scale: f32,
    /// Probability with which an input of A is dropped while training.
    pub dropout: f32,
    /// Tells the masks of different maps apart.
    pub key: u64,
    /// Scales each output, if weights are split into direction and magnitude (DoRA).
    pub magnitude: Option<Magnitude>,
}

/// Gradients of a LoRA; empty ones of what is not trained.
#[derive(Default)]
struct LoraGradients {
    /// [rank, in]
    a: Vec<f32>,
    /// [rank, out]: its few rows cost one pass over dy.
    b_transposed: Vec<f32>,
}

fn add_to(total: &mut [f32], part: &[f32]) {
    total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
}

/// The width of what [`hidden`] gives.
pub(super) fn total_rank(maps: &[Adapted]) -> usize {
    maps.iter().map(Adapted::rank).sum()
}

/// s·drop(x)·Aᵀ of maps that share an input, side by side: [rows, sum of their ranks].
pub(super) fn hidden(maps: &[Adapted], x: &[f32], out: &mut [f32], rows: Stretch) -> Result<()> {
    let (stride, mut column) = (total_rank(maps), 0);
    let mask = |map: &Adapted| map.low_rank().and_then(|lora| lora.mask(rows.dropout));
    let masked = maps.iter().any(|map| mask(map).is_some());
    // Without masks one product serves all: narrow ones waste most of a vector.
    let together = if masked { 1 } else { maps.len().max(1) };
    for maps in maps.chunks(together) {
        let (rank, k) = (total_rank(maps), maps[0].linear.in_dim());
        if rank == 0 {
            continue;
        }
        let mut all = Vec::with_capacity(rank * k);
        for lora in maps.iter().filter_map(Adapted::low_rank) {
            all.extend(view(&lora.a.tensor)?.f32()?.iter().map(|a| a * lora.scale));
        }
        let dropped = mask(&maps[0]).map(|mask| mask.apply(x, rows.first * k));
        rows.product(
            MatMut::columns(out, rows.count, stride, column, rank),
            MatRef::f32(dropped.as_deref().unwrap_or(x), rows.count, k),
            MatRef::f32(&all, rank, k).t(),
            Options::default(),
        );
        column += rank;
    }
    Ok(())
}

impl Lora {
    /// The update s·B·A of a map, of A [rank, in] and B [out, rank], to be trained.
    ///
    /// # Errors
    /// If a tensor cannot be moved to where the map's weight is.
    pub fn new(linear: &Linear, a: Tensor, b: Tensor, scale: f32) -> Result<Lora> {
        let [a, b] =
            [(a, "lora_A.weight"), (b, "lora_B.weight")].map(|(tensor, part)| linear.beside(part, tensor));
        Ok(Lora { a: a?, b: b?, scale, dropout: 0.0, key: 0, magnitude: None })
    }

    /// W + s·B·A of a weight W [out, in] in f32, or its direction times the magnitudes.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn merged(&self, weight: &Tensor) -> Result<Tensor> {
        let update = (self.b.tensor.matmul(&self.a.tensor)? * f64::from(self.scale))?;
        let sum = (weight + update)?;
        let Some(magnitude) = &self.magnitude else { return Ok(sum) };
        let norms = sum.sqr()?.sum_keepdim(1)?.sqrt()?;
        Ok(sum.broadcast_mul(&magnitude.vector.tensor.unsqueeze(1)?.div(&norms)?)?)
    }

    /// Rows of A.
    pub fn rank(&self) -> usize {
        self.a.tensor.dims()[0]
    }

    pub(super) fn mask(&self, dropout: Dropout) -> Option<dropout::Mask> {
        dropout.filter(|_| self.dropout > 0.0).map(|seed| dropout::Mask::new(seed, self.key, self.dropout))
    }

    /// The matrices, and the magnitudes where there are any.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        [&self.a, &self.b].into_iter().chain(self.magnitude.iter().map(|magnitude| &magnitude.vector))
    }

    /// y = [residual +] x·Wᵀ + b + hidden·Bᵀ
    pub(super) fn apply(
        &self,
        linear: &Linear,
        x: &[f32],
        y: PartMut,
        residual: Option<&[f32]>,
        hidden: Part,
        rows: Stretch,
    ) -> Result<()> {
        let b = view(&self.b.tensor)?;
        let extra = (self.columns(hidden, rows), MatRef::f32(b.f32()?, linear.out_dim(), self.rank()).t());
        linear.apply(x, y, residual, Some(extra), rows)
    }

    /// Adds the gradients of A and B to `grads`, and writes or adds dx = dy·W + drop(s·dy·B·A), if it is wanted.
    pub(super) fn backward(
        &self,
        linear: &Linear,
        x: &[f32],
        ((dy, column, stride), hidden): (Part, Part),
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (n, k) = (linear.out_dim(), linear.in_dim());
        let dy_matrix = MatRef::columns(dy, rows.count, stride, column, n);
        let du = self.gradients(x, k, dy_matrix, self.columns(hidden, rows), grads, rows)?;
        let Some((dx, accumulate)) = dx else { return Ok(()) };
        let a = view(&self.a.tensor)?;
        let through = (MatRef::f32(&du, rows.count, self.rank()), MatRef::f32(a.f32()?, self.rank(), k));
        let mask = self.mask(rows.dropout);
        let extra = mask.is_none().then_some(through);
        linear.input_gradient((dy, column, stride), (&mut *dx, accumulate), extra, rows)?;
        if let Some(mask) = mask {
            let mut masked = uninit(rows.count * k);
            rows.product(MatMut::f32(&mut masked, rows.count, k), through.0, through.1, Options::default());
            mask.add_to(dx, &masked, rows.first * k);
        }
        Ok(())
    }

    /// This map's columns of what [`hidden`] gave.
    pub(super) fn columns<'a>(&self, (hidden, column, stride): Part<'a>, rows: Stretch) -> MatRef<'a> {
        MatRef::columns(hidden, rows.count, stride, column, self.rank())
    }

    /// dB += dyᵀ·hidden, dA += duᵀ·drop(x); answers with du = s·dy·B [rows, rank].
    ///
    /// Thin products read much and compute little: threads share the rows, and what one has read of dy for du lies in
    /// its cache when dB wants it.
    pub(super) fn gradients(
        &self,
        x: &[f32],
        k: usize,
        dy: MatRef,
        hidden: MatRef,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<Vec<f32>> {
        let rank = self.rank();
        let b = view(&self.b.tensor)?;
        let b = MatRef::f32(b.f32()?, dy.cols(), rank);
        let parts = rows.parts();
        let mut du = uninit(rows.count * rank);
        let len = parts.first().map_or(0, |part| part.count * rank).max(1);
        let work = parts.into_par_iter().zip(du.par_chunks_mut(len)).with_max_len(1);
        let parts: Vec<LoraGradients> = work
            .map(|(part, du)| {
                let first = part.first - rows.first;
                let x = &x[first * k..][..part.count * k];
                let (dy, hidden) = (dy.row_range(first, part.count), hidden.row_range(first, part.count));
                self.gradients_of_rows(x, (dy, b), hidden, du, part)
            })
            .collect();
        if self.a.trainable {
            let add = |da: &mut [f32]| parts.iter().for_each(|part| add_to(da, &part.a));
            grads.accumulate(&self.a, add)?;
        }
        if self.b.trainable {
            let mut total = vec![0.0; dy.cols() * rank];
            parts.iter().for_each(|part| add_to(&mut total, &part.b_transposed));
            grads.accumulate(&self.b, |db| {
                for (r, total) in total.chunks_exact(dy.cols()).enumerate() {
                    db[r..].iter_mut().step_by(rank).zip(total).for_each(|(db, total)| *db += total);
                }
            })?;
        }
        Ok(du)
    }

    /// The same of some rows, by one thread.
    fn gradients_of_rows(
        &self,
        x: &[f32],
        (dy, b): (MatRef, MatRef),
        hidden: MatRef,
        du: &mut [f32],
        rows: Stretch,
    ) -> LoraGradients {
        let (n, rank, k) = (dy.cols(), self.rank(), x.len() / rows.count.max(1));
        let mut gradients = LoraGradients::default();
        rows.product(MatMut::f32(du, rows.count, rank), dy, b, Options::default());
        du.iter_mut().for_each(|h| *h *= self.scale);
        if self.b.trainable {
            gradients.b_transposed = uninit(rank * n);
            let out = MatMut::f32(&mut gradients.b_transposed, rank, n);
            rows.product(out, hidden.t(), dy, Options::default());
        }
        if self.a.trainable {
            let dropped = self.mask(rows.dropout).map(|mask| mask.apply(x, rows.first * k));
            let x = MatRef::f32(dropped.as_deref().unwrap_or(x), rows.count, k);
            gradients.a = uninit(rank * k);
            let out = MatMut::f32(&mut gradients.a, rank, k);
            rows.product(out, MatRef::f32(du, rows.count, rank).t(), x, Options::default());
        }
        gradients
    }
}
