//! Linear maps. Their backward pass is written out: candle would form the gradients of frozen weights too.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::activation;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, ParamGradients, Tape, Var, Weights, gradients};
use crate::kernel::activation::GateOrder;
use crate::ops::{Linear, Mode, Projection, Prologue, Weight};

/// a·b, by bf16 products where they are wanted.
fn product(a: &Tensor, b: &Tensor, bf16: bool) -> Result<Tensor> {
    let dtype = if bf16 { DType::BF16 } else { DType::F32 };
    Ok(a.to_dtype(dtype)?.matmul(&b.to_dtype(dtype)?)?.to_dtype(DType::F32)?)
}

impl Linear {
    /// The weight as [in, out].
    fn plain_matrix(&self, weights: &Weights, bf16: bool) -> Result<Tensor> {
        let weight = match &self.weight {
            // A frozen weight is not widened where bf16 products are wanted.
            Weight::Dense(param) if bf16 && !param.trainable => param.tensor.clone(),
            weight => weight.tensor(weights)?,
        };
        let stored_transposed = self.transposed && self.weight.param().is_some();
        Ok(if stored_transposed { weight } else { weight.reshape((self.out_dim(), ()))?.t()? })
    }

    /// x·Wᵀ
    pub(super) fn plain_product(&self, x: &Tensor, weights: &Weights, bf16: bool) -> Result<Tensor> {
        product(x, &self.plain_matrix(weights, bf16)?, bf16)
    }

    /// y + b
    pub(super) fn plain_biased(&self, y: Tensor, weights: &Weights) -> Result<Tensor> {
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(&weights.read(bias)?)?,
            None => y,
        })
    }

    /// Adds the gradients of what is trainable to `grads`.
    pub(super) fn plain_parameter_gradients(
        &self,
        x: &Tensor,
        dy: &Tensor,
        grads: &mut ParamGradients,
        bf16: bool,
    ) -> Result<()> {
        if let Some(weight) = self.weight.trained().filter(|weight| grads.wants(weight.id)) {
            let dw = if self.transposed { product(&x.t()?, dy, bf16)? } else { product(&dy.t()?, x, bf16)? };
            grads.add(weight, dw)?;
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.trainable) {
            grads.add(bias, dy.sum(0)?)?;
        }
        Ok(())
    }

    /// dy·W
    pub(super) fn plain_input_gradient(&self, dy: &Tensor, bf16: bool) -> Result<Tensor> {
        product(dy, &self.plain_matrix(&Weights::fixed(), bf16)?.t()?, bf16)
    }
}

impl Prologue {
    fn plain(&self, x: &Tensor, weights: &Weights) -> Result<Tensor> {
        match self {
            Prologue::Identity => Ok(x.clone()),
            Prologue::Norm(norm) => norm.plain(x, weights),
            Prologue::Gated(function, order) => {
                let width = x.dims()[1] / 2;
                let halves = (x.narrow(1, 0, width)?, x.narrow(1, width, width)?);
                let (gate, up) = match order {
                    GateOrder::GateUp => halves,
                    GateOrder::UpGate => (halves.1, halves.0),
                };
                Ok((activation(*function, &gate)? * up)?)
            }
            Prologue::Plain(function) => activation(*function, x),
        }
    }
}

struct ProjectionNode {
    projection: Arc<Projection>,
    x: Var,
    residual: Option<NodeId>,
    mode: Mode,
}

impl Projection {
    /// y [rows, out_dim] of x [rows, input width].
    ///
    /// # Errors
    /// If an operation fails.
    pub fn plain(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        weights: &Weights,
        mode: &Mode,
    ) -> Result<Tensor> {
        let input = self.prologue.plain(&x.reshape(((), self.input_width()))?, weights)?;
        let outputs: Result<Vec<Tensor>> =
            self.linears.iter().map(|linear| mode.plain(linear, &input, weights, self.bf16)).collect();
        let y = Tensor::cat(&outputs?, 1)?;
        Ok(match residual {
            Some(residual) => (y + residual)?,
            None => y,
        })
    }

    pub(in crate::ops) fn plain_forward(
        self: &Arc<Self>,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        mode: &Mode,
    ) -> Result<Var> {
        let y = self.plain(&x.tensor, residual.map(|var| &var.tensor), &Weights::fixed(), mode)?;
        Ok(tape.record(y, self.needs_grad(&x, residual, mode), || {
            let residual = residual.and_then(|residual| residual.node);
            Box::new(ProjectionNode { projection: self.clone(), x, residual, mode: mode.clone() })
        }))
    }
}

impl Backward for ProjectionNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let projection = &self.projection;
        let x = self.x.tensor.reshape(((), projection.input_width()))?;
        let trains_norm = matches!(&projection.prologue, Prologue::Norm(norm) if norm.is_trainable());
        let wants_dx = self.x.needs_grad() || trains_norm;
        let input = projection.prologue.plain(&x, &Weights::fixed())?;
        let (mut column, mut d_input) = (0, None);
        for linear in &projection.linears {
            let dy = dy.narrow(1, column, linear.out_dim())?.contiguous()?;
            let bf16 = projection.bf16;
            let part = self.mode.plain_backward(linear, &input, &dy, wants_dx, grads.params, bf16)?;
            d_input = match (d_input, part) {
                (Some(total), Some(part)) => Some((total + part)?),
                (total, part) => total.or(part),
            };
            column += linear.out_dim();
        }
        grads.add(self.residual, dy)?;
        let Some(d_input) = d_input else { return Ok(()) };
        let inputs = [(&x, self.x.needs_grad())];
        let dx = gradients(&inputs, &[d_input], grads.params, |inputs, weights| {
            Ok(vec![projection.prologue.plain(&inputs[0], weights)?])
        })?;
        match dx.into_iter().next().flatten() {
            Some(dx) => grads.add(self.x.node, dx.reshape(self.x.tensor.shape())?),
            None => Ok(()),
        }
    }
}
