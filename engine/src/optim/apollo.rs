//! APOLLO (Zhu et al. 2024, "SGD-like memory, AdamW-level performance"): each channel of a gradient is scaled as AdamW
//! would scale it, which a random projection of the gradient tells.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};

use super::projector::{Projector, Side, down};
use super::{AdamW, Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::{Param, ParamId};

/// By how much a step may be larger than the one before (Chen et al. 2024, Fira, section 3.2).
const GROWTH: f64 = 1.01;

/// With r = P(g) and u = m / (√v + ε) of it: s = |u| / |r|, of each channel or all together, and
/// p ← (p − rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · √scale · limited(s · g)) · (1 − rate · decay).
pub struct Apollo {
    /// The matrices that it is for, numbered.
    pub targets: BTreeMap<ParamId, u64>,
    /// Projects gradients to a low rank.
    pub projector: Projector,
    /// Factor on the step, under the root.
    pub scale: f64,
    /// One factor for the whole matrix (APOLLO-Mini) rather than one for each channel.
    pub by_tensor: bool,
    /// The scale comes before the limit.
    pub scale_front: bool,
    /// What tells the scale, and moves everything else.
    pub adam: AdamW,
}

impl Apollo {
    /// The factor of each channel, or of all.
    fn factors(&self, moved: &Tensor, low: &Tensor, side: Side) -> Result<Tensor> {
        let norms = |x: &Tensor| -> Result<Tensor> {
            let squares = x.sqr()?;
            Ok(match side {
                _ if self.by_tensor => squares.sum_all()?.reshape((1, 1))?,
                Side::Left => squares.sum_keepdim(0)?,
                Side::Right | Side::Both => squares.sum_keepdim(1)?,
            }
            .sqrt()?)
        };
        Ok((norms(moved)? / (norms(low)? + 1e-8)?)?)
    }
}

impl Rule for Apollo {
    fn start(&self, param: &Param) -> Result<Memory> {
        if !self.targets.contains_key(&param.id) {
            return self.adam.start(param);
        }
        let (rows, columns) = param.tensor.dims2()?;
        let device = param.tensor.device();
        let mut memory = self.projector.start(rows, columns, device)?;
        memory.extend(AdamW::memory(self.projector.low(rows, columns), device)?);
        memory.push(("size", Tensor::zeros(1, DType::F32, device)?));
        Ok(memory)
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let Some(stream) = self.targets.get(&param.id) else {
            return self.adam.update(param, gradient, memory, step);
        };
        let [basis @ .., (_, first), (_, second), (_, size)] = &mut memory[..] else { return Ok(()) };
        let (rows, columns) = param.tensor.dims2()?;
        let gradient = (gradient * step.clip)?;
        self.projector.renew(basis, &gradient, step.number, *stream)?;
        let low = down(&gradient, basis)?;
        let moved = self.adam.uncorrected(&low, [first, second])?;
        let factors = self.factors(&moved, &low, self.projector.side(rows, columns))?;
        let mut scaled = gradient.broadcast_mul(&factors)?;
        if self.scale_front {
            scaled = (scaled * self.scale.sqrt())?;
        }
        let norm = f64::from(scaled.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>()?);
        let before = f64::from(size.to_vec1::<f32>()?[0]);
        let limit = if before > 0.0 { (norm / (before + 1e-8)).max(GROWTH) / GROWTH } else { 1.0 };
        *size = Tensor::new(&[(norm / limit) as f32], size.device())?;
        let behind = if self.scale_front { 1.0 } else { self.scale.sqrt() };
        let rate = step.rate * self.adam.correction(step.number) * behind / limit;
        let moved = (scaled * rate)?;
        assign(param, &((&param.tensor - moved)? * (1.0 - step.rate * step.decay))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::projector::Source;
    use crate::optim::tests::moves_matrix_named_like;
    use recipe::Projection;

    /// By channels and by tensor, both ways round, from the bases that the rule draws.
    #[test]
    fn follows_the_definition() {
        let adam = AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-6, eps_first: true };
        for (shape, by_tensor, scale_front) in
            [((6, 4), false, false), ((4, 6), false, true), ((6, 4), true, true), ((4, 6), true, false)]
        {
            let source = Source::Random { seed: 9 };
            let projector = Projector { kind: Projection::Std, rank: 2, interval: 3, source };
            let rule = |param: &Param| Apollo {
                targets: BTreeMap::from([(param.id, 7)]),
                projector,
                scale: 4.0,
                by_tensor,
                scale_front,
                adam,
            };
            let (rows, columns) = shape;
            let is_right = rows >= columns;
            // Channels, the longer side, each with its two projected numbers.
            let channels = rows.max(columns);
            let (mut m, mut v) = (vec![[0.0f64; 2]; channels], vec![[0.0f64; 2]; channels]);
            let (mut basis, mut before) = (Vec::new(), None::<f64>);
            moves_matrix_named_like(rule, "q_proj", (0.01, 0.1), shape, |t, p, g| {
                if (t - 1) % 3 == 0 {
                    let device = candle_core::Device::Cpu;
                    let mut bases = projector.start(rows, columns, &device).unwrap();
                    let like = Tensor::zeros(shape, DType::F32, &device).unwrap();
                    projector.renew(&mut bases, &like, t as u64, 7).unwrap();
                    let drawn = bases.remove(0).1;
                    let drawn = if is_right { drawn } else { drawn.t().unwrap().contiguous().unwrap() };
                    basis = drawn.to_vec2::<f32>().unwrap();
                }
                let at = |channel: usize, k: usize| {
                    if is_right { channel * columns + k } else { k * columns + channel }
                };
                let short = rows.min(columns);
                let (mut low, mut moved) = (vec![[0.0; 2]; channels], vec![[0.0; 2]; channels]);
                for c in 0..channels {
                    for r in 0..2 {
                        low[c][r] = (0..short).map(|k| g[at(c, k)] * f64::from(basis[r][k])).sum();
                        m[c][r] = 0.9 * m[c][r] + 0.1 * low[c][r];
                        v[c][r] = 0.99 * v[c][r] + 0.01 * low[c][r] * low[c][r];
                        moved[c][r] = m[c][r] / (v[c][r].sqrt() + 1e-6);
                    }
                }
                let norm = |x: &[[f64; 2]]| x.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
                let mut scaled = vec![0.0; g.len()];
                for c in 0..channels {
                    let factor = match by_tensor {
                        true => norm(&moved) / (norm(&low) + 1e-8),
                        false => norm(&moved[c..=c]) / (norm(&low[c..=c]) + 1e-8),
                    };
                    for k in 0..short {
                        scaled[at(c, k)] = g[at(c, k)] * factor * if scale_front { 2.0 } else { 1.0 };
                    }
                }
                let size = scaled.iter().map(|x| x * x).sum::<f64>().sqrt();
                let limit = before.map_or(1.0, |before| (size / (before + 1e-8)).max(1.01) / 1.01);
                before = Some(size / limit);
                let correction = (1.0 - 0.99f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t));
                let rate = 0.01 * correction / limit * if scale_front { 1.0 } else { 2.0 };
                for (p, s) in p.iter_mut().zip(&scaled) {
                    *p = (*p - rate * s) * (1.0 - 0.01 * 0.1);
                }
            });
        }
    }
}
