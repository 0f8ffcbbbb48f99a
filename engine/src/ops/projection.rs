//! Linear maps of a cheap function of the input: y = [residual +] f(x)·Wᵀ + b, with a pass's adapter folded in.
//!
//! `f` (a norm, a gated activation) is recomputed in the backward pass instead of being kept, and the residual
//! is added by the product itself. Several maps of one input (q, k, v; gate, up) are one operation, whose
//! outputs stand side by side in the columns of y.
//!
//! Where the weights are small, threads share the rows, and each does all that there is to do on its own; products
//! of large weights divide themselves among the threads.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::adapter::{Adapted, Mode, Update};
use super::linear::{Linear, Stretch};
use super::lora::{hidden, total_rank};
use super::norm::Norm;
use crate::Result;
use crate::autograd::{Backward, Gradients, Param, ParamGradients, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::activation::{Activation, GateOrder};
use crate::kernel::uninit;
use crate::tensor::{from_vec, view};

/// What is done to the input first.
#[derive(Debug, Clone)]
pub enum Prologue {
    /// Nothing.
    Identity,
    /// It is normalised.
    Norm(Norm),
    /// act(gate) · up of an input that holds gate and up side by side.
    Gated(Activation, GateOrder),
    /// An activation of every element.
    Plain(Activation),
}

/// Whether anything reads the values of a result, or only its gradient will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Something reads the values.
    Read,
    /// Only the gradient will come: the values need not be computed.
    Unread,
}

/// Linear maps that share an input.
#[derive(Debug, Clone)]
pub struct Projection {
    /// What is done to the input first.
    pub prologue: Prologue,
    /// The maps, whose outputs lie side by side.
    pub linears: Vec<Linear>,
    /// Use bf16 dot products for the base products.
    pub bf16: bool,
}

struct ProjectionNode {
    projection: Arc<Projection>,
    x: Var,
    residual: Option<crate::autograd::NodeId>,
    /// s·x·Aᵀ of the maps with a LoRA, side by side.
    hidden: Vec<f32>,
    mode: Mode,
}

/// Elements of weights up to which threads share rows: each packs all of them.
const SMALL: usize = 64 * 1024;

/// Cuts a buffer into stretches of `len`, the last of what is left; one that is empty into empty ones.
fn cut(mut data: &mut [f32], len: usize, count: usize) -> Vec<&mut [f32]> {
    let mut next = || data.split_off_mut(..len.min(data.len())).unwrap_or_default();
    (0..count).map(|_| next()).collect()
}

/// Each map with its first column of y, and of the LoRAs' s·x·Aᵀ.
fn columns<'a, 'm>(maps: &'m [Adapted<'a>]) -> impl Iterator<Item = (&'m Adapted<'a>, usize, usize)> {
    maps.iter().scan((0, 0), |(column, hidden_column), map| {
        let place = (map, *column, *hidden_column);
        *column += map.linear.out_dim();
        *hidden_column += map.rank();
        Some(place)
    })
}

impl Projection {
    /// Columns of the input, after what is done to it first.
    pub fn in_dim(&self) -> usize {
        self.linears.first().map_or(0, Linear::in_dim)
    }

    /// Columns of all outputs together.
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

