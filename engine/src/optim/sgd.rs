//! Stochastic gradient descent, with momentum where it is asked for, as torch does it: the weight decay is part of the
//! gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// With g + decay · p for g: p ← p − rate · g, or with momentum m ← momentum · m + (1 − dampening) · g, the first m being g,
/// and p ← p − rate · m, or after Nesterov p ← p − rate · (g + momentum · m).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sgd {
    /// Share of the moving sum that is kept from step to step.
    pub momentum: f64,
    /// What the gradient lacks of its whole weight in the sum.
    pub dampening: f64,
    /// The step looks ahead by the momentum.
    pub nesterov: bool,
}

impl Rule for Sgd {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        if self.momentum == 0.0 {
            return Ok(Memory::new());
        }
        Ok(vec![("momentum", param.tensor.zeros_like()?)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        let direction = match &mut memory[..] {
            [(_, momentum)] => {
                let share = if step.number == 1 { 1.0 } else { 1.0 - self.dampening };
                *momentum = ((&*momentum * self.momentum)? + (&gradient * share)?)?;
                match self.nesterov {
                    true => (gradient + (&*momentum * self.momentum)?)?,
                    false => momentum.clone(),
                }
            }
            _ => gradient,
        };
        assign(param, &(&param.tensor - (direction * step.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        moves_like(Sgd::default(), 0.1, 0.2, |_, p, g| p - 0.1 * (g + 0.2 * p));
        for nesterov in [false, true] {
            let mut m = 0.0;
            moves_like(Sgd { momentum: 0.9, dampening: 0.25, nesterov }, 0.1, 0.2, move |t, p, g| {
                let g = g + 0.2 * p;
                m = 0.9 * m + if t == 1 { g } else { 0.75 * g };
                p - 0.1 * if nesterov { g + 0.9 * m } else { m }
            });
        }
    }
}
