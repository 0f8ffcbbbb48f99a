//! Dropout masks that are a function of a seed, so that the backward pass draws the same ones again.

use rayon::prelude::*;

/// The seed of a forward pass's masks; none in evaluation.
pub type Dropout = Option<u64>;

/// Drops elements with a probability and scales the others to keep the expectation.
pub struct Mask {
    state: u64,
    /// Elements whose 32 random bits are below this are dropped.
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// The mask of site `key` in the pass with `seed`.
    pub fn new(seed: u64, key: u64, probability: f32) -> Self {
        Mask {
            state: mix(seed ^ mix(key)),
            threshold: (probability as f64 * u32::MAX as f64) as u32,
            scale: 1.0 / (1.0 - probability),
        }
    }

    /// A masked copy of the elements from `first` on.
    pub fn apply(&self, x: &[f32], first: usize) -> Vec<f32> {
        x.par_iter()
            .enumerate()
            .with_min_len(8192)
            .map(|(i, x)| {
                let bits = mix(self.state.wrapping_add((first + i) as u64)) >> 32;
                if (bits as u32) < self.threshold { 0.0 } else { x * self.scale }
            })
            .collect()
    }

    /// Adds a masked copy of the elements from `first` on.
    pub fn add_to(&self, total: &mut [f32], x: &[f32], first: usize) {
        total.iter_mut().zip(self.apply(x, first)).for_each(|(total, x)| *total += x);
    }
}

/// SplitMix64 (Steele et al. 2014): a bijection whose outputs over a counter pass for random.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_expectation_and_repeats() {
        let x = vec![1.0; 100_000];
        let y = Mask::new(7, 3, 0.25).apply(&x, 0);
        let mean: f32 = y.iter().sum::<f32>() / y.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert_eq!(y, Mask::new(7, 3, 0.25).apply(&x, 0));
        assert_ne!(y, Mask::new(7, 4, 0.25).apply(&x, 0));
        assert_ne!(y, Mask::new(8, 3, 0.25).apply(&x, 0));
        assert_eq!(y[300..], Mask::new(7, 3, 0.25).apply(&x[300..], 300));
    }
}
