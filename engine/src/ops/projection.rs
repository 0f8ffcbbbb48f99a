//! Linear maps of a cheap function of the input: y = [residual +] f(x)·Wᵀ + b, with LoRA folded in.
//!
//! `f` (a norm, a gated activation) is recomputed in the backward pass instead of being kept, the LoRA
//! product rides in the same pass as the base product, a frozen weight gets no gradient, and the residual
//! is added by the product itself. Several maps of one input (q, k, v; gate, up) are one operation, whose
//! outputs stand side by side in the columns of y.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::dropout::{self, Dropout};
use super::norm::Norm;
use crate::Result;
use crate::autograd::{Backward, Gradients, Param, ParamGradients, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::activation::{Activation, GateOrder};
use crate::kernel::gemm::{Elements, MatMut, MatRef, Options, gemm};
use crate::kernel::{column_sums, rows_per_task, uninit};
use crate::tensor::{from_vec, view};

/// What is done to the input first.
#[derive(Debug, Clone)]
pub enum Prologue {
    Identity,
    Norm(Norm),
    /// act(gate) · up of an input that holds gate and up side by side.
    Gated(Activation, GateOrder),
    Plain(Activation),
}

/// Whether anything reads the values of a result, or only its gradient will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Read,
    Unread,
}

/// One linear map.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Module name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// [out, in]; what follows the first dimension counts as one.
    pub weight: Arc<Param>,
    pub bias: Option<Arc<Param>>,
    pub lora: Option<Lora>,
    /// The weight is stored as [in, out] (GPT-2).
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

impl Linear {
    pub fn out_dim(&self) -> usize {
        let first = self.weight.tensor.dims()[0];
        if self.transposed { self.weight.len() / first } else { first }
    }

    pub fn in_dim(&self) -> usize {
        self.weight.len() / self.out_dim()
    }

    /// The weight as [out, in].
    fn matrix<'a>(&self, elements: Elements<'a>) -> MatRef<'a> {
        let (n, k) = (self.out_dim(), self.in_dim());
        if self.transposed { MatRef::new(elements, k, n, n).t() } else { MatRef::new(elements, n, k, k) }
    }

    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let lora = self.lora.iter().flat_map(|lora| [&lora.a, &lora.b]);
        std::iter::once(&self.weight).chain(&self.bias).chain(lora)
    }
}

/// Linear maps that share an input.
#[derive(Debug, Clone)]
pub struct Projection {
    pub prologue: Prologue,
    pub linears: Vec<Linear>,
    /// Use bf16 dot products for the base products.
    pub bf16: bool,
}

struct ProjectionNode {
    projection: Arc<Projection>,
    x: Var,
    residual: Option<crate::autograd::NodeId>,
    /// Of each map with a LoRA, s·x·Aᵀ.
    hidden: Vec<Option<Vec<f32>>>,
    dropout: Dropout,
}

impl Projection {
    pub fn in_dim(&self) -> usize {
        self.linears.first().map_or(0, Linear::in_dim)
    }

    pub fn out_dim(&self) -> usize {
        self.linears.iter().map(Linear::out_dim).sum()
    }

