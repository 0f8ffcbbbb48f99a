//! One linear map of rows, y = x·Wᵀ + b, with LoRA folded in, and its gradients.
//!
//! The LoRA product rides in the same pass as the base product, and a frozen weight gets no gradient.

use std::sync::Arc;

use rayon::prelude::*;

use super::dropout::{self, Dropout};
use super::weight::{Products, Weight};
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::gemm::{MatMut, MatRef, Options, product};
use crate::kernel::{column_sums, rows_per_task, uninit};
use crate::tensor::view;

/// One linear map.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Module name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj`.
    pub name: String,
    pub weight: Weight,
    pub bias: Option<Arc<Param>>,
    pub lora: Option<Lora>,
    /// A dense weight is stored as [in, out] (GPT-2).
    pub transposed: bool,
    pub adaptable: Adaptable,
}

/// Which names of an adapter's targets can mean a linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptable {
    /// Its own, and `all`.
    Always,
    ByName,
    /// None: the reference implementation has no linear module there.
    Never,
}

/// A low-rank update s·B·A of a weight (Hu et al. 2021).
#[derive(Debug, Clone)]
pub struct Lora {
    /// [rank, in]
    pub a: Arc<Param>,
    /// [out, rank]
    pub b: Arc<Param>,
    pub scale: f32,
    pub dropout: f32,
    /// Tells the masks of different adapters apart.
    pub key: u64,
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

/// A stretch of a batch's rows, and how it is worked on.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    /// The first one's place in the batch.
    pub first: usize,
    pub count: usize,
    pub dropout: Dropout,
    /// Use bf16 dot products for the base products.
    pub bf16: bool,
    /// Other threads work on other rows: products stay on this one.
    pub alone: bool,
}

impl Stretch {
    /// Rows that a thread takes at a time. A constant, so that sums over rows do not depend on the number of threads.
    const ROWS: usize = 128;

    /// What threads take of these rows, if they share them.
    pub(super) fn parts(self) -> Vec<Stretch> {
        let part = |at| Stretch {
            first: self.first + at,
            count: Self::ROWS.min(self.count - at),
            alone: self.alone || self.count > Self::ROWS,
            ..self
        };
        (0..self.count).step_by(Self::ROWS).map(part).collect()
    }

    fn product(&self, c: MatMut, a: MatRef, b: MatRef, options: Options) {
        product(c, a, b, options, self.alone);
    }
}

/// Columns `1`.. of a buffer with rows of `2`.
pub(super) type Part<'a> = (&'a [f32], usize, usize);
/// The same, to be written.
pub(super) type PartMut<'a> = (&'a mut [f32], usize, usize);

/// The width of what [`hidden`] gives.
pub(super) fn total_rank(linears: &[Linear]) -> usize {
    linears.iter().map(Linear::rank).sum()
}

