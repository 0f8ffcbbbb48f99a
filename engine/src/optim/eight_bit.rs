//! What an optimiser remembers, in 8 bits a number (Dettmers et al. 2022, "8-bit optimizers via block-wise quantization"):
//! a block of 256 numbers shares a scale, and each is the nearest of 256 shares of it, as in bitsandbytes.

use std::sync::LazyLock;

use candle_core::{DType, Tensor};
use rayon::prelude::*;

use super::{Memory, Rule, Step};
use crate::Result;
use crate::autograd::Param;
use crate::device::has_kernels;
use crate::kernel::uninit;
use crate::tensor::{from_vec, view};

/// Numbers that share a scale.
const BLOCK: usize = 256;
/// Tensors of fewer numbers stay as they are.
const SMALL: usize = 4096;

/// Another rule, whose means are unpacked for a step and packed again behind it. Those of tables of tokens and positions
/// stay as they are, as in transformers: their gradients are sparse and of very different sizes.
pub struct EightBit(pub Box<dyn Rule>);

/// What names of tables have in them.
const TABLES: [&str; 3] = ["embed", "wte", "wpe"];

fn is_table(param: &Param) -> bool {
    TABLES.iter().any(|part| param.name.contains(part))
}

/// Means that are packed, with what their scales are called. Means of squares have no sign.
const MEANS: [(&str, &str, bool); 5] = [
    ("first", "first.scale", true),
    ("slow", "slow.scale", true),
    ("mean", "mean.scale", true),
    ("square", "square.scale", true),
    ("second", "second.scale", false),
];

/// Shares of a scale, ascending, that a code stands for: in each of seven decades twice as many as in the one below,
/// evenly, then 0 and 1; with a sign as many below 0 (section 2.1, dynamic tree quantisation).
fn shares(signed: bool) -> Vec<f32> {
    let mut shares = vec![0.0, 1.0];
    for decade in 0..7 {
        let count = 1 << if signed { decade } else { decade + 1 };
        let bound = |i: usize| 0.1 + 0.9 * i as f64 / count as f64;
        for i in 0..count {
            let share = 10f64.powi(decade - 6) * (bound(i) + bound(i + 1)) / 2.0;
            shares.push(share as f32);
            if signed {
                shares.push(-share as f32);
            }
        }
    }
    shares.sort_by(f32::total_cmp);
    shares
}

static SIGNED: LazyLock<Vec<f32>> = LazyLock::new(|| shares(true));
static UNSIGNED: LazyLock<Vec<f32>> = LazyLock::new(|| shares(false));

fn table(signed: bool) -> &'static [f32] {
    if signed { &SIGNED } else { &UNSIGNED }
}

/// Codes and scales of numbers.
fn packed(values: &[f32], signed: bool) -> (Vec<u8>, Vec<f32>) {
    let table = table(signed);
    let nearest = |share: f32| {
        let above = table.partition_point(|known| *known < share).min(table.len() - 1);
        let below = above.saturating_sub(1);
        if share - table[below] < table[above] - share { below } else { above }
    };
    let (mut codes, mut scales) = (vec![0; values.len()], vec![0.0; values.len().div_ceil(BLOCK)]);
    let blocks = codes.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK)).zip(&mut scales);
    blocks.for_each(|((codes, block), scale)| {
        *scale = block.iter().fold(0f32, |scale, x| scale.max(x.abs()));
        let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
        codes.iter_mut().zip(block).for_each(|(code, x)| *code = nearest(x * inverse) as u8);
    });
    (codes, scales)
}

fn unpacked(codes: &[u8], scales: &[f32], signed: bool) -> Vec<f32> {
    let table = table(signed);
    let mut values = uninit(codes.len());
    let blocks = values.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK)).zip(scales);
    blocks.for_each(|((values, block), scale)| {
        values.iter_mut().zip(block).for_each(|(value, code)| *value = table[usize::from(*code)] * scale);
    });
    values
}

/// The memory of a rule with its large means packed.
fn pack(memory: Memory) -> Result<Memory> {
    let mut all = Memory::new();
    for (name, tensor) in memory {
        match MEANS.iter().find(|(mean, ..)| *mean == name) {
            Some((_, scale, signed)) if tensor.elem_count() >= SMALL => {
                let (codes, scales) = match has_kernels(&tensor) {
                    true => packed(view(&tensor)?.f32()?, *signed),
                    false => packed(&tensor.flatten_all()?.to_vec1::<f32>()?, *signed),
                };
                let (device, count) = (tensor.device(), scales.len());
                all.push((name, Tensor::from_vec(codes, tensor.shape(), device)?));
                all.push((scale, from_vec(scales, count)?.to_device(device)?));
            }
            _ => all.push((name, tensor)),
        }
    }
    Ok(all)
}

/// The same as the rule knows it.
fn unpack(memory: &Memory) -> Result<Memory> {
    let mut all = Memory::new();
    let mut rest = memory.iter();
    while let Some((name, tensor)) = rest.next() {
        let mean = MEANS.iter().find(|(mean, ..)| mean == name).filter(|_| tensor.dtype() == DType::U8);
        match (mean, mean.and_then(|_| rest.next())) {
            (Some((_, _, signed)), Some((_, scales))) => {
                let codes = tensor.flatten_all()?.to_vec1::<u8>()?;
                let values = unpacked(&codes, &scales.to_vec1::<f32>()?, *signed);
                all.push((name, from_vec(values, tensor.shape())?.to_device(tensor.device())?));
            }
            _ => all.push((name, tensor.clone())),
        }
    }
    Ok(all)
}