    /// Columns of the input that the prologue reads.
    pub(super) fn input_width(&self) -> usize {
        match self.prologue {
            Prologue::Gated(..) => 2 * self.in_dim(),
            _ => self.in_dim(),
        }
    }

    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let norm = match &self.prologue {
            Prologue::Norm(norm) => Some(norm),
            _ => None,
        };
        norm.into_iter().flat_map(Norm::params).chain(self.linears.iter().flat_map(Linear::params))
    }

    /// y [rows, out_dim] of x [rows, input width]; `residual` [rows, out_dim] is added to a single map.
    pub fn forward(
        self: &Arc<Self>,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        dropout: Dropout,
    ) -> Result<Var> {
        self.forward_for(Values::Read, tape, x, residual, dropout)
    }

    /// The same; where y is unread, kernels leave it without rows and do what the backward pass needs.
    pub fn forward_for(
        self: &Arc<Self>,
        values: Values,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        dropout: Dropout,
    ) -> Result<Var> {
        if !has_kernels(&x.tensor) {
            return self.plain_forward(tape, x, residual, dropout);
        }
        let rows = x.tensor.elem_count() / self.input_width();
        let rows_read = if values == Values::Read { rows } else { 0 };
        let mut y = uninit(rows_read * self.out_dim());
        let mut hidden = Vec::with_capacity(self.linears.len());
        self.with_input(&x.tensor, |input| -> Result<()> {
            let residual = residual.map(|residual| view(&residual.tensor)).transpose()?;
            let residual = residual.as_ref().map(|residual| residual.f32()).transpose()?;
            let mut column = 0;
            for linear in &self.linears {
                let out = (&mut y[..], column, self.out_dim());
                hidden.push(match values {
                    Values::Read => linear.apply(input, rows, out, residual, dropout, self.bf16)?,
                    Values::Unread => linear.hidden(input, rows, dropout)?,
                });
                column += linear.out_dim();
            }
            Ok(())
        })??;
        let y = from_vec(y, (rows_read, self.out_dim()))?;
        Ok(tape.record(y, self.needs_grad(&x, residual), || {
            let residual = residual.and_then(|residual| residual.node);
            Box::new(ProjectionNode { projection: self.clone(), x, residual, hidden, dropout })
        }))
    }

    pub(super) fn needs_grad(&self, x: &Var, residual: Option<&Var>) -> bool {
        x.needs_grad() || residual.is_some_and(Var::needs_grad) || self.params().any(|param| param.trainable)
    }

    /// Calls `run` with the prologue's output.
    fn with_input<R>(&self, x: &Tensor, run: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let x = view(x)?;
        let x = x.f32()?;
        let width = self.in_dim();
        let rows = x.len() / self.input_width();
        Ok(match &self.prologue {
            Prologue::Identity => run(x),
            Prologue::Norm(norm) => {
                let mut y = uninit(rows * width);
                norm.forward(x, &mut y, width)?;
                run(&y)
            }
            Prologue::Gated(activation, order) => {
                let mut y = uninit(rows * width);
                activation.gated_forward(*order, x, &mut y, width);
                run(&y)
            }
            Prologue::Plain(activation) => {
                let mut y = uninit(rows * width);
                activation.forward(x, &mut y);
                run(&y)
            }
        })
    }
}

/// Output columns `1`.. of a buffer with rows of `2`.
pub(super) type Out<'a> = (&'a mut [f32], usize, usize);

impl Linear {
    /// Writes this map's columns; answers with the LoRA's s·x·Aᵀ.
    pub(super) fn apply(
        &self,
        x: &[f32],
        rows: usize,
        (y, column, stride): Out,
        residual: Option<&[f32]>,
        dropout: Dropout,
        bf16: bool,
    ) -> Result<Option<Vec<f32>>> {
        let (n, k) = (self.out_dim(), self.in_dim());
        let start = self.bias.as_ref().map(|bias| bias.to_f32()).transpose()?;
        let accumulate = residual.is_some() || start.is_some();
        if accumulate {
            initialise(y, column, stride, n, residual, start.as_deref());
        }
        let hidden = self.hidden(x, rows, dropout)?;
        let b = self.lora.as_ref().map(|lora| view(&lora.b.tensor)).transpose()?;
        let extra = match (&self.lora, &hidden, &b) {
            (Some(lora), Some(hidden), Some(b)) => {
                Some((MatRef::f32(hidden, rows, lora.rank()), MatRef::f32(b.f32()?, n, lora.rank()).t()))
            }
            _ => None,
        };
        let weight = view(&self.weight.tensor)?;
        gemm(
            MatMut::columns(y, rows, stride, column, n),
            MatRef::f32(x, rows, k),
            self.matrix(weight.elements()?).t(),
            Options { accumulate, extra, bf16 },
        );
        Ok(hidden)
    }

    /// The LoRA's s·x·Aᵀ.
    fn hidden(&self, x: &[f32], rows: usize, dropout: Dropout) -> Result<Option<Vec<f32>>> {
        self.lora.as_ref().map(|lora| lora.hidden(x, rows, self.in_dim(), dropout)).transpose()
    }

