//! Reductions and transcendental functions in a shape that compilers vectorise.
//!
//! A float sum may not be reordered by the compiler, so reductions keep sixteen partial sums.
//!
//! All of these are inlined into their callers and compiled for their instruction set: outside of
//! [`super::simd`] each `mul_add` is a call.

use std::hint::black_box;

/// Number of partial results a reduction keeps.
pub const LANES: usize = 16;

/// One result of sixteen, half and half: four operations deep, where one after the other would be sixteen.
#[inline(always)]
pub fn fold(partial: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    #[inline(always)]
    fn halve<const N: usize, const HALF: usize>(x: [f32; N], f: &impl Fn(f32, f32) -> f32) -> [f32; HALF] {
        let mut half = [0.0; HALF];
        for i in 0..HALF {
            half[i] = f(x[i], x[i + HALF]);
        }
        half
    }
    // The caller's loop keeps whole vectors only if the compiler doesn't see that they are halved here.
    let eight: [f32; 8] = halve(black_box(partial), &f);
    let four: [f32; 4] = halve(eight, &f);
    let [a, b] = halve(four, &f);
    f(a, b)
}

/// e^x for x in the range where f32 does not overflow; below about −87 the result is 0.
///
/// Cody-Waite reduction x = n·ln 2 + r with |r| ≤ ½ ln 2 and a degree-6 minimax polynomial (the
/// coefficients are those of Cephes' `expf`); relative error about 1e-7.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.3);
    // Adding 1.5 · 2²³ rounds to the nearest integer, which then stands in the lowest bits.
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, 12_582_912.0);
    let n = shifted - 12_582_912.0;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let mut p = 1.987_569_1e-4_f32;
    p = p.mul_add(r, 1.398_199_9e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 5.0e-1);
    let value = p.mul_add(r * r, r) + 1.0;
    // 2^n by its exponent bits; |n| ≤ 127 by the clamp.
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < -87.3 { 0.0 } else { value * scale }
}

/// 1 / (1 + e^−x)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x = 1 − 2 / (e^2x + 1)
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// Σ f(aᵢ, bᵢ)
#[inline(always)]
pub fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut partial = [0f32; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (ca.remainder(), cb.remainder());
    for (x, y) in ca.zip(cb) {
        for i in 0..LANES {
            partial[i] += f(x[i], y[i]);
        }
    }
    let mut total = fold(partial, |a, b| a + b);
    for (x, y) in ra.iter().zip(rb) {
        total += f(*x, *y);
    }
    total
}

/// Σ f(aᵢ)
#[inline(always)]
pub fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for x in chunks {
        for i in 0..LANES {
            partial[i] += f(x[i]);
        }
    }
    let mut total = fold(partial, |a, b| a + b);
    for x in rest {
        total += f(*x);
    }
    total
}

/// a · b
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut partial = [0f32; LANES];
    let (ca, cb) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (ra, rb) = (ca.remainder(), cb.remainder());
    for (x, y) in ca.zip(cb) {
        for i in 0..LANES {
            partial[i] = x[i].mul_add(y[i], partial[i]);
        }
    }
    let mut total = fold(partial, |a, b| a + b);
    for (x, y) in ra.iter().zip(rb) {
        total = x.mul_add(*y, total);
    }
    total
}

/// aₙ · b of several rows at once, each summed as [`dot`] does: b is read once, and no row waits for another's sums.
#[inline(always)]
pub fn dots<const N: usize>(rows: [&[f32]; N], b: &[f32]) -> [f32; N] {
    let (vectors, rest) = b.as_chunks::<LANES>();
    let rows = rows.map(|row| row[..b.len()].as_chunks::<LANES>());
    let mut partial = [[0f32; LANES]; N];
    for (at, y) in vectors.iter().enumerate() {
        for (partial, (row, _)) in partial.iter_mut().zip(&rows) {
            let x = &row[at];
            for i in 0..LANES {
                partial[i] = x[i].mul_add(y[i], partial[i]);
            }
        }
    }
    let mut totals = [0.0; N];
    for ((total, partial), (_, row)) in totals.iter_mut().zip(partial).zip(rows) {
        *total = fold(partial, |a, b| a + b);
        for (x, y) in row.iter().zip(rest) {
            *total = x.mul_add(*y, *total);
        }
    }
    totals
}

/// max aᵢ, −∞ when empty
#[inline(always)]
pub fn max(a: &[f32]) -> f32 {
    let larger = |a, b| if b > a { b } else { a };
    let (chunks, rest) = a.as_chunks::<LANES>();
    let mut partial = [f32::NEG_INFINITY; LANES];
    for x in chunks {
        for i in 0..LANES {
            partial[i] = larger(partial[i], x[i]);
        }
    }
    rest.iter().fold(fold(partial, larger), |best, x| larger(best, *x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_over_its_range() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let (got, want) = (exp(x) as f64, (x as f64).exp());
            assert!((got - want).abs() <= 3e-7 * want, "exp({x}) = {got}, want {want}");
        }
        assert_eq!(exp(-1000.0), 0.0);
        assert!(exp(f32::NEG_INFINITY) == 0.0);
    }

    #[test]
    fn reductions_agree_with_plain_ones() {
        for n in [0, 1, 15, 16, 17, 100] {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.3).cos()).collect();
            let want: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            assert!((dot(&a, &b) - want).abs() < 1e-5);
            assert_eq!(dots([&a, &b, &a], &b), [dot(&a, &b), dot(&b, &b), dot(&a, &b)]);
            assert!((sum2(&a, &b, |x, y| x * y) - want).abs() < 1e-5);
            assert!((sum(&a, |x| x) - a.iter().sum::<f32>()).abs() < 1e-5);
            assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
