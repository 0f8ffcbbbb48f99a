//! The one source of randomness: seeded ChaCha streams.
//!
//! Everything random (initialisation, shuffling, dropout, sampling) draws from an [`Rng`] whose seed and stream follow
//! from the recipe and the step, so that the same seed gives the same bytes and a resumed run goes on exactly where it
//! stopped.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A seeded generator. Streams of one seed are independent of each other.
#[derive(Clone, Debug)]
pub struct Rng {
    core: ChaCha12Rng,
}

/// A number that stands for a name wherever numbers are drawn for it.
pub fn of_name(name: &str) -> u64 {
    name.bytes().fold(0, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
}

impl Rng {
    /// Stream 0 of `seed`.
    pub fn new(seed: u64) -> Self {
        Self::stream(seed, 0)
    }

    /// Stream number `stream` of `seed`: one per purpose or epoch, so that draws of one never move another.
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut core = ChaCha12Rng::seed_from_u64(seed);
        core.set_stream(stream);
        Self { core }
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.core.next_u64()
    }

    /// Uniform in `[0, 1)`, with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal (Box–Muller; the second value is thrown away, so that the state is the position alone).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in `0..bound`, without bias (draws below `2^64 mod bound` are rejected); 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        if bound == 0 {
            return 0;
        }
        let rejected = bound.wrapping_neg() % bound;
        loop {
            let draw = self.next_u64();
            if draw >= rejected {
                return (draw % bound) as usize;
            }
        }
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// A random order of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_seeds_differ() {
        let first = Rng::new(1).next_u64();
        assert_ne!(first, Rng::new(2).next_u64());
        assert_ne!(first, Rng::stream(1, 1).next_u64());
        assert_eq!(first, Rng::new(1).next_u64());
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Rng::new(42).permutation(100);
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn uniform_and_normal_have_the_right_moments() {
        let mut rng = Rng::new(0);
        let n = 20_000;
        let uniform: f64 = (0..n).map(|_| rng.uniform()).sum::<f64>() / f64::from(n);
        assert!((uniform - 0.5).abs() < 0.01, "mean {uniform}");
        let normals: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }
}
