//! Adagrad (Duchi, Hazan & Singer 2011), as torch does it: the weight decay is part of the gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// s ← s + g², p ← p − rate / (1 + (t − 1) · rate_decay) · g / (√s + ε), with g + decay · p for g.
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    /// ε.
    pub eps: f64,
    /// What makes the rate smaller from step to step.
    pub rate_decay: f64,
}

impl Rule for Adagrad {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        Ok(vec![("sum", param.tensor.zeros_like()?)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        let [(_, sum)] = &mut memory[..] else { return Ok(()) };
        *sum = (&*sum + gradient.sqr()?)?;
        let rate = step.rate / (1.0 + (step.number - 1) as f64 * self.rate_decay);
        let moved = ((gradient / (sum.sqrt()? + self.eps)?)? * rate)?;
        assign(param, &(&param.tensor - moved)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        for rate_decay in [0.0, 0.5] {
            let mut sum = 0.0f64;
            moves_like(Adagrad { eps: 1e-10, rate_decay }, 0.1, 0.2, move |t, p, g| {
                let g = g + 0.2 * p;
                sum += g * g;
                p - 0.1 / (1.0 + f64::from(t - 1) * rate_decay) * g / (sum.sqrt() + 1e-10)
            });
        }
    }
}
