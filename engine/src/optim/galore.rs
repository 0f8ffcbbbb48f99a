//! GaLore (Zhao et al. 2024): the optimiser of a matrix works on what singular vectors keep of its gradient.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::projector::{Projector, down, up};
use super::{Adafactor, AdamW, Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::{Param, ParamId};

/// p ← (p − rate · scale · P⁻¹(u(P(g)))) · (1 − rate · decay), u being the optimiser's step and P the projection.
pub struct GaLore {
    /// The matrices that it is for, numbered.
    pub targets: BTreeMap<ParamId, u64>,
    /// Projects gradients to a low rank, and steps back.
    pub projector: Projector,
    /// Factor on the step.
    pub scale: f64,
    /// What moves the projected gradients, and everything else.
    pub inner: Inner,
}

/// An optimiser that gradients can be projected for.
#[derive(Clone, Copy, Debug)]
pub enum Inner {
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Adafactor, with its factored second moments.
    Adafactor(Adafactor),
}

impl Inner {
    fn rule(&self) -> &dyn Rule {
        match self {
            Inner::AdamW(adam) => adam,
            Inner::Adafactor(adafactor) => adafactor,
        }
    }

    fn direction(
        &self,
        gradient: &Tensor,
        memory: &mut [(&'static str, Tensor)],
        number: u64,
    ) -> Result<Tensor> {
        match (self, memory) {
            (Inner::AdamW(adam), [(_, first), (_, second)]) => {
                adam.direction(gradient, [first, second], number)
            }
            (Inner::Adafactor(adafactor), memory) => adafactor.direction(gradient, memory, number),
            (Inner::AdamW(_), _) => Ok(gradient.zeros_like()?),
        }
    }
}

impl Rule for GaLore {
    fn start(&self, param: &Param) -> Result<Memory> {
        if !self.targets.contains_key(&param.id) {
            return self.inner.rule().start(param);
        }
        let (rows, columns) = param.tensor.dims2()?;
        let device = param.tensor.device();
        let mut memory = self.projector.start(rows, columns, device)?;
        let low = self.projector.low(rows, columns);
        memory.extend(match self.inner {
            Inner::AdamW(_) => AdamW::memory(low, device)?,
            Inner::Adafactor(adafactor) => adafactor.memory(&[low.0, low.1], device)?,
        });
        Ok(memory)
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let Some(stream) = self.targets.get(&param.id) else {
            return self.inner.rule().update(param, gradient, memory, step);
        };
        let (rows, columns) = param.tensor.dims2()?;
        let gradient = (gradient * step.clip)?;
        let bases = self.projector.start(rows, columns, param.tensor.device())?.len();
        let (bases, inner) = memory.split_at_mut(bases);
        self.projector.renew(bases, &gradient, step.number, *stream)?;
        let moved = self.inner.direction(&down(&gradient, bases)?, inner, step.number)?;
        let moved = (up(&moved, bases)? * (step.rate * self.scale))?;
        assign(param, &((&param.tensor - moved)? * (1.0 - step.rate * step.decay))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::projector::Source;
    use crate::optim::tests::moves_matrix_named_like;
    use recipe::Projection;

    /// With the bases that the projection has for the same gradients.
    #[test]
    fn follows_the_definition() {
        let adam = AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-6, eps_first: true };
        let projector = Projector { kind: Projection::Right, rank: 3, interval: 2, source: Source::Singular };
        let rule = |param: &Param| GaLore {
            targets: BTreeMap::from([(param.id, 0)]),
            projector,
            scale: 0.5,
            inner: Inner::AdamW(adam),
        };
        // All three columns are kept, so that bases are rotations: the step is that of AdamW in their coordinates.
        let (mut m, mut v, mut basis) = ([[0.0f64; 3]; 5], [[0.0f64; 3]; 5], Vec::new());
        moves_matrix_named_like(rule, "q_proj", (0.01, 0.1), (5, 3), |t, p, g| {
            if (t - 1) % 2 == 0 {
                let gradient =
                    crate::tensor::from_vec(g.iter().map(|g| *g as f32).collect(), (5, 3)).unwrap();
                let mut bases = projector.start(5, 3, gradient.device()).unwrap();
                projector.renew(&mut bases, &gradient, 1, 0).unwrap();
                basis = bases.remove(0).1.to_vec2::<f32>().unwrap();
            }
            let correction = (1.0 - 0.99f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t));
            for row in 0..5 {
                let mut moved = [0.0f64; 3];
                for r in 0..3 {
                    let low: f64 = (0..3).map(|k| g[row * 3 + k] * f64::from(basis[r][k])).sum();
                    m[row][r] = 0.9 * m[row][r] + 0.1 * low;
                    v[row][r] = 0.99 * v[row][r] + 0.01 * low * low;
                    moved[r] = m[row][r] / (v[row][r].sqrt() + 1e-6);
                }
                for k in 0..3 {
                    let back: f64 = (0..3).map(|r| moved[r] * f64::from(basis[r][k])).sum();
                    let p = &mut p[row * 3 + k];
                    *p = (*p - 0.01 * 0.5 * correction * back) * (1.0 - 0.01 * 0.1);
                }
            }
        });
    }
}