/// s·drop(x)·Aᵀ of maps that share an input, side by side: [rows, sum of their ranks].
pub(super) fn hidden(linears: &[Linear], x: &[f32], out: &mut [f32], rows: Stretch) -> Result<()> {
    let (stride, mut column) = (total_rank(linears), 0);
    let masked = linears.iter().any(|linear| linear.mask(rows).is_some());
    // Without masks one product serves all: narrow ones waste most of a vector.
    let together = if masked { 1 } else { linears.len().max(1) };
    for linears in linears.chunks(together) {
        let (rank, k) = (total_rank(linears), linears[0].in_dim());
        if rank == 0 {
            continue;
        }
        let mut all = Vec::with_capacity(rank * k);
        for lora in linears.iter().filter_map(|linear| linear.lora.as_ref()) {
            all.extend(view(&lora.a.tensor)?.f32()?.iter().map(|a| a * lora.scale));
        }
        let dropped = linears[0].mask(rows).map(|mask| mask.apply(x, rows.first * k));
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

impl Linear {
    pub fn out_dim(&self) -> usize {
        self.dims().0
    }

    pub fn in_dim(&self) -> usize {
        self.dims().1
    }

    fn dims(&self) -> (usize, usize) {
        match (self.weight.dims(), &self.weight) {
            ((dim, out), Weight::Dense(_)) if self.transposed => (out, dim),
            (dims, _) => dims,
        }
    }

    /// Of the LoRA; zero without one.
    pub(super) fn rank(&self) -> usize {
        self.lora.as_ref().map_or(0, Lora::rank)
    }

    /// Its name and weight, if that stays quantised.
    pub fn quantised(&self) -> Option<(&str, &Weight)> {
        matches!(self.weight, Weight::Quantised(_)).then_some((&self.name, &self.weight))
    }

    fn products(&self, rows: Stretch) -> Products<'_> {
        Products { weight: &self.weight, transposed: self.transposed, alone: rows.alone }
    }

    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let lora = self.lora.iter().flat_map(|lora| [&lora.a, &lora.b]);
        self.weight.param().into_iter().chain(&self.bias).chain(lora)
    }

    fn mask(&self, rows: Stretch) -> Option<dropout::Mask> {
        self.lora.as_ref().and_then(|lora| lora.mask(rows.dropout))
    }

    /// Writes this map's columns of y. `hidden`: its columns of what [`hidden`] gave.
    pub(super) fn apply(
        &self,
        x: &[f32],
        (y, column, stride): PartMut,
        residual: Option<&[f32]>,
        hidden: Part,
        rows: Stretch,
    ) -> Result<()> {
        let (n, k) = (self.out_dim(), self.in_dim());
        let start = self.bias.as_ref().map(|bias| bias.to_f32()).transpose()?;
        let accumulate = residual.is_some() || start.is_some();
        if accumulate {
            initialise(y, column, stride, n, residual, start.as_deref());
        }
        let b = self.lora.as_ref().map(|lora| view(&lora.b.tensor)).transpose()?;
        let extra = match (&self.lora, &b) {
            (Some(lora), Some(b)) => {
                Some((lora.columns(hidden, rows), MatRef::f32(b.f32()?, n, lora.rank()).t()))
            }
            _ => None,
        };
        self.products(rows).by_transposed(
            MatMut::columns(y, rows.count, stride, column, n),
            MatRef::f32(x, rows.count, k),
            Options { accumulate, extra, bf16: rows.bf16 },
        )
    }

    /// Writes dx = dy·W + du·A, or adds it where the flag is set, and adds the gradients of what is trainable to
    /// `grads`.
    pub(super) fn backward(
        &self,
        x: &[f32],
        (dy, column, stride): Part,
        hidden: Part,
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (n, k) = (self.out_dim(), self.in_dim());
        let dy_matrix = MatRef::columns(dy, rows.count, stride, column, n);
        let du = match &self.lora {
            Some(lora) => Some(lora.backward(x, k, dy_matrix, lora.columns(hidden, rows), grads, rows)?),
            None => None,
        };
        if let Some(weight) = self.weight.trained() {
            grads.accumulate(weight, |dw| {
                let add = Options { accumulate: true, bf16: rows.bf16, ..Options::default() };
                let x = MatRef::f32(x, rows.count, k);
                if self.transposed {
                    rows.product(MatMut::f32(dw, k, n), x.t(), dy_matrix, add);
                } else {
                    rows.product(MatMut::f32(dw, n, k), dy_matrix.t(), x, add);
                }
            })?;
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.trainable) {
            grads.accumulate(bias, |db| {
                column_sums(
                    rows.count,
                    db,
                    #[inline(always)]
                    |row, total| {
                        let dy = &dy[row * stride + column..row * stride + column + n];
                        total.iter_mut().zip(dy).for_each(|(total, dy)| *total += dy);
                    },
                );
            })?;
        }
        let Some((dx, accumulate)) = dx else { return Ok(()) };
        let a = self.lora.as_ref().map(|lora| view(&lora.a.tensor)).transpose()?;
        let mask = self.mask(rows);
        let extra = match (&self.lora, &du, &a) {
            (Some(lora), Some(du), Some(a)) if mask.is_none() => {
                Some((MatRef::f32(du, rows.count, lora.rank()), MatRef::f32(a.f32()?, lora.rank(), k)))
            }
            _ => None,
        };
        self.products(rows).by(
            MatMut::f32(dx, rows.count, k),
            dy_matrix,
            Options { accumulate, extra, bf16: rows.bf16 },
        )?;
        if let (Some(lora), Some(du), Some(mask)) = (&self.lora, &du, &mask) {
            lora.add_masked_gradient(du, dx, mask, rows)?;
        }
        Ok(())
    }
}

/// Fills the columns with what the product is added to.
fn initialise(
    y: &mut [f32],
    column: usize,
    stride: usize,
    n: usize,
    residual: Option<&[f32]>,
    bias: Option<&[f32]>,
) {
    let task = rows_per_task(n);
    y.par_chunks_mut(stride * task).enumerate().for_each(|(block, rows)| {
        for (i, row) in rows.chunks_mut(stride).enumerate() {
            let start = (block * task + i) * stride + column;
            let row = &mut row[column..column + n];
            match (residual, bias) {
                (Some(residual), _) => row.copy_from_slice(&residual[start..start + n]),
                (None, Some(bias)) => row.copy_from_slice(bias),
                (None, None) => row.fill(0.0),
            }
            if let (Some(_), Some(bias)) = (residual, bias) {
                row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
            }
        }
    });
}

impl Lora {
    pub fn rank(&self) -> usize {
        self.a.tensor.dims()[0]
    }

    pub(super) fn mask(&self, dropout: Dropout) -> Option<dropout::Mask> {
        dropout.filter(|_| self.dropout > 0.0).map(|seed| dropout::Mask::new(seed, self.key, self.dropout))
    }

    /// This map's columns of what [`hidden`] gave.
    fn columns<'a>(&self, (hidden, column, stride): Part<'a>, rows: Stretch) -> MatRef<'a> {
        MatRef::columns(hidden, rows.count, stride, column, self.rank())
    }

    /// dB += dyᵀ·hidden, dA += duᵀ·drop(x); answers with du = s·dy·B [rows, rank].
    ///
    /// Thin products read much and compute little: threads share the rows, and what one has read of dy for du lies in
    /// its cache when dB wants it.
    fn backward(
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
                self.backward_rows(x, (dy, b), hidden, du, part)
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
    fn backward_rows(
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

    /// dx += drop(du·A), the path of the gradient through a mask.
    fn add_masked_gradient(
        &self,
        du: &[f32],
        dx: &mut [f32],
        mask: &dropout::Mask,
        rows: Stretch,
    ) -> Result<()> {
        let (rank, k) = (self.rank(), dx.len() / rows.count.max(1));
        let a = view(&self.a.tensor)?;
        let mut through = uninit(rows.count * k);
        let out = MatMut::f32(&mut through, rows.count, k);
        let du = MatRef::f32(du, rows.count, rank);
        rows.product(out, du, MatRef::f32(a.f32()?, rank, k), Options::default());
        let through = mask.apply(&through, rows.first * k);
        dx.iter_mut().zip(through).for_each(|(dx, x)| *dx += x);
        Ok(())
    }
}
