//! Adapters beside linear maps.

use candle_core::Tensor;

use crate::Result;
use crate::autograd::{ParamGradients, Weights, gradients};
use crate::ops::dropout::{Dropout, Mask};
use crate::ops::{Linear, Lora, Magnitude, Mode, Update};

impl Mask {
    /// The mask's factors in the shape of x. They are drawn on the host: a seed means the same mask everywhere.
    fn tensor(&self, x: &Tensor) -> Result<Tensor> {
        let factors = self.apply(&vec![1.0; x.elem_count()], 0);
        Ok(Tensor::from_vec(factors, x.shape(), x.device())?)
    }
}

/// x · mask, if there is one.
fn masked(x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    Ok(match mask {
        Some(mask) => (x * mask)?,
        None => x.clone(),
    })
}

impl Lora {
    /// s·drop(x)·Aᵀ [rows, rank]
    fn plain_hidden(&self, x: &Tensor, weights: &Weights, mask: Option<&Tensor>) -> Result<Tensor> {
        let hidden = masked(x, mask)?.matmul(&weights.read(&self.a)?.t()?)?;
        Ok((hidden * f64::from(self.scale))?)
    }

    fn plain_mask(&self, x: &Tensor, dropout: Dropout) -> Result<Option<Tensor>> {
        self.mask(dropout).map(|mask| mask.tensor(x)).transpose()
    }

    /// Adds the gradients of A and B to `grads`; answers with that of x, before the mask.
    fn plain_gradients(
        &self,
        x: &Tensor,
        dy: &Tensor,
        mask: Option<&Tensor>,
        grads: &mut ParamGradients,
    ) -> Result<Tensor> {
        let weights = Weights::fixed();
        let (a, b) = (weights.read(&self.a)?, weights.read(&self.b)?);
        let du = (dy.matmul(&b)? * f64::from(self.scale))?;
        if self.b.trainable {
            let hidden = self.plain_hidden(x, &weights, mask)?;
            grads.add(&self.b, dy.t()?.matmul(&hidden)?)?;
        }
        if self.a.trainable {
            grads.add(&self.a, du.t()?.matmul(&masked(x, mask)?)?)?;
        }
        Ok(du.matmul(&a)?)
    }

    /// ‖W + s·B·A‖ of each row [out], a constant to gradients.
    pub(in crate::ops) fn plain_norms(&self, linear: &Linear) -> Result<Tensor> {
        let fixed = Weights::fixed();
        let update = (fixed.read(&self.b)?.matmul(&fixed.read(&self.a)?)? * f64::from(self.scale))?;
        let direction = (linear.matrix()? + update)?;
        Ok(direction.sqr()?.sum(1)?.sqrt()?.detach())
    }

    /// (W + s·B·A)·drop(x)
    fn plain_direction(
        &self,
        linear: &Linear,
        x: &Tensor,
        weights: &Weights,
        mask: Option<&Tensor>,
        bf16: bool,
    ) -> Result<Tensor> {
        let y = linear.plain_product(&masked(x, mask)?, weights, bf16)?;
        Ok((y + self.plain_hidden(x, weights, mask)?.matmul(&weights.read(&self.b)?.t()?)?)?)
    }

    /// The gradients of an update with magnitudes; answers with that of x, if it is wanted.
    fn plain_magnitude_backward(
        &self,
        (linear, magnitude): (&Linear, &Magnitude),
        x: &Tensor,
        dy: &Tensor,
        (mask, wants_dx): (Option<&Tensor>, bool),
        grads: &mut ParamGradients,
        bf16: bool,
    ) -> Result<Option<Tensor>> {
        let fixed = Weights::fixed();
        let norms = self.plain_norms(linear)?;
        if magnitude.vector.trainable {
            let z = self.plain_direction(linear, x, &fixed, mask, bf16)?;
            grads.add(&magnitude.vector, (dy * z)?.sum(0)?.div(&norms)?)?;
        }
        let dz = dy.broadcast_mul(&fixed.read(&magnitude.vector)?.div(&norms)?)?;
        let through = self.plain_gradients(x, &dz, mask, grads)?;
        if !wants_dx {
            return Ok(None);
        }
        let Some(mask) = mask else {
            return Ok(Some((linear.plain_input_gradient(&dz, bf16)? + through)?));
        };
        let through = ((through + linear.plain_input_gradient(&(dz - dy)?, bf16)?)? * mask)?;
        Ok(Some((linear.plain_input_gradient(dy, bf16)? + through)?))
    }
}

