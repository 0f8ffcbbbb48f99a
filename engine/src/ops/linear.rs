//! One linear map of rows, y = x·Wᵀ + b, and its gradients.
//!
//! The product of an update rides in the same pass as the map's own, and a frozen weight gets no gradient.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::dropout::Dropout;
use super::weight::{Products, Weight};
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::gemm::{MatMut, MatRef, Options, product};
use crate::kernel::{column_sums, rows_per_task};

/// One linear map.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Module name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// [out, in], dense or quantised.
    pub weight: Weight,
    /// [out].
    pub bias: Option<Arc<Param>>,
    /// A dense weight is stored as [in, out] (GPT-2).
    pub transposed: bool,
    /// Which names of an adapter's targets mean it.
    pub adaptable: Adaptable,
}

/// Which names of an adapter's targets can mean a linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptable {
    /// Its own, and `all`.
    Always,
    /// Its own alone.
    ByName,
    /// None: the reference implementation has no linear module there.
    Never,
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

    pub(super) fn product(&self, c: MatMut, a: MatRef, b: MatRef, options: Options) {
        product(c, a, b, options, self.alone);
    }
}

/// Columns `1`.. of a buffer with rows of `2`.
pub(super) type Part<'a> = (&'a [f32], usize, usize);
/// The same, to be written.
pub(super) type PartMut<'a> = (&'a mut [f32], usize, usize);

impl Linear {
    /// Columns of the output.
    pub fn out_dim(&self) -> usize {
        self.dims().0
    }

    /// Columns of the input.
    pub fn in_dim(&self) -> usize {
        self.dims().1
    }

    fn dims(&self) -> (usize, usize) {
        match (self.weight.dims(), &self.weight) {
            ((dim, out), Weight::Dense(_)) if self.transposed => (out, dim),
            (dims, _) => dims,
        }
    }

    /// Its name and weight, if that stays quantised.
    pub fn quantised(&self) -> Option<(&str, &Weight)> {
        matches!(self.weight, Weight::Quantised(_)).then_some((&self.name, &self.weight))
    }

    /// A parameter of an update of this map, where its weight is.
    pub(super) fn beside(&self, part: &str, tensor: Tensor) -> Result<Arc<Param>> {
        let tensor = tensor.to_device(self.weight.device())?;
        Ok(Arc::new(Param::new(format!("{}.{part}", self.name), tensor, true)?))
    }

    pub(super) fn products(&self, rows: Stretch) -> Products<'_> {
        Products { weight: &self.weight, transposed: self.transposed, alone: rows.alone }
    }

    /// The weight [out, in] in f32, however it is stored.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn matrix(&self) -> Result<Tensor> {
        let stored = self.weight.widened()?;
        let is_transposed = self.transposed && self.weight.param().is_some();
        Ok(if is_transposed { stored.t()? } else { stored.reshape((self.out_dim(), ()))? })
    }

    /// The parameters of weight and bias.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.weight.param().into_iter().chain(&self.bias)
    }

    /// Writes this map's columns of y = [residual +] x·Wᵀ + b [+ the product of `extra`].
    pub(super) fn apply(
        &self,
        x: &[f32],
        (y, column, stride): PartMut,
        residual: Option<&[f32]>,
        extra: Option<(MatRef, MatRef)>,
        rows: Stretch,
    ) -> Result<()> {
        let n = self.out_dim();
        let accumulate = self.begin((&mut *y, column, stride), residual)?;
        self.products(rows).by_transposed(
            MatMut::columns(y, rows.count, stride, column, n),
            MatRef::f32(x, rows.count, self.in_dim()),
            Options { accumulate, extra, bf16: rows.bf16 },
        )
    }

    /// Writes [residual +] b into this map's columns of y; answers with whether there is either.
    pub(super) fn begin(&self, (y, column, stride): PartMut, residual: Option<&[f32]>) -> Result<bool> {
        let start = self.bias.as_ref().map(|bias| bias.to_f32()).transpose()?;
        let is_begun = residual.is_some() || start.is_some();
        if is_begun {
            initialise(y, column, stride, self.out_dim(), residual, start.as_deref());
        }
        Ok(is_begun)
    }

    /// Adds the gradients of what is trainable to `grads`.
    pub(super) fn parameter_gradients(
        &self,
        x: &[f32],
        (dy, column, stride): Part,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (n, k) = (self.out_dim(), self.in_dim());
        if let Some(weight) = self.weight.trained() {
            let dy = MatRef::columns(dy, rows.count, stride, column, n);
            grads.accumulate(weight, |dw| {
                let add = Options { accumulate: true, bf16: rows.bf16, ..Options::default() };
                let x = MatRef::f32(x, rows.count, k);
                if self.transposed {
                    rows.product(MatMut::f32(dw, k, n), x.t(), dy, add);
                } else {
                    rows.product(MatMut::f32(dw, n, k), dy.t(), x, add);
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
        Ok(())
    }

    /// Writes dx = dy·W [+ the product of `extra`], or adds it where the flag is set.
    pub(super) fn input_gradient(
        &self,
        (dy, column, stride): Part,
        (dx, accumulate): (&mut [f32], bool),
        extra: Option<(MatRef, MatRef)>,
        rows: Stretch,
    ) -> Result<()> {
        self.products(rows).by(
            MatMut::f32(dx, rows.count, self.in_dim()),
            MatRef::columns(dy, rows.count, stride, column, self.out_dim()),
            Options { accumulate, extra, bf16: rows.bf16 },
        )
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
