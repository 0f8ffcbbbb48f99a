//! AdEMAMix (Pagliardini, Ablin & Grangier 2024, algorithm 1): AdamW with a second, much slower mean of gradients.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// With means m of rate β₁, n of rate β₃ and of squares v of rate β₂:
/// p ← p · (1 − rate · decay) − rate · (m / (1 − β₁ᵗ) + α n) / (√(v / (1 − β₂ᵗ)) + ε).
#[derive(Clone, Copy, Debug)]
pub struct AdEmaMix {
    /// Share of the fast mean that is kept from step to step.
    pub beta1: f64,
    /// The same of the mean of squares.
    pub beta2: f64,
    /// The same of the slow mean.
    pub beta3: f64,
    /// Weight of the slow mean.
    pub alpha: f64,
    /// Added to the root of the mean of squares.
    pub eps: f64,
}

/// The means by their names in checkpoints.
const MEANS: [&str; 3] = ["first", "slow", "second"];

/// `old` with a share of `new` in it.
fn mixed(old: &Tensor, beta: f64, new: &Tensor) -> Result<Tensor> {
    Ok(((old * beta)? + (new * (1.0 - beta))?)?)
}

impl Rule for AdEmaMix {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        MEANS.into_iter().map(|name| Ok((name, param.tensor.zeros_like()?))).collect()
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let [(_, first), (_, slow), (_, second)] = &mut memory[..] else { return Ok(()) };
        let gradient = (gradient * step.clip)?;
        *first = mixed(first, self.beta1, &gradient)?;
        *slow = mixed(slow, self.beta3, &gradient)?;
        *second = mixed(second, self.beta2, &gradient.sqr()?)?;
        let correction = |beta: f64| 1.0 - beta.powf(step.number as f64);
        let mean = ((&*first / correction(self.beta1))? + (&*slow * self.alpha)?)?;
        let spread = ((second.sqrt()? / correction(self.beta2).sqrt())? + self.eps)?;
        let moved = ((mean / spread)? * step.rate)?;
        assign(param, &(step.shrunk(param)? - moved)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        let rule = AdEmaMix { beta1: 0.9, beta2: 0.999, beta3: 0.9999, alpha: 5.0, eps: 1e-8 };
        let (mut m, mut n, mut v) = (0.0f64, 0.0f64, 0.0f64);
        moves_like(rule, 0.01, 0.1, move |t, p, g| {
            m = 0.9 * m + 0.1 * g;
            n = 0.9999 * n + 0.0001 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            p * (1.0 - 0.01 * 0.1) - 0.01 * (m + 5.0 * n) / (v.sqrt() + 1e-8)
        });
    }
}
