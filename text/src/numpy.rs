//! NumPy's random numbers, so that data sets are drawn, split, shuffled and mixed in the very order that
//! LLaMA-Factory gives them: `default_rng` (PCG64) and, for `num_samples`, the legacy `RandomState` (MT19937).
//!
//! Sources: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random
//! Number Generation" (2014), XSL-RR 128/64; NumPy's `SeedSequence`; D. Lemire, "Fast Random Integer Generation in an
//! Interval" (2019); M. Matsumoto and T. Nishimura, "Mersenne Twister" (1998).

/// `numpy.random.default_rng(seed)`.
#[derive(Clone, Debug)]
pub(crate) struct DefaultRng {
    state: u128,
    increment: u128,
    /// The upper half of a number whose lower half was used.
    half: Option<u32>,
}

impl DefaultRng {
    pub(crate) fn new(seed: u64) -> Self {
        const WORDS: usize = 8;
        let words: [u32; WORDS] = seed_words(seed);
        let wide = |at: usize| u128::from(words[at]) | u128::from(words[at + 1]) << 32;
        let (start, sequence) = (wide(0) << 64 | wide(2), wide(4) << 64 | wide(6));
        let mut rng = Self { state: 0, increment: sequence << 1 | 1, half: None };
        rng.step();
        rng.state = rng.state.wrapping_add(start);
        rng.step();
        rng
    }

    fn step(&mut self) {
        const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn next_u32(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let both = self.next_u64();
        self.half = Some((both >> 32) as u32);
        both as u32
    }

    /// Uniform in `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..bound`; 0 if `bound` is 0 or 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 {
            return 0;
        }
        // Beyond 2^32 NumPy draws 64 bits; a data set of so many rows does not fit its index either.
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        let mut product = u64::from(self.next_u32()) * u64::from(bound);
        if (product as u32) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u32) < threshold {
                product = u64::from(self.next_u32()) * u64::from(bound);
            }
        }
        (product >> 32) as usize
    }

    /// `generator.shuffle`.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // Here NumPy draws by masks and rejection.
            let mask = u32::MAX >> (last as u32).leading_zeros();
            let other = loop {
                let drawn = (self.next_u32() & mask) as usize;
                if drawn <= last {
                    break drawn;
                }
            };
            items.swap(last, other);
        }
    }

    /// `generator.permutation(n)`.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// One entry of `generator.choice(len(shares), p=shares)`; `cumulative` comes from [`cumulative`].
    pub(crate) fn choice(&mut self, cumulative: &[f64]) -> usize {
        let drawn = self.uniform();
        cumulative.partition_point(|share| *share <= drawn).min(cumulative.len().saturating_sub(1))
    }

    /// The generator of a later epoch, as `datasets` derives it for streams.
    pub(crate) fn for_epoch(&self, epoch: u64) -> Self {
        if epoch == 0 {
            return self.clone();
        }
        // integers(0, 2^63): the range is a power of two, so the upper bits are it.
        let drawn = self.clone().next_u64() >> 1;
        let seed = drawn as i64 - epoch as i64;
        Self::new(if seed < 0 { (1u64 << 63).wrapping_add_signed(seed) } else { seed as u64 })
    }
}

/// Running sums of `shares`, scaled to end at 1.
pub(crate) fn cumulative(shares: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = shares
        .iter()
        .map(|share| {
            sum += share;
            sum
        })
        .collect();
    sums.iter_mut().for_each(|share| *share /= sum);
    sums
}

/// `SeedSequence(seed).generate_state(N)`.
fn seed_words<const N: usize>(seed: u64) -> [u32; N] {
    let mut constant = 0x43b0_d7e5_u32;
    let mut hash = |mut value: u32| {
        value ^= constant;
        constant = constant.wrapping_mul(0x931e_8875);
        value = value.wrapping_mul(constant);
        value ^ value >> 16
    };
    let mix = |x: u32, y: u32| {
        let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
        mixed ^ mixed >> 16
    };
    let mut pool = [hash(seed as u32), hash((seed >> 32) as u32), hash(0), hash(0)];
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            pool[to] = mix(pool[to], hash(pool[from]));
        }
    }
    let mut constant = 0x8b51_f9dd_u32;
    std::array::from_fn(|place| {
        let value = pool[place % 4] ^ constant;
        constant = constant.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(constant);
        value ^ value >> 16
    })
}

