//! Lion (Chen et al. 2023, algorithm 2): the sign of a mean of gradients, with decoupled weight decay.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// p ← p · (1 − rate · decay) − rate · sign(β₁ · m + (1 − β₁) · g), then m ← β₂ · m + (1 − β₂) · g.
#[derive(Clone, Copy, Debug)]
pub struct Lion {
    /// Share of the mean in what gives the sign.
    pub beta1: f64,
    /// Share of the mean that is kept from step to step.
    pub beta2: f64,
}

impl Rule for Lion {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        Ok(vec![("mean", param.tensor.zeros_like()?)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = (gradient * step.clip)?;
        let [(_, mean)] = &mut memory[..] else { return Ok(()) };
        let with = |beta: f64| -> Result<Tensor> { Ok(((&*mean * beta)? + (&gradient * (1.0 - beta))?)?) };
        let (direction, kept) = (with(self.beta1)?.sign()?, with(self.beta2)?);
        *mean = kept;
        assign(param, &(step.shrunk(param)? - (direction * step.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        let mut mean = 0.0f64;
        moves_like(Lion { beta1: 0.9, beta2: 0.99 }, 0.01, 0.1, move |_, p, g| {
            let direction = (0.9 * mean + 0.1 * g).signum();
            mean = 0.99 * mean + 0.01 * g;
            p * (1.0 - 0.01 * 0.1) - 0.01 * direction
        });
    }
}
