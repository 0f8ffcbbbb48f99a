//! RMSprop (Tieleman & Hinton 2012), as torch does it: the weight decay is part of the gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// v ← α v + (1 − α) g², p ← p − rate · g / (√v + ε), with g + decay · p for g.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    pub alpha: f64,
    pub eps: f64,
}

impl Default for RmsProp {
    /// torch's constants, which transformers leaves as they are.
    fn default() -> RmsProp {
        RmsProp { alpha: 0.99, eps: 1e-8 }
    }
}

impl Rule for RmsProp {
    fn start(&self, param: &Param) -> Result<Memory> {
        Ok(vec![("square", param.tensor.zeros_like()?)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        let [(_, square)] = &mut memory[..] else { return Ok(()) };
        *square = ((&*square * self.alpha)? + (gradient.sqr()? * (1.0 - self.alpha))?)?;
        let moved = ((gradient / (square.sqrt()? + self.eps)?)? * step.rate)?;
        assign(param, &(&param.tensor - moved)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        let mut square = 0.0f64;
        moves_like(RmsProp::default(), 0.1, 0.2, move |_, p, g| {
            let g = g + 0.2 * p;
            square = 0.99 * square + 0.01 * g * g;
            p - 0.1 * g / (square.sqrt() + 1e-8)
        });
    }
}