impl Mode {
    /// y [rows, out] of a linear map of x [rows, in].
    ///
    /// # Errors
    /// If an operation fails.
    pub fn plain(&self, linear: &Linear, x: &Tensor, weights: &Weights, bf16: bool) -> Result<Tensor> {
        let base = |x: &Tensor| linear.plain_biased(linear.plain_product(x, weights, bf16)?, weights);
        let lora = match self.updates.get(&linear.name) {
            None => return base(x),
            Some(Update::Rotation(oft)) => return base(&oft.plain_rotated(x, weights, self.dropout)?),
            Some(Update::LowRank(lora)) => lora,
        };
        let mask = lora.plain_mask(x, self.dropout)?;
        let mask = mask.as_ref();
        let Some(magnitude) = &lora.magnitude else {
            let y = base(x)?;
            let hidden = lora.plain_hidden(x, weights, mask)?;
            return Ok((y + hidden.matmul(&weights.read(&lora.b)?.t()?)?)?);
        };
        let gains = weights.read(&magnitude.vector)?.div(&lora.plain_norms(linear)?)?;
        let y = lora.plain_direction(linear, x, weights, mask, bf16)?.broadcast_mul(&gains)?;
        let y = match mask {
            Some(mask) => (y + linear.plain_product(&(x - (x * mask)?)?, weights, bf16)?)?,
            None => y,
        };
        linear.plain_biased(y, weights)
    }

    /// Adds the gradients of what is trainable to `grads`; answers with that of x, if it is wanted.
    pub(in crate::ops) fn plain_backward(
        &self,
        linear: &Linear,
        x: &Tensor,
        dy: &Tensor,
        wants_dx: bool,
        grads: &mut ParamGradients,
        bf16: bool,
    ) -> Result<Option<Tensor>> {
        if let Some(Update::Rotation(oft)) = self.updates.get(&linear.name) {
            let rotated = |x: &Tensor, weights: &Weights| oft.plain_rotated(x, weights, self.dropout);
            linear.plain_parameter_gradients(&rotated(x, &Weights::fixed())?, dy, grads, bf16)?;
            let seed = linear.plain_input_gradient(dy, bf16)?;
            let run = |inputs: &[Tensor], weights: &Weights| Ok(vec![rotated(&inputs[0], weights)?]);
            let dx = gradients(&[(x, wants_dx)], &[seed], grads, run)?;
            return Ok(dx.into_iter().next().flatten());
        }
        linear.plain_parameter_gradients(x, dy, grads, bf16)?;
        let Some(lora) = self.updates.get(&linear.name).and_then(Update::low_rank) else {
            return wants_dx.then(|| linear.plain_input_gradient(dy, bf16)).transpose();
        };
        let mask = lora.plain_mask(x, self.dropout)?;
        let mask = mask.as_ref();
        if let Some(magnitude) = &lora.magnitude {
            let map = (linear, magnitude);
            return lora.plain_magnitude_backward(map, x, dy, (mask, wants_dx), grads, bf16);
        }
        let through = masked(&lora.plain_gradients(x, dy, mask, grads)?, mask)?;
        if !wants_dx {
            return Ok(None);
        }
        Ok(Some((linear.plain_input_gradient(dy, bf16)? + through)?))
    }
}
