//! Linear maps. Their backward pass is written out: candle would form the gradients of frozen weights too.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::activation;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, ParamGradients, Tape, Var, Weights, gradients};
use crate::kernel::activation::GateOrder;
use crate::ops::dropout::{Dropout, Mask};
use crate::ops::{Linear, Lora, Projection, Prologue, Weight};

/// a·b, by bf16 products where they are wanted.
fn product(a: &Tensor, b: &Tensor, bf16: bool) -> Result<Tensor> {
    let dtype = if bf16 { DType::BF16 } else { DType::F32 };
    Ok(a.to_dtype(dtype)?.matmul(&b.to_dtype(dtype)?)?.to_dtype(DType::F32)?)
}

impl Mask {
    /// The mask's factors in the shape of x. They are drawn on the host: a seed means the same mask everywhere.
    fn tensor(&self, x: &Tensor) -> Result<Tensor> {
        let factors = self.apply(&vec![1.0; x.elem_count()], 0);
        Ok(Tensor::from_vec(factors, x.shape(), x.device())?)
    }
}

impl Lora {
    /// s·drop(x)·Aᵀ [rows, rank]
    fn plain_hidden(&self, x: &Tensor, weights: &Weights, mask: Option<&Tensor>) -> Result<Tensor> {
        let a = weights.read(&self.a)?;
        let hidden = match mask {
            Some(mask) => (x * mask)?.matmul(&a.t()?)?,
            None => x.matmul(&a.t()?)?,
        };
        Ok((hidden * f64::from(self.scale))?)
    }

    fn plain_mask(&self, x: &Tensor, dropout: Dropout) -> Result<Option<Tensor>> {
        self.mask(dropout).map(|mask| mask.tensor(x)).transpose()
    }

    /// Adds the gradients of A and B to `grads`; answers with that of x.
    fn plain_backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        dropout: Dropout,
        grads: &mut ParamGradients,
    ) -> Result<Tensor> {
        let weights = Weights::fixed();
        let mask = self.plain_mask(x, dropout)?;
        let (a, b) = (weights.read(&self.a)?, weights.read(&self.b)?);
        let du = (dy.matmul(&b)? * f64::from(self.scale))?;
        if self.b.trainable {
            let hidden = self.plain_hidden(x, &weights, mask.as_ref())?;
            grads.add(&self.b, dy.t()?.matmul(&hidden)?)?;
        }
        if self.a.trainable {
            let da = match &mask {
                Some(mask) => du.t()?.matmul(&(x * mask)?)?,
                None => du.t()?.matmul(x)?,
            };
            grads.add(&self.a, da)?;
        }
        let dx = du.matmul(&a)?;
        Ok(match mask {
            Some(mask) => (dx * mask)?,
            None => dx,
        })
    }
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

    /// y [rows, out] of x [rows, in].
    pub fn plain(&self, x: &Tensor, weights: &Weights, dropout: Dropout, bf16: bool) -> Result<Tensor> {
        let mut y = product(x, &self.plain_matrix(weights, bf16)?, bf16)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&weights.read(bias)?)?;
        }
        if let Some(lora) = &self.lora {
            let mask = lora.plain_mask(x, dropout)?;
            let hidden = lora.plain_hidden(x, weights, mask.as_ref())?;
            y = (y + hidden.matmul(&weights.read(&lora.b)?.t()?)?)?;
        }
        Ok(y)
    }

    /// Adds the gradients of what is trainable to `grads`; answers with that of x, if it is wanted.
    pub(super) fn plain_backward(
        &self,
        x: &Tensor,
        dy: &Tensor,
        wants_dx: bool,
        grads: &mut ParamGradients,
        (dropout, bf16): (Dropout, bool),
    ) -> Result<Option<Tensor>> {
        let through_lora = self.lora.as_ref().map(|lora| lora.plain_backward(x, dy, dropout, grads));
        let through_lora = through_lora.transpose()?;
        if let Some(weight) = self.weight.trained().filter(|weight| grads.wants(weight.id)) {
            let dw = if self.transposed { product(&x.t()?, dy, bf16)? } else { product(&dy.t()?, x, bf16)? };
            grads.add(weight, dw)?;
        }
        if let Some(bias) = self.bias.as_ref().filter(|bias| bias.trainable) {
            grads.add(bias, dy.sum(0)?)?;
        }
        if !wants_dx {
            return Ok(None);
        }
        let dx = product(dy, &self.plain_matrix(&Weights::fixed(), bf16)?.t()?, bf16)?;
        Ok(Some(match through_lora {
            Some(more) => (dx + more)?,
            None => dx,
        }))
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
    dropout: Dropout,
}

impl Projection {
    /// y [rows, out_dim] of x [rows, input width].
    pub fn plain(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        weights: &Weights,
        dropout: Dropout,
    ) -> Result<Tensor> {
        let input = self.prologue.plain(&x.reshape(((), self.input_width()))?, weights)?;
        let outputs: Result<Vec<Tensor>> =
            self.linears.iter().map(|linear| linear.plain(&input, weights, dropout, self.bf16)).collect();
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
        dropout: Dropout,
    ) -> Result<Var> {
        let y = self.plain(&x.tensor, residual.map(|var| &var.tensor), &Weights::fixed(), dropout)?;
        Ok(tape.record(y, self.needs_grad(&x, residual), || {
            let residual = residual.and_then(|residual| residual.node);
            Box::new(ProjectionNode { projection: self.clone(), x, residual, dropout })
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
            let how = (self.dropout, projection.bf16);
            let part = linear.plain_backward(&input, &dy, wants_dx, grads.params, how)?;
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