    /// Adds dx = dy·W + du·A to `dx`, and the gradients of what is trainable to `grads`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward(
        &self,
        x: &[f32],
        rows: usize,
        (dy, column, stride): (&[f32], usize, usize),
        hidden: Option<&[f32]>,
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        dropout: Dropout,
        bf16: bool,
    ) -> Result<()> {
        let (n, k) = (self.out_dim(), self.in_dim());
        let dy_matrix = MatRef::columns(dy, rows, stride, column, n);
        let du = match (&self.lora, hidden) {
            (Some(lora), Some(hidden)) => Some(lora.backward(x, k, dy_matrix, hidden, grads, dropout)?),
            _ => None,
        };
        if self.weight.trainable {
            grads.accumulate(&self.weight, |dw| {
                let add = Options { accumulate: true, bf16, ..Options::default() };
                let x = MatRef::f32(x, rows, k);
                if self.transposed {
                    gemm(MatMut::f32(dw, k, n), x.t(), dy_matrix, add);
                } else {
                    gemm(MatMut::f32(dw, n, k), dy_matrix.t(), x, add);
                }
            })?;
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.trainable) {
            grads.accumulate(bias, |db| {
                column_sums(
                    rows,
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
        let weight = view(&self.weight.tensor)?;
        let a = self.lora.as_ref().map(|lora| view(&lora.a.tensor)).transpose()?;
        let mask = self.lora.as_ref().and_then(|lora| lora.mask(dropout));
        let extra = match (&self.lora, &du, &a) {
            (Some(lora), Some(du), Some(a)) if mask.is_none() => {
                Some((MatRef::f32(du, rows, lora.rank()), MatRef::f32(a.f32()?, lora.rank(), k)))
            }
            _ => None,
        };
        gemm(
            MatMut::f32(dx, rows, k),
            dy_matrix,
            self.matrix(weight.elements()?),
            Options { accumulate, extra, bf16 },
        );
        if let (Some(lora), Some(du), Some(mask)) = (&self.lora, &du, &mask) {
            lora.add_masked_gradient(du, rows, dx, mask)?;
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

    /// s·drop(x)·Aᵀ [rows, rank]
    fn hidden(&self, x: &[f32], rows: usize, k: usize, dropout: Dropout) -> Result<Vec<f32>> {
        let dropped = self.mask(dropout).map(|mask| mask.apply(x));
        let x = dropped.as_deref().unwrap_or(x);
        let mut hidden = uninit(rows * self.rank());
        let a = view(&self.a.tensor)?;
        gemm(
            MatMut::f32(&mut hidden, rows, self.rank()),
            MatRef::f32(x, rows, k),
            MatRef::f32(a.f32()?, self.rank(), k).t(),
            Options::default(),
        );
        hidden.iter_mut().for_each(|h| *h *= self.scale);
        Ok(hidden)
    }

    /// dB += dyᵀ·hidden, dA += duᵀ·drop(x); answers with du = s·dy·B [rows, rank].
    fn backward(
        &self,
        x: &[f32],
        k: usize,
        dy: MatRef,
        hidden: &[f32],
        grads: &mut ParamGradients,
        dropout: Dropout,
    ) -> Result<Vec<f32>> {
        let (rows, n, rank) = (dy.rows(), dy.cols(), self.rank());
        let b = view(&self.b.tensor)?;
        let mut du = uninit(rows * rank);
        let out = MatMut::f32(&mut du, rows, rank);
        gemm(out, dy, MatRef::f32(b.f32()?, n, rank), Options::default());
        du.iter_mut().for_each(|h| *h *= self.scale);
        drop(b);
        if self.b.trainable {
            // Computed as the wide, flat dBᵀ = hiddenᵀ·dy: its few rows cost one pass over dy.
            let mut transposed = uninit(rank * n);
            let out = MatMut::f32(&mut transposed, rank, n);
            gemm(out, MatRef::f32(hidden, rows, rank).t(), dy, Options::default());
            grads.accumulate(&self.b, |db| {
                for (i, row) in db.chunks_exact_mut(rank).enumerate() {
                    row.iter_mut().enumerate().for_each(|(r, db)| *db += transposed[r * n + i]);
                }
            })?;
        }
        if self.a.trainable {
            let dropped = self.mask(dropout).map(|mask| mask.apply(x));
            let x = dropped.as_deref().unwrap_or(x);
            grads.accumulate(&self.a, |da| {
                let add = Options { accumulate: true, ..Options::default() };
                gemm(
                    MatMut::f32(da, rank, k),
                    MatRef::f32(&du, rows, rank).t(),
                    MatRef::f32(x, rows, k),
                    add,
                );
            })?;
        }
        Ok(du)
    }

    /// dx += drop(du·A), the path of the gradient through a mask.
    fn add_masked_gradient(
        &self,
        du: &[f32],
        rows: usize,
        dx: &mut [f32],
        mask: &dropout::Mask,
    ) -> Result<()> {
        let (rank, k) = (self.rank(), dx.len() / rows.max(1));
        let a = view(&self.a.tensor)?;
        let mut through = uninit(rows * k);
        let out = MatMut::f32(&mut through, rows, k);
        gemm(out, MatRef::f32(du, rows, rank), MatRef::f32(a.f32()?, rank, k), Options::default());
        dx.iter_mut().zip(mask.apply(&through)).for_each(|(dx, x)| *dx += x);
        Ok(())
    }
}

impl Backward for ProjectionNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let projection = &self.projection;
        let (width, stride) = (projection.in_dim(), projection.out_dim());
        let rows = dy.elem_count() / stride;
        let trains_norm = matches!(&projection.prologue, Prologue::Norm(norm) if norm.is_trainable());
        let wants_dx = self.x.needs_grad() || trains_norm;
        let mut d_input = if wants_dx { uninit(rows * width) } else { Vec::new() };
        {
            let dy = view(&dy)?;
            let dy = dy.f32()?;
            projection.with_input(&self.x.tensor, |input| -> Result<()> {
                let mut column = 0;
                for (linear, hidden) in projection.linears.iter().zip(&self.hidden) {
                    let dx = wants_dx.then_some((&mut d_input[..], column > 0));
                    let dy = (dy, column, stride);
                    linear.backward(
                        input,
                        rows,
                        dy,
                        hidden.as_deref(),
                        dx,
                        grads.params,
                        self.dropout,
                        projection.bf16,
                    )?;
                    column += linear.out_dim();
                }
                Ok(())
            })??;
        }
        // The residual's gradient is dy itself; handed on only now, since it may be added to in place.
        grads.add(self.residual, dy)?;
        if wants_dx {
            self.finish(d_input, grads)?;
        }
        Ok(())
    }
}

impl ProjectionNode {
    /// Takes the gradient through the prologue.
    fn finish(&self, d_input: Vec<f32>, grads: &mut Gradients) -> Result<()> {
        let width = self.projection.in_dim();
        let x = view(&self.x.tensor)?;
        let x = x.f32()?;
        match &self.projection.prologue {
            Prologue::Identity => grads.add(self.x.node, from_vec(d_input, self.x.tensor.shape())?),
            Prologue::Norm(norm) => {
                norm.parameter_gradients(&d_input, x, width, grads.params)?;
                let kernel_result = grads
                    .accumulate(self.x.node, &self.x.tensor, |dx| norm.backward(&d_input, x, dx, width))?;
                kernel_result.unwrap_or(Ok(()))
            }
            Prologue::Gated(activation, order) => {
                let mut dx = uninit(x.len());
                activation.gated_backward(*order, &d_input, x, &mut dx, width);
                grads.add(self.x.node, from_vec(dx, self.x.tensor.shape())?)
            }
            Prologue::Plain(activation) => {
                let mut dx = uninit(x.len());
                activation.backward(&d_input, x, &mut dx);
                grads.add(self.x.node, from_vec(dx, self.x.tensor.shape())?)
            }
        }
    }
}
