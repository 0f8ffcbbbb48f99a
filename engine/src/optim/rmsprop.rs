//! RMSprop (Tieleman & Hinton 2012), as torch does it: the weight decay is part of the gradient.

use candle_core::Tensor;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// v ← α v + (1 − α) g², u = g / (√v + ε), p ← p − rate · u, with g + decay · p for g. Centred, v less the square of a mean
/// of g stands under the root; with momentum b ← momentum · b + u moves p.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    /// Share of the mean of squares that is kept from step to step.
    pub alpha: f64,
    /// Added to the root.
    pub eps: f64,
    /// Share of the last step that is in the next one.
    pub momentum: f64,
    /// The square of the mean is subtracted from the mean of squares.
    pub centered: bool,
}

impl Default for RmsProp {
    /// torch's constants, which transformers leaves as they are.
    fn default() -> RmsProp {
        RmsProp { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false }
    }
}

const SQUARE: &str = "square";
const MEAN: &str = "mean";
const MOMENTUM: &str = "momentum";

impl Rule for RmsProp {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        let kept = [(SQUARE, true), (MEAN, self.centered), (MOMENTUM, self.momentum > 0.0)];
        let kept = kept.into_iter().filter(|(_, is_kept)| *is_kept);
        kept.map(|(name, _)| Ok((name, param.tensor.zeros_like()?))).collect()
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = step.decayed(param, gradient)?;
        let mixed = |old: &Tensor, new: Tensor| -> Result<Tensor> {
            Ok(((old * self.alpha)? + (new * (1.0 - self.alpha))?)?)
        };
        let (mut below, mut direction) = (None, None);
        for (name, tensor) in memory.iter_mut() {
            match *name {
                SQUARE => {
                    *tensor = mixed(tensor, gradient.sqr()?)?;
                    below = Some(tensor.clone());
                }
                MEAN => {
                    *tensor = mixed(tensor, gradient.clone())?;
                    below = below.map(|square| &square - tensor.sqr()?).transpose()?;
                }
                _ => direction = Some(tensor),
            }
        }
        let Some(below) = below else { return Ok(()) };
        let moved = (gradient / (below.sqrt()? + self.eps)?)?;
        let moved = match direction {
            Some(momentum) => {
                *momentum = ((&*momentum * self.momentum)? + moved)?;
                momentum.clone()
            }
            None => moved,
        };
        assign(param, &(&param.tensor - (moved * step.rate)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        for (momentum, centered) in [(0.0, false), (0.9, false), (0.0, true), (0.5, true)] {
            let (mut square, mut mean, mut b) = (0.0f64, 0.0f64, 0.0f64);
            let rule = RmsProp { momentum, centered, ..RmsProp::default() };
            moves_like(rule, 0.01, 0.2, move |_, p, g| {
                let g = g + 0.2 * p;
                square = 0.99 * square + 0.01 * g * g;
                mean = 0.99 * mean + 0.01 * g;
                let below = if centered { square - mean * mean } else { square };
                let moved = g / (below.sqrt() + 1e-8);
                b = momentum * b + moved;
                p - 0.01 * if momentum > 0.0 { b } else { moved }
            });
        }
    }
}