    /// The parameters of norm and maps.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let norm = match &self.prologue {
            Prologue::Norm(norm) => Some(norm),
            _ => None,
        };
        norm.into_iter().flat_map(Norm::params).chain(self.linears.iter().flat_map(Linear::params))
    }

    /// What threads take of a batch's rows.
    fn stretches(&self, rows: usize, mode: &Mode) -> Vec<Stretch> {
        let all = Stretch { first: 0, count: rows, dropout: mode.dropout, bf16: self.bf16, alone: false };
        let small = self.in_dim() * self.out_dim() <= SMALL;
        if small { all.parts() } else { vec![all] }
    }

    /// y [rows, out_dim] of x [rows, input width]; `residual` [rows, out_dim] is added to a single map.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn forward(
        self: &Arc<Self>,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        mode: &Mode,
    ) -> Result<Var> {
        self.forward_for(Values::Read, tape, x, residual, mode)
    }

    /// The same; where y is unread, kernels leave it without rows and do what the backward pass needs.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn forward_for(
        self: &Arc<Self>,
        values: Values,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        mode: &Mode,
    ) -> Result<Var> {
        if !has_kernels(&x.tensor) {
            return self.plain_forward(tape, x, residual, mode);
        }
        let maps = mode.adapt(&self.linears)?;
        let (width, stride, rank) = (self.input_width(), self.out_dim(), total_rank(&maps));
        let rows = x.tensor.elem_count() / width;
        let rows_read = if values == Values::Read { rows } else { 0 };
        let (mut y, mut hidden) = (uninit(rows_read * stride), uninit(rows * rank));
        {
            let input = view(&x.tensor)?;
            let input = input.f32()?;
            let residual = residual.map(|residual| view(&residual.tensor)).transpose()?;
            let residual = residual.as_ref().map(|residual| residual.f32()).transpose()?;
            let stretches = self.stretches(rows, mode);
            let (len, count) = (stretches.first().map_or(0, |rows| rows.count), stretches.len());
            let out = cut(&mut y, len * stride, count).into_par_iter();
            let out = out.zip(cut(&mut hidden, len * rank, count)).with_max_len(1);
            stretches.into_par_iter().zip(out).try_for_each(|(rows, (y, hidden))| {
                let input = &input[rows.first * width..][..rows.count * width];
                let residual = residual.map(|residual| &residual[rows.first * stride..]);
                self.forward_rows(&maps, input, residual, y, hidden, rows)
            })?;
        }
        let y = from_vec(y, (rows_read, stride))?;
        Ok(tape.record(y, self.needs_grad(&x, residual, mode), || {
            let residual = residual.and_then(|residual| residual.node);
            Box::new(ProjectionNode { projection: self.clone(), x, residual, hidden, mode: mode.clone() })
        }))
    }

    /// A stretch of rows of `y`, unless that is empty, and of the LoRAs' s·x·Aᵀ.
    fn forward_rows(
        &self,
        maps: &[Adapted],
        x: &[f32],
        residual: Option<&[f32]>,
        y: &mut [f32],
        hidden_rows: &mut [f32],
        rows: Stretch,
    ) -> Result<()> {
        let (stride, rank) = (self.out_dim(), total_rank(maps));
        self.with_input(x, |input| {
            hidden(maps, input, hidden_rows, rows)?;
            if y.is_empty() {
                return Ok(());
            }
            columns(maps).try_for_each(|(map, column, hidden_column)| {
                let low = (&*hidden_rows, hidden_column, rank);
                map.apply(input, (y, column, stride), residual, low, rows)
            })
        })?
    }

    pub(super) fn needs_grad(&self, x: &Var, residual: Option<&Var>, mode: &Mode) -> bool {
        let mut params = self.params().chain(mode.of(&self.linears).flat_map(Update::params));
        x.needs_grad() || residual.is_some_and(Var::needs_grad) || params.any(|param| param.trainable)
    }

    /// Calls `run` with the prologue's output.
    fn with_input<R>(&self, x: &[f32], run: impl FnOnce(&[f32]) -> R) -> Result<R> {
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

    /// Gradients of a stretch of rows: of the prologue's output into `d_input`, if that is not empty, and of what is
    /// trainable.
    fn backward_rows(
        &self,
        maps: &[Adapted],
        x: &[f32],
        (dy, hidden): (&[f32], &[f32]),
        d_input: &mut [f32],
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (stride, rank) = (self.out_dim(), total_rank(maps));
        self.with_input(x, |input| {
            columns(maps).try_for_each(|(map, column, hidden_column)| {
                let dx = if d_input.is_empty() { None } else { Some((&mut *d_input, column > 0)) };
                let low = (hidden, hidden_column, rank);
                map.backward(input, (dy, column, stride), low, dx, grads, rows)
            })
        })?
    }
}

impl Backward for ProjectionNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let projection = &self.projection;
        let maps = self.mode.adapt(&projection.linears)?;
        let (width, stride, rank) = (projection.in_dim(), projection.out_dim(), total_rank(&maps));
        let input_width = projection.input_width();
        let rows = dy.elem_count() / stride;
        let trains_norm = matches!(&projection.prologue, Prologue::Norm(norm) if norm.is_trainable());
        let wants_dx = self.x.needs_grad() || trains_norm;
        let mut d_input = if wants_dx { uninit(rows * width) } else { Vec::new() };
        {
            let (dy, x) = (view(&dy)?, view(&self.x.tensor)?);
            let (dy, x) = (dy.f32()?, x.f32()?);
            let work = |rows: Stretch, d_input: &mut [f32], grads: &mut ParamGradients| {
                let Stretch { first, count, .. } = rows;
                let x = &x[first * input_width..][..count * input_width];
                let (dy, hidden) = (&dy[first * stride..], &self.hidden[first * rank..]);
                projection.backward_rows(&maps, x, (dy, hidden), d_input, grads, rows)
            };
            let stretches = projection.stretches(rows, &self.mode);
            match stretches[..] {
                [] => {}
                [all] => work(all, &mut d_input, grads.params)?,
                [first, ..] => {
                    let d_inputs = cut(&mut d_input, first.count * width, stretches.len());
                    let parts = stretches.into_par_iter().zip(d_inputs).with_max_len(1);
                    let all = &*grads.params;
                    let parts: Vec<Result<ParamGradients>> = parts
                        .map(|(rows, d_input)| {
                            let mut grads = all.apart();
                            work(rows, d_input, &mut grads).map(|()| grads)
                        })
                        .collect();
                    parts.into_iter().try_for_each(|part| grads.params.merge(part?))?;
                }
            }
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
