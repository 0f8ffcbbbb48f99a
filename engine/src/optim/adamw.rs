//! AdamW (Loshchilov & Hutter 2019): Adam with bias correction and decoupled weight decay, as torch does it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::Result;
use crate::autograd::{Param, ParamGradients, ParamId};
use crate::device::has_kernels;
use crate::kernel::simd;
use crate::tensor::{mutate, view};

#[derive(Clone, Copy, Debug)]
pub struct AdamWSettings {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Clone, Debug)]
pub struct Moments {
    pub first: Tensor,
    pub second: Tensor,
}

/// The optimiser and its state.
pub struct AdamW {
    settings: AdamWSettings,
    /// Steps taken so far.
    pub steps: u64,
    moments: BTreeMap<ParamId, Moments>,
}

impl AdamW {
    pub fn new(settings: AdamWSettings) -> Self {
        AdamW { settings, steps: 0, moments: BTreeMap::new() }
    }

    /// Moves each parameter that has a gradient; `scale` multiplies the gradients (clipping).
    ///
    /// Matrices decay; norms and biases do not, as in transformers' parameter groups.
    pub fn step(&mut self, params: &[Arc<Param>], grads: &ParamGradients, lr: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        for param in params {
            let Some(gradient) = grads.get(param.id) else { continue };
            let decays = param.tensor.dims().len() > 1 && !param.name.contains("norm");
            let update = self.update(lr, scale, if decays { self.settings.weight_decay } else { 0.0 });
            let moments = match self.moments.entry(param.id) {
                Entry::Occupied(moments) => moments.into_mut(),
                Entry::Vacant(place) => {
                    let zeros = || param.tensor.zeros_like();
                    place.insert(Moments { first: zeros()?, second: zeros()? })
                }
            };
            if !has_kernels(&param.tensor) {
                update.apply_plain(&param.tensor, moments, gradient)?;
                continue;
            }
            let gradient = view(gradient)?;
            let gradient = gradient.f32()?;
            mutate(&param.tensor, |p| {
                mutate(&moments.first, |m| mutate(&moments.second, |v| update.apply(p, m, v, gradient)))
            })???;
        }
        Ok(())
    }

    fn update(&self, lr: f64, scale: f64, weight_decay: f64) -> Update {
        let AdamWSettings { beta1, beta2, eps, .. } = self.settings;
        let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        Update {
            keep: (1.0 - lr * weight_decay) as f32,
            rate: (lr / correction(beta1)) as f32,
            root: (1.0 / correction(beta2).sqrt()) as f32,
            beta1: beta1 as f32,
            rest1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            rest2: (1.0 - beta2) as f32,
            eps: eps as f32,
            scale: scale as f32,
        }
    }

    pub fn moments(&self, param: &Param) -> Option<&Moments> {
        self.moments.get(&param.id)
    }

    pub fn set_moments(&mut self, param: &Param, moments: Moments) {
        self.moments.insert(param.id, moments);
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
    scale: f32,
}

impl Update {
    /// The same step by candle's operations.
    fn apply_plain(self, param: &Tensor, moments: &mut Moments, gradient: &Tensor) -> Result<()> {
        let mean = |old: &Tensor, keep: f32, new: Tensor, rest: f32| -> Result<Tensor> {
            Ok(((old * f64::from(keep))? + (new * f64::from(rest))?)?)
        };
        let gradient = (gradient * f64::from(self.scale))?;
        let squares = gradient.sqr()?;
        moments.first = mean(&moments.first, self.beta1, gradient, self.rest1)?;
        moments.second = mean(&moments.second, self.beta2, squares, self.rest2)?;
        let spread = ((moments.second.sqrt()? * f64::from(self.root))? + f64::from(self.eps))?;
        let step = (&moments.first / spread)?;
        let new = ((param * f64::from(self.keep))? - (step * f64::from(self.rate))?)?;
        // In place: the model's parts share the tensor.
        Ok(param.slice_set(&new, 0, 0)?)
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
                            let g = g * self.scale;
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
    use crate::tensor::from_vec;

    #[test]
    fn follows_the_definition() {
        check();
        crate::device::with_plain_operations(check);
    }

    /// Two steps worked out by hand from the definition, in f64.
    fn check() {
        let param = Arc::new(Param::new("w", from_vec(vec![1.0, -2.0], (1, 2)).unwrap(), true).unwrap());
        let settings = AdamWSettings { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.1 };
        let mut adamw = AdamW::new(settings);
        let (mut want, mut m, mut v) = ([1.0f64, -2.0], [0.0f64; 2], [0.0f64; 2]);
        for (step, g) in [[0.5f64, -1.5], [-0.25, 2.0]].iter().enumerate() {
            let mut grads = ParamGradients::default();
            grads.add(&param, from_vec(vec![g[0] as f32, g[1] as f32], (1, 2)).unwrap()).unwrap();
            adamw.step(std::slice::from_ref(&param), &grads, 0.01, 1.0).unwrap();
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
                let t = step as i32 + 1;
                let (mh, vh) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                want[i] = want[i] * (1.0 - 0.01 * 0.1) - 0.01 * mh / (vh.sqrt() + 1e-8);
            }
            let got = param.to_f32().unwrap();
            assert!(
                (got[0] as f64 - want[0]).abs() < 1e-6 && (got[1] as f64 - want[1]).abs() < 1e-6,
                "{got:?} {want:?}"
            );
        }
    }
}
