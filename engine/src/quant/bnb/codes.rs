//! The code books: sixteen values for weights, 256 for the statistics of their blocks.

/// A code book of sixteen values between −1 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Quantiles of a normal distribution.
    Nf4,
    /// A sign, two bits of exponent, one of mantissa; the two zeros are codes 0 and 8.
    Fp4,
}

const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// Twelfths: 0, 1/16, 8, 12, 4, 6, 2 and 3 of them, then the same below zero.
const FP4: [f32; 16] = [
    0.0,
    0.005_208_333_5,
    0.666_666_7,
    1.0,
    0.333_333_34,
    0.5,
    0.166_666_67,
    0.25,
    0.0,
    -0.005_208_333_5,
    -0.666_666_7,
    -1.0,
    -0.333_333_34,
    -0.5,
    -0.166_666_67,
    -0.25,
];

impl Kind {
    /// The value of each code.
    pub fn table(self) -> &'static [f32; 16] {
        match self {
            Kind::Nf4 => &NF4,
            Kind::Fp4 => &FP4,
        }
    }

    /// Codes from the smallest value to the largest; of FP4's zeros the library takes 0 for what is zero or
    /// rounds to it from below, and 8 for what does from above.
    fn ascending(self) -> [u8; 16] {
        match self {
            Kind::Nf4 => std::array::from_fn(|code| code as u8),
            Kind::Fp4 => [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3],
        }
    }

    /// Makes the function that gives the code of a value between −1 and 1: the nearest, the lower of two.
    pub(super) fn encoder(self) -> impl Fn(f32) -> u8 + Sync {
        let codes = self.ascending();
        let value = |place: usize| self.table()[usize::from(codes[place])];
        let borders: [f32; 15] = std::array::from_fn(|place| (value(place) + value(place + 1)) / 2.0);
        move |x| codes[borders.partition_point(|border| *border < x)]
    }
}

/// The 256 values that block statistics are quantised to: seven decades, in each powers of two of evenly spaced
/// means (Dettmers 2016, "8-Bit Approximations for Parallelism in Deep Learning"), zero and one.
pub(super) fn dynamic_map() -> Vec<f32> {
    let mut map = vec![0.0, 1.0];
    for decade in 0..7 {
        let count = 1usize << decade;
        let step = 0.9f32 / count as f32;
        // torch.linspace(0.1, 1): from either end to the middle, each product and sum rounded once.
        let border = |i: usize| match i {
            i if i < count.div_ceil(2) => step.mul_add(i as f32, 0.1),
            i => step.mul_add(-((count - i) as f32), 1.0),
        };
        let scale = 10f64.powi(decade - 6) as f32;
        for i in 0..count {
            let mean = scale * ((border(i) + border(i + 1)) / 2.0);
            map.extend([mean, -mean]);
        }
    }
    map.sort_by(f32::total_cmp);
    map
}
