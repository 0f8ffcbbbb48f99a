//! Norms of queries and keys before they are rotated, in the columns where the heads lie.

use std::ops::Range;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::norm::Norm;
use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, ParamGradients, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::norm::NormKernel;
use crate::kernel::{column_sums, rows_per_task, simd};
use crate::tensor::{from_vec, mutate, view};

/// A norm over stretches of the columns of each row.
#[derive(Clone, Debug)]
pub struct ColumnNorm {
    /// The norm of each stretch.
    pub norm: Norm,
    /// First column of each stretch.
    pub starts: Vec<usize>,
    /// Columns of a stretch.
    pub len: usize,
    /// Each stretch has weights of its own (Cohere); otherwise they share them.
    pub own_weights: bool,
}

/// Norms of disjoint stretches; other columns stay as they are.
#[derive(Clone, Debug)]
pub struct HeadNorm {
    /// The norms, each with its columns.
    pub parts: Vec<ColumnNorm>,
}

struct HeadNormNode {
    spec: Arc<HeadNorm>,
    x: Var,
}

impl ColumnNorm {
    /// The kernel of a stretch.
    #[inline(always)]
    fn kernel<'a>(&self, kernel: &NormKernel<'a>, stretch: usize) -> NormKernel<'a> {
        let part = |weights: &'a [f32]| {
            if self.own_weights { &weights[stretch * self.len..][..self.len] } else { weights }
        };
        NormKernel { weight: kernel.weight.map(part), bias: kernel.bias.map(part), ..*kernel }
    }

    fn forward(&self, x: &[f32], y: &mut [f32], width: usize) -> Result<()> {
        let task = rows_per_task(width);
        self.norm.with_kernel(|kernel| {
            y.par_chunks_mut(width * task).zip(x.par_chunks(width * task)).for_each(|(y, x)| {
                simd(
                    #[inline(always)]
                    || {
                        for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                            for (i, start) in self.starts.iter().enumerate() {
                                let range = *start..start + self.len;
                                self.kernel(&kernel, i).row(&x[range.clone()], &mut y[range]);
                            }
                        }
                    },
                );
            });
        })
    }

    /// Turns the gradient of the output into that of the input, in place.
    fn backward(&self, dy: &mut [f32], x: &[f32], width: usize) -> Result<()> {
        let task = rows_per_task(width);
        self.norm.with_kernel(|kernel| {
            dy.par_chunks_mut(width * task).zip(x.par_chunks(width * task)).for_each(|(dy, x)| {
                simd(
                    #[inline(always)]
                    || {
                        let mut work = vec![0.0; self.len];
                        for (dy, x) in dy.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                            for (i, start) in self.starts.iter().enumerate() {
                                let range = *start..start + self.len;
                                let kernel = self.kernel(&kernel, i);
                                kernel.row_gradient_in_place(&mut dy[range.clone()], &x[range], &mut work);
                            }
                        }
                    },
                );
            });
        })
    }

    fn parameter_gradients(
        &self,
        dy: &[f32],
        x: &[f32],
        width: usize,
        grads: &mut ParamGradients,
    ) -> Result<()> {
        self.norm.with_kernel(|kernel| -> Result<()> {
            if let Some(weight) = self.norm.weight.as_ref().filter(|param| param.trainable) {
                grads.accumulate(weight, |out| {
                    self.sums(
                        (x.len() / width, width),
                        out,
                        #[inline(always)]
                        |range, total| kernel.add_weight_gradient(&dy[range.clone()], &x[range], total),
                    );
                })?;
            }
            if let Some(bias) = self.norm.bias.as_ref().filter(|param| param.trainable) {
                grads.accumulate(bias, |out| {
                    self.sums(
                        (x.len() / width, width),
                        out,
                        #[inline(always)]
                        |range, total| total.iter_mut().zip(&dy[range]).for_each(|(total, dy)| *total += dy),
                    );
                })?;
            }
            Ok(())
        })?
    }

    /// Adds to the gradient of a parameter what `add` adds for each row's stretches, given where they lie.
    fn sums(
        &self,
        (rows, width): (usize, usize),
        out: &mut [f32],
        add: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) {
        let offset = |stretch: usize| if self.own_weights { stretch * self.len } else { 0 };
        column_sums(
            rows,
            out,
            #[inline(always)]
            |row, total| {
                for (i, start) in self.starts.iter().enumerate() {
                    let first = row * width + start;
                    add(first..first + self.len, &mut total[offset(i)..offset(i) + self.len]);
                }
            },
        );
    }
}

impl HeadNorm {
    /// y [rows, width] of x [rows, width].
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn forward(self: &Arc<Self>, tape: &Tape, x: Var) -> Result<Var> {
        let trains = self.parts.iter().any(|part| part.norm.is_trainable());
        if !has_kernels(&x.tensor) {
            let spec = self.clone();
            return tape.function(&[&x], trains, move |x, weights| plain::head_norm(&spec, &x[0], weights));
        }
        let width = x.tensor.dims()[1];
        let mut y = view(&x.tensor)?.f32()?.to_vec();
        for part in &self.parts {
            part.forward(view(&x.tensor)?.f32()?, &mut y, width)?;
        }
        let y = from_vec(y, x.tensor.shape())?;
        let needs_grad = x.needs_grad() || trains;
        Ok(tape.record(y, needs_grad, || Box::new(HeadNormNode { spec: self.clone(), x })))
    }
}

impl Backward for HeadNormNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let width = self.x.tensor.dims()[1];
        let x = view(&self.x.tensor)?;
        let x = x.f32()?;
        for part in &self.spec.parts {
            part.parameter_gradients(view(&dy)?.f32()?, x, width, grads.params)?;
        }
        for part in &self.spec.parts {
            mutate(&dy, |dy| part.backward(dy, x, width))??;
        }
        grads.add(self.x.node, dy)
    }
}
