//! Normalisation with its weights.

use std::sync::Arc;

use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::norm::NormKernel;

/// RMSNorm, or LayerNorm where `center` is set.
#[derive(Debug, Clone)]
pub struct Norm {
    /// [dim]; none for a norm without parameters.
    pub weight: Option<Arc<Param>>,
    /// [dim], added at the end.
    pub bias: Option<Arc<Param>>,
    /// The weight is stored as its difference from one.
    pub one_plus: bool,
    /// The mean is subtracted first.
    pub center: bool,
    /// Added to the variance.
    pub eps: f64,
}

impl Norm {
    /// The parameters that it has.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.weight.iter().chain(&self.bias)
    }

    /// Whether one of them trains.
    pub fn is_trainable(&self) -> bool {
        self.params().any(|param| param.trainable)
    }

    pub(super) fn with_kernel<R>(&self, run: impl FnOnce(NormKernel) -> R) -> Result<R> {
        let read = |param: &Option<Arc<Param>>| match param {
            Some(param) => param.to_f32().map(Some),
            None => Ok(None),
        };
        let (weight, bias) = (read(&self.weight)?, read(&self.bias)?);
        Ok(run(NormKernel {
            weight: weight.as_deref(),
            bias: bias.as_deref(),
            one_plus: self.one_plus,
            center: self.center,
            eps: self.eps as f32,
        }))
    }

    /// Normalises rows of `cols`.
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn forward(&self, x: &[f32], y: &mut [f32], cols: usize) -> Result<()> {
        self.with_kernel(|kernel| kernel.forward(x, y, cols))
    }

    /// Adds the input's gradient to `dx`.
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn backward(&self, dy: &[f32], x: &[f32], dx: &mut [f32], cols: usize) -> Result<()> {
        self.with_kernel(|kernel| kernel.backward(dy, x, dx, cols))
    }

    /// Adds the gradients of what is trainable to `grads`.
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn parameter_gradients(
        &self,
        dy: &[f32],
        x: &[f32],
        cols: usize,
        grads: &mut ParamGradients,
    ) -> Result<()> {
        self.with_kernel(|kernel| -> Result<()> {
            if let Some(weight) = self.weight.as_ref().filter(|param| param.trainable) {
                grads.accumulate(weight, |out| kernel.weight_gradient(dy, x, cols, out))?;
            }
            if let Some(bias) = self.bias.as_ref().filter(|param| param.trainable) {
                grads.accumulate(bias, |out| kernel.bias_gradient(dy, cols, out))?;
            }
            Ok(())
        })?
    }
}
