//! BAdam by shares (Luo, Yu & Li 2024): Adam of a part of each parameter's entries, another part in each turn.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use parking_lot::Mutex;

use super::{AdamW, Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;
use crate::rng::Rng;

/// Adam, without weight decay, of the entries that a turn has.
pub struct Ratio {
    /// How the entries move.
    pub adam: AdamW,
    /// The share of entries that trains at a time.
    pub share: f64,
    /// Whether those are scattered at random rather than next to each other.
    pub scattered: bool,
    /// Decides which entries a turn has.
    pub seed: u64,
    /// Places of the turn by number of entries, since parameters of one size have the same.
    places: Mutex<BTreeMap<usize, (u64, Tensor)>>,
}

impl Ratio {
    /// For shares of each parameter.
    pub fn new(adam: AdamW, share: f64, scattered: bool, seed: u64) -> Ratio {
        Ratio { adam, share, scattered, seed, places: Mutex::default() }
    }

    fn count(&self, len: usize) -> usize {
        ((len as f64 * self.share) as usize).clamp(1, len)
    }

    /// The places among `len` entries that train in a turn.
    fn places(&self, len: usize, turn: u64, device: &Device) -> Result<Tensor> {
        if let Some((of, places)) = self.places.lock().get(&len)
            && *of == turn
        {
            return Ok(places.clone());
        }
        let count = self.count(len);
        let offset = (u128::from(turn) * count as u128 % len as u128) as usize;
        let wrapped = (offset..offset + count).map(|place| place % len);
        let mut places: Vec<u32> = if self.scattered && count < len {
            let order = Rng::stream(self.seed, len as u64).permutation(len);
            wrapped.map(|place| order[place] as u32).collect()
        } else {
            wrapped.map(|place| place as u32).collect()
        };
        places.sort_unstable();
        let places = Tensor::new(places, device)?;
        self.places.lock().insert(len, (turn, places.clone()));
        Ok(places)
    }
}

impl Rule for Ratio {
    fn start(&self, param: &Param) -> Result<Memory> {
        let zeros = Tensor::zeros(self.count(param.len()), DType::F32, param.tensor.device())?;
        Ok(vec![("first", zeros.clone()), ("second", zeros)])
    }

    fn decays(&self, _param: &Param) -> bool {
        false
    }

    fn narrowed(&self, param: &Param, gradient: &Tensor, turn: u64) -> Result<Option<Tensor>> {
        let places = self.places(param.len(), turn, param.tensor.device())?;
        let kept = gradient.flatten_all()?.index_select(&places, 0)?;
        let narrowed = gradient.flatten_all()?.zeros_like()?.index_add(&places, &kept, 0)?;
        Ok(Some(narrowed.reshape(gradient.shape())?))
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let places = self.places(param.len(), step.turn, param.tensor.device())?;
        let gradient = (gradient.flatten_all()?.index_select(&places, 0)? * step.clip)?;
        let [(_, first), (_, second)] = &mut memory[..] else { return Ok(()) };
        let moved = self.adam.direction(&gradient, [first, second], step.number)?;
        let moved = (moved * -step.rate)?;
        let values = param.tensor.flatten_all()?.index_add(&places, &moved, 0)?;
        assign(param, &values.reshape(param.tensor.shape())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::from_vec;

    fn rule(scattered: bool) -> Ratio {
        let adam = AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_first: true };
        Ratio::new(adam, 0.25, scattered, 3)
    }

    #[test]
    fn every_entry_has_its_turn() {
        for scattered in [false, true] {
            let rule = rule(scattered);
            let mut all = Vec::new();
            for turn in 0..4 {
                all.extend(rule.places(120, turn, &Device::Cpu).unwrap().to_vec1::<u32>().unwrap());
            }
            if !scattered {
                assert_eq!(all[..3], [0, 1, 2]);
            }
            all.sort_unstable();
            assert_eq!(all, (0..120).collect::<Vec<u32>>());
        }
    }

    /// Two steps of 30 of 120 numbers, by Adam's formula in f64; the others stay.
    #[test]
    fn follows_the_definition() {
        let rule = rule(true);
        let start: Vec<f32> = (0..120).map(|i| i as f32 / 60.0).collect();
        let param = Param::new("w", from_vec(start.clone(), (12, 10)).unwrap(), true).unwrap();
        let mut memory = rule.start(&param).unwrap();
        assert_eq!(memory[0].1.dims(), [30]);
        let chosen = rule.places(120, 2, &Device::Cpu).unwrap().to_vec1::<u32>().unwrap();
        let (mut m, mut v, mut want) =
            ([0.0f64; 120], [0.0f64; 120], start.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
        for number in 1..=2 {
            let gradient: Vec<f32> =
                (0..120).map(|i| ((i * 7 + number * 3) % 11) as f32 / 11.0 - 0.4).collect();
            let tensor = from_vec(gradient.clone(), (12, 10)).unwrap();
            let narrowed = rule.narrowed(&param, &tensor, 2).unwrap().unwrap().flatten_all().unwrap();
            let step = Step { number: number as u64, turn: 2, rate: 0.01, decay: 0.0, clip: 1.0 };
            rule.update(&param, &tensor, &mut memory, &step).unwrap();
            for (i, kept) in narrowed.to_vec1::<f32>().unwrap().into_iter().enumerate() {
                let is_chosen = chosen.contains(&(i as u32));
                assert_eq!(kept, if is_chosen { gradient[i] } else { 0.0 });
                if is_chosen {
                    let g = f64::from(gradient[i]);
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.999 * v[i] + 0.001 * g * g;
                    let (rest1, rest2) = (1.0 - 0.9f64.powi(number), 1.0 - 0.999f64.powi(number));
                    want[i] -= 0.01 * rest2.sqrt() / rest1 * m[i] / (v[i].sqrt() + 1e-8);
                }
            }
            for (got, want) in param.to_f32().unwrap().iter().zip(&want) {
                assert!((f64::from(*got) - want).abs() < 1e-6, "{got} != {want}");
            }
        }
    }
}