/// `numpy.random.RandomState(seed)`, which `numpy.random.seed` sets.
pub(crate) struct LegacyRng {
    state: [u32; Self::SIZE],
    used: usize,
}

impl LegacyRng {
    const SIZE: usize = 624;

    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; Self::SIZE];
        for place in 1..Self::SIZE {
            let before = state[place - 1];
            state[place] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(place as u32);
        }
        Self { state, used: Self::SIZE }
    }

    fn next_u32(&mut self) -> u32 {
        if self.used == Self::SIZE {
            self.renew();
        }
        let mut word = self.state[self.used];
        self.used += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    fn renew(&mut self) {
        const SHIFT: usize = 397;
        for place in 0..Self::SIZE {
            let next = self.state[(place + 1) % Self::SIZE];
            let word = self.state[place] & 0x8000_0000 | next & 0x7fff_ffff;
            let twist = if word & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[place] = self.state[(place + SHIFT) % Self::SIZE] ^ word >> 1 ^ twist;
        }
        self.used = 0;
    }

    /// Uniform in `0..=most`, by masks and rejection.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = u32::MAX >> most.leading_zeros().min(31);
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }

    /// `numpy.random.permutation(n)`.
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.up_to(last as u32) as usize);
        }
        order
    }

    /// `numpy.random.choice(n, count)`.
    pub(crate) fn choices(&mut self, n: usize, count: usize) -> Vec<usize> {
        let most = n.saturating_sub(1) as u32;
        (0..count).map(|_| if most == 0 { 0 } else { self.up_to(most) as usize }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of NumPy 2.
    #[test]
    fn draws_are_those_of_numpy() {
        let order = |seed: u64| DefaultRng::new(seed).permutation(12);
        assert_eq!(order(42), [0, 7, 6, 9, 11, 3, 5, 2, 4, 10, 1, 8]);
        assert_eq!(order(7), [4, 6, 10, 0, 1, 3, 8, 7, 2, 5, 9, 11]);
        assert_eq!(order((1 << 40) + 5), [9, 5, 1, 2, 8, 3, 0, 10, 7, 4, 6, 11]);
        let long = DefaultRng::new(42).permutation(100_000);
        assert_eq!(long[..6], [45262, 49850, 30394, 90177, 95569, 10900]);

        let shares = cumulative(&[0.2, 0.5, 0.3]);
        let mut rng = DefaultRng::new(42);
        let sets: Vec<usize> = (0..12).map(|_| rng.choice(&shares)).collect();
        assert_eq!(sets, [2, 1, 2, 1, 0, 2, 2, 2, 0, 1, 1, 2]);
        let mut rng = DefaultRng::new(42);
        let slots: Vec<usize> = (0..5).map(|_| rng.below(16384)).collect();
        assert_eq!(slots, [1462, 12680, 10724, 7190, 7094]);
        assert_eq!(DefaultRng::new(42).for_epoch(1).permutation(6), [3, 5, 4, 2, 0, 1]);
    }

    #[test]
    fn legacy_draws_are_those_of_numpy() {
        let mut rng = LegacyRng::new(42);
        assert_eq!(rng.permutation(12), [10, 9, 0, 8, 5, 2, 1, 11, 4, 7, 3, 6]);
        assert_eq!(rng.choices(12, 8), [7, 7, 2, 5, 4, 1, 7, 11]);
        let mut rng = LegacyRng::new(42);
        assert_eq!(rng.permutation(100_000)[..5], [75721, 80184, 19864, 76699, 92991]);
        assert_eq!(rng.choices(100_000, 4), [30151, 84392, 80392, 59573]);
    }
}
