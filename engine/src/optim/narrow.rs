//! Parameters in bfloat16, as `pure_bf16` has them: a rule moves them in f32, and what comes out is rounded at random.
//!
//! A step is mostly smaller than what bfloat16 tells apart, and would be lost to rounding to the nearest. Up or down with
//! probabilities by the distance, values are right in the mean (Gupta et al. 2015, "Deep Learning with Limited Numerical
//! Precision"). What a rule remembers that is as large as its parameter is kept likewise.

use candle_core::{DType, Tensor};
use half::bf16;
use rayon::prelude::*;

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;
use crate::rng::{Rng, of_name};

/// Elements that share a stream of draws.
const BLOCK: usize = 8192;
/// Bits of an f32 that bfloat16 has no room for.
const LOST: u32 = 16;

/// A rule that moves parameters in bf16, too; others it moves as it does.
pub(super) struct Narrow<'a> {
    pub rule: &'a dyn Rule,
    /// The same draws round alike.
    pub draws: u64,
}

impl Rule for Narrow<'_> {
    fn start(&self, param: &Param) -> Result<Memory> {
        if param.tensor.dtype() != DType::BF16 {
            return self.rule.start(param);
        }
        let narrow = |(name, tensor): (&'static str, Tensor)| {
            let is_large = tensor.dtype() == DType::F32 && tensor.elem_count() == param.len();
            Ok((name, if is_large { tensor.to_dtype(DType::BF16)? } else { tensor }))
        };
        self.rule.start(&widened(param)?)?.into_iter().map(narrow).collect()
    }

    fn is_elementwise(&self) -> bool {
        self.rule.is_elementwise()
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        if param.tensor.dtype() != DType::BF16 {
            return self.rule.update(param, gradient, memory, step);
        }
        let wide = widened(param)?;
        let widen = |(name, tensor): &(&'static str, Tensor)| {
            let is_narrow = tensor.dtype() == DType::BF16;
            Ok((*name, if is_narrow { tensor.to_dtype(DType::F32)? } else { tensor.clone() }))
        };
        let mut moved = memory.iter().map(widen).collect::<Result<Memory>>()?;
        self.rule.update(&wide, gradient, &mut moved, step)?;
        // Pieces of a parameter have its name, and places of their own.
        let place = param.tensor.layout().start_offset() as u64;
        let mut rng = Rng::stream(self.draws, of_name(&param.name).wrapping_add(place));
        assign(param, &rounded(&wide.tensor, rng.next_u64())?)?;
        for ((_, kept), (_, new)) in memory.iter_mut().zip(moved) {
            *kept = if kept.dtype() == DType::BF16 { rounded(&new, rng.next_u64())? } else { new };
        }
        Ok(())
    }
}

/// The parameter in f32, apart from the model's.
fn widened(param: &Param) -> Result<Param> {
    Param::new(param.name.clone(), param.tensor.to_dtype(DType::F32)?, true)
}

/// A tensor of f32 in bfloat16, each value at one of the two that it lies between.
fn rounded(tensor: &Tensor, seed: u64) -> Result<Tensor> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    let mut narrow = vec![bf16::ZERO; values.len()];
    let blocks = narrow.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK));
    blocks.enumerate().for_each(|(block, (narrow, values))| {
        let mut rng = Rng::stream(seed, block as u64);
        for (narrow, values) in narrow.chunks_mut(4).zip(values.chunks(4)) {
            let mut bits = rng.next_u64();
            for (narrow, value) in narrow.iter_mut().zip(values) {
                *narrow = round(*value, bits as u16);
                bits >>= LOST;
            }
        }
    });
    Ok(Tensor::from_vec(narrow, tensor.shape(), tensor.device())?)
}

/// Adds `draw` to the bits that are cut off, so that they carry as often as they are large.
fn round(value: f32, draw: u16) -> bf16 {
    if !value.is_finite() {
        return bf16::from_f32(value);
    }
    bf16::from_bits(((value.to_bits() + u32::from(draw)) >> LOST) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::AdamW;
    use crate::tensor::from_vec;

    #[test]
    fn rounding_is_right_in_the_mean() {
        let value = 1.0 + 0.3 / 128.0;
        let many = from_vec(vec![value; 60_000], 60_000).unwrap();
        let narrow = rounded(&many, 5).unwrap().to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap();
        let ups = narrow.iter().filter(|x| **x > 1.0).count();
        assert!(narrow.iter().all(|x| *x == 1.0 || *x == 1.0 + 1.0 / 128.0));
        assert!((ups as f64 / 60_000.0 - 0.3).abs() < 0.01, "{ups}");
        // What bfloat16 can say stays, and so does what is no number.
        for exact in [0.0, -1.5, 3.0e38, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(round(exact, u16::MAX).to_f32(), bf16::from_f32(exact).to_f32());
        }
        assert!(round(f32::NAN, u16::MAX).is_nan());
    }

    /// A hundred steps, each a tenth of what bfloat16 tells apart there, come to what they come to in f32.
    #[test]
    fn small_steps_are_not_lost() {
        let values = from_vec(vec![1.0f32; 4096], (64, 64)).unwrap();
        let narrow = Param::narrow("w", values.copy().unwrap()).unwrap();
        let wide = Param::new("w", values, true).unwrap();
        let rule = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_first: false };
        let gradient = from_vec(vec![0.5f32; 4096], (64, 64)).unwrap();
        let (mut small, mut large) =
            (Narrow { rule: &rule, draws: 0 }.start(&narrow).unwrap(), rule.start(&wide).unwrap());
        assert!(small.iter().all(|(_, tensor)| tensor.dtype() == DType::BF16));
        for number in 1..=100 {
            let step = Step { number, turn: 0, rate: 0.1 / 256.0, decay: 0.0, clip: 1.0 };
            Narrow { rule: &rule, draws: number }.update(&narrow, &gradient, &mut small, &step).unwrap();
            rule.update(&wide, &gradient, &mut large, &step).unwrap();
        }
        let mean = |param: &Param| param.to_f32().unwrap().iter().sum::<f32>() / 4096.0;
        let (moved, expected) = (1.0 - mean(&narrow), 1.0 - mean(&wide));
        assert!((moved / expected - 1.0).abs() < 0.02, "{moved}, {expected}");
    }
}
