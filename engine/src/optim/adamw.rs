//! AdamW (Loshchilov & Hutter 2019): Adam with bias correction and decoupled weight decay, as torch does it.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use recipe::Recipe;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;
use crate::device::has_kernels;
use crate::kernel::simd;
use crate::tensor::{mutate, view};

/// The rule's constants.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Share of the mean of gradients that is kept from step to step.
    pub beta1: f64,
    /// The same of the mean of their squares.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub eps: f64,
    /// ε is added to the root of the second moment as it is kept, before its bias is corrected (as in Muon).
    pub eps_first: bool,
}

/// Running means of a parameter's gradient and of its square, by their names in checkpoints.
const MOMENTS: [&str; 2] = ["first", "second"];

impl Rule for AdamW {
    fn is_elementwise(&self) -> bool {
        true
    }

    fn start(&self, param: &Param) -> Result<Memory> {
        MOMENTS.into_iter().map(|name| Ok((name, param.tensor.zeros_like()?))).collect()
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let update = self.constants(step);
        let [(_, first), (_, second)] = &mut memory[..] else { return Ok(()) };
        if !has_kernels(&param.tensor) {
            return update.apply_plain(param, [first, second], gradient);
        }
        let gradient = view(gradient)?;
        let gradient = gradient.f32()?;
        mutate(&param.tensor, |p| mutate(first, |m| mutate(second, |v| update.apply(p, m, v, gradient))))??
    }
}

impl AdamW {
    /// As a recipe says (`adam_beta1`, `adam_beta2`, `adam_epsilon`).
    pub fn of(recipe: &Recipe) -> AdamW {
        AdamW {
            beta1: recipe.adam_beta1,
            beta2: recipe.adam_beta2,
            eps: recipe.adam_epsilon,
            eps_first: false,
        }
    }

    /// What is remembered of a matrix.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn memory(shape: (usize, usize), device: &Device) -> Result<Memory> {
        MOMENTS.into_iter().map(|name| Ok((name, Tensor::zeros(shape, DType::F32, device)?))).collect()
    }

    /// The step of a tensor that is no parameter, at a learning rate of 1: √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε).
    ///
    /// # Errors
    /// If an operation fails on the tensor's device.
    pub fn direction(&self, gradient: &Tensor, moments: [&mut Tensor; 2], number: u64) -> Result<Tensor> {
        Ok((self.uncorrected(gradient, moments)? * self.correction(number))?)
    }

    /// The same before biases are corrected, m / (√v + ε), with the gradient taken into both moments.
    ///
    /// # Errors
    /// If an operation fails on the tensor's device.
    pub fn uncorrected(&self, gradient: &Tensor, [m, v]: [&mut Tensor; 2]) -> Result<Tensor> {
        *m = ((&*m * self.beta1)? + (gradient * (1.0 - self.beta1))?)?;
        *v = ((&*v * self.beta2)? + (gradient.sqr()? * (1.0 - self.beta2))?)?;
        Ok((&*m / (v.sqrt()? + self.eps)?)?)
    }

    /// What corrects both moments' biases together.
    pub fn correction(&self, number: u64) -> f64 {
        let rest = |beta: f64| 1.0 - beta.powf(number as f64);
        rest(self.beta2).sqrt() / rest(self.beta1)
    }

    fn constants(&self, step: &Step) -> Update {
        let AdamW { beta1, beta2, eps, eps_first } = *self;
        let correction = |beta: f64| 1.0 - beta.powf(step.number as f64);
        let root = 1.0 / correction(beta2).sqrt();
        Update {
            keep: (1.0 - step.rate * step.decay) as f32,
            rate: (step.rate / correction(beta1)) as f32,
            root: root as f32,
            beta1: beta1 as f32,
            rest1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            rest2: (1.0 - beta2) as f32,
            eps: if eps_first { eps * root } else { eps } as f32,
            clip: step.clip as f32,
        }
    }
}

/// One step's constants.
#[derive(Clone, Copy)]
struct Update {
    keep: f32,
    rate: f32,
    root: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    eps: f32,
    clip: f32,
}

impl Update {
    /// The same step by candle's operations.
    fn apply_plain(self, param: &Param, [m, v]: [&mut Tensor; 2], gradient: &Tensor) -> Result<()> {
        let mean = |old: &Tensor, keep: f32, new: Tensor, rest: f32| -> Result<Tensor> {
            Ok(((old * f64::from(keep))? + (new * f64::from(rest))?)?)
        };
        let gradient = (gradient * f64::from(self.clip))?;
        let squares = gradient.sqr()?;
        *m = mean(m, self.beta1, gradient, self.rest1)?;
        *v = mean(v, self.beta2, squares, self.rest2)?;
        let spread = ((v.sqrt()? * f64::from(self.root))? + f64::from(self.eps))?;
        let step = (&*m / spread)?;
        let new = ((&param.tensor * f64::from(self.keep))? - (step * f64::from(self.rate))?)?;
        assign(param, &new)
    }

    fn apply(self, p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        const BLOCK: usize = 8192;
        p.par_chunks_mut(BLOCK)
            .zip(m.par_chunks_mut(BLOCK))
            .zip(v.par_chunks_mut(BLOCK))
            .zip(g.par_chunks(BLOCK))
            .for_each(|(((p, m), v), g)| {
                simd(
                    #[inline(always)]
                    || {
                        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                            let g = g * self.clip;
                            *m = self.beta1 * *m + self.rest1 * g;
                            *v = self.beta2 * *v + self.rest2 * g * g;
                            *p = *p * self.keep - self.rate * *m / (v.sqrt() * self.root + self.eps);
                        }
                    },
                )
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_like;

    #[test]
    fn follows_the_definition() {
        check();
        crate::device::with_plain_operations(check);
    }

    fn check() {
        let rule = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_first: false };
        let (mut m, mut v) = (0.0f64, 0.0f64);
        moves_like(rule, 0.01, 0.1, move |t, p, g| {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (mh, vh) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            p * (1.0 - 0.01 * 0.1) - 0.01 * mh / (vh.sqrt() + 1e-8)
        });
    }
}
