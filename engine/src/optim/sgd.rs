//! Stochastic gradient descent without momentum, as torch does it: the weight decay is part of the gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// p ← p − rate · (g + decay · p)
#[derive(Clone, Copy, Debug)]
pub struct Sgd;

impl Rule for Sgd {
    fn start(&self, _param: &Param) -> Result<Memory> {
        Ok(Memory::new())
    }

    fn update(&self, param: &Param, gradient: &Tensor, _memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        assign(param, &(&param.tensor - (gradient * step.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        moves_like(Sgd, 0.1, 0.2, |_, p, g| p - 0.1 * (g + 0.2 * p));
    }
}