impl Rule for EightBit {
    fn start(&self, param: &Param) -> Result<Memory> {
        let memory = self.0.start(param)?;
        if is_table(param) { Ok(memory) } else { pack(memory) }
    }

    fn decays(&self, param: &Param) -> bool {
        self.0.decays(param)
    }

    fn is_elementwise(&self) -> bool {
        self.0.is_elementwise()
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        if is_table(param) {
            return self.0.update(param, gradient, memory, step);
        }
        let mut whole = unpack(memory)?;
        self.0.update(param, gradient, &mut whole, step)?;
        *memory = pack(whole)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::AdamW;
    use crate::rng::Rng;

    /// The table's size, its ends, and some of its entries, by hand.
    #[test]
    fn shares_are_those_of_dynamic_trees() {
        let (signed, unsigned) = (shares(true), shares(false));
        assert_eq!((signed.len(), unsigned.len()), (256, 256));
        assert_eq!((signed[127], signed[255], unsigned[0], unsigned[255]), (0.0, 1.0, 0.0, 1.0));
        // The lowest decade has one share, 1e-6 · (0.1 + 1) / 2; the highest 64, the first in 0.1 + 0.9 / 128.
        assert!((signed[128] - 5.5e-7).abs() < 1e-12 && signed[126] == -signed[128]);
        assert!((signed[191] - (0.1 + 0.9 / 128.0)).abs() < 1e-6, "{}", signed[191]);
        assert!(signed[0] > -1.0 && unsigned.iter().all(|share| *share >= 0.0));
    }

    #[test]
    fn numbers_come_back_about_as_they_were() {
        let mut rng = Rng::new(2);
        let values: Vec<f32> =
            (0..1000).map(|_| (rng.normal() * 10f64.powf(rng.uniform() * 3.0)) as f32).collect();
        for signed in [true, false] {
            let values: Vec<f32> = values.iter().map(|x| if signed { *x } else { x.abs() }).collect();
            let (codes, scales) = packed(&values, signed);
            assert_eq!((codes.len(), scales.len()), (1000, 4));
            let back = unpacked(&codes, &scales, signed);
            for (block, (values, back)) in values.chunks(BLOCK).zip(back.chunks(BLOCK)).enumerate() {
                for (value, back) in values.iter().zip(back) {
                    // Each code is the nearest one.
                    let share = |x: f32| x / scales[block];
                    let best =
                        table(signed).iter().map(|known| (known - share(*value)).abs()).fold(1.0, f32::min);
                    assert!((share(*back) - share(*value)).abs() <= best + 1e-6);
                }
            }
        }
        assert_eq!(unpacked(&packed(&[0.0; 5], true).0, &[0.0], true), [0.0; 5]);
    }

    /// Three steps of AdamW with moments that go through 8 bits, against f64 with the same rounding.
    #[test]
    fn a_step_uses_what_came_back() {
        let adam = AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8, eps_first: false };
        let rule = EightBit(Box::new(adam));
        let mut rng = Rng::new(6);
        let mut draw = || (0..SMALL).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
        let start = draw();
        let mut want: Vec<f64> = start.iter().map(|x| f64::from(*x)).collect();
        let param = Param::new("w", from_vec(start, (64, 64)).unwrap(), true).unwrap();
        let mut memory = rule.start(&param).unwrap();
        let names: Vec<&str> = memory.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["first", "first.scale", "second", "second.scale"]);
        let table = Param::new("model.embed_tokens.weight", param.tensor.clone(), true).unwrap();
        assert_eq!(rule.start(&table).unwrap().len(), 2);
        let (mut m, mut v) = (vec![0.0f32; SMALL], vec![0.0f32; SMALL]);
        for t in 1..=3 {
            let gradient = draw();
            let step = Step { number: t as u64, turn: 0, rate: 0.01, decay: 0.0, clip: 1.0 };
            rule.update(&param, &from_vec(gradient.clone(), (64, 64)).unwrap(), &mut memory, &step).unwrap();
            for i in 0..SMALL {
                let g = f64::from(gradient[i]);
                let (first, second) =
                    (0.9 * f64::from(m[i]) + 0.1 * g, 0.99 * f64::from(v[i]) + 0.01 * g * g);
                let spread = (second / (1.0 - 0.99f64.powi(t))).sqrt() + 1e-8;
                want[i] -= 0.01 * first / (1.0 - 0.9f64.powi(t)) / spread;
                (m[i], v[i]) = (first as f32, second as f32);
            }
            for (means, signed) in [(&mut m, true), (&mut v, false)] {
                let (codes, scales) = packed(means, signed);
                *means = unpacked(&codes, &scales, signed);
            }
            // A number half way between two codes may go either way, by the last bit.
            let far = |(got, want): &(&f32, &f64)| (f64::from(**got) - **want).abs() > 1e-4;
            let count = param.to_f32().unwrap().iter().zip(&want).filter(far).count();
            assert!(count < 40, "step {t}: {count} of {SMALL} numbers are elsewhere");
        }
    }
}
