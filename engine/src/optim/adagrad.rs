//! Adagrad (Duchi, Hazan & Singer 2011), as torch does it: the weight decay is part of the gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// s ← s + g², p ← p − rate · g / (√s + ε), with g + decay · p for g.
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    pub eps: f64,
}

impl Rule for Adagrad {
    fn start(&self, param: &Param) -> Result<Memory> {
        Ok(vec![("sum", param.tensor.zeros_like()?)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        let [(_, sum)] = &mut memory[..] else { return Ok(()) };
        *sum = (&*sum + gradient.sqr()?)?;
        let moved = ((gradient / (sum.sqrt()? + self.eps)?)? * step.rate)?;
        assign(param, &(&param.tensor - moved)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        let mut sum = 0.0f64;
        moves_like(Adagrad { eps: 1e-10 }, 0.1, 0.2, move |_, p, g| {
            let g = g + 0.2 * p;
            sum += g * g;
            p - 0.1 * g / (sum.sqrt() + 1e-10)
        });
    }
}
