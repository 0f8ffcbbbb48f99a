//! RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016) over the rows of a matrix.
//!
//! The reciprocal deviation is recomputed in the backward pass: it costs one pass over a row that is in
//! the cache anyway, and nothing has to be kept.

use rayon::prelude::*;

use super::lanes::{sum, sum2};
use super::{column_sums, rows_per_task, simd, uninit};

/// Which normalisation, over rows of `weight.len()` (or any length without a weight).
#[derive(Clone, Copy)]
pub struct NormKernel<'a> {
    /// Factor on each column; none is one.
    pub weight: Option<&'a [f32]>,
    /// Added to each column at the end.
    pub bias: Option<&'a [f32]>,
    /// The weight is stored as its difference from one (Gemma).
    pub one_plus: bool,
    /// Subtract the mean (LayerNorm).
    pub center: bool,
    /// Added to the variance, so that a row of zeros has a deviation.
    pub eps: f32,
}

impl NormKernel<'_> {
    /// (mean or 0, 1 / deviation) of a row.
    #[inline(always)]
    fn statistics(&self, x: &[f32]) -> (f32, f32) {
        let n = x.len() as f32;
        let mean = if self.center { sum(x, |v| v) / n } else { 0.0 };
        let variance = sum(x, |v| (v - mean) * (v - mean)) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    /// out[j] = f(x[j]) · weight[j]. Loops here zip slices: one with a bounds check in it is not vectorised.
    #[inline(always)]
    fn weigh(&self, x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
        let pairs = out.iter_mut().zip(x);
        match self.weight {
            Some(weight) => {
                let offset = if self.one_plus { 1.0 } else { 0.0 };
                for ((out, x), weight) in pairs.zip(weight) {
                    *out = f(*x) * (offset + weight);
                }
            }
            None => {
                for (out, x) in pairs {
                    *out = f(*x);
                }
            }
        }
    }

    /// [`NormKernel::forward`] of one row.
    #[inline(always)]
    pub fn row(&self, x: &[f32], y: &mut [f32]) {
        let (mean, r) = self.statistics(x);
        self.weigh(
            x,
            y,
            #[inline(always)]
            |x| (x - mean) * r,
        );
        if let Some(bias) = self.bias {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    }

    /// [`NormKernel::backward`] of one row, written over dy; `g` is a work area of the row's length.
    #[inline(always)]
    pub fn row_gradient_in_place(&self, dy: &mut [f32], x: &[f32], g: &mut [f32]) {
        let (mean, r) = self.statistics(x);
        let (along, shift) = self.gradient_sums(dy, x, mean, r, g);
        for ((dy, x), g) in dy.iter_mut().zip(x).zip(g) {
            *dy = r * (*g - shift - (x - mean) * along);
        }
    }

    /// g = dy · weight; answers with (mean(g · x̂) · r, mean(g) or 0).
    #[inline(always)]
    fn gradient_sums(&self, dy: &[f32], x: &[f32], mean: f32, r: f32, g: &mut [f32]) -> (f32, f32) {
        let n = x.len() as f32;
        self.weigh(
            dy,
            g,
            #[inline(always)]
            |dy| dy,
        );
        let along = sum2(g, x, |g, x| g * (x - mean)) * r * r / n;
        let shift = if self.center { sum(g, |g| g) / n } else { 0.0 };
        (along, shift)
    }

    /// Adds dy · x̂ of one row to `total`.
    #[inline(always)]
    pub fn add_weight_gradient(&self, dy: &[f32], x: &[f32], total: &mut [f32]) {
        let (mean, r) = self.statistics(x);
        for ((total, dy), x) in total.iter_mut().zip(dy).zip(x) {
            *total += dy * (x - mean) * r;
        }
    }

    /// y = (x − mean) · r · weight + bias with r = 1/√(mean((x − mean)²) + eps); mean = 0 for RMSNorm.
    pub fn forward(&self, x: &[f32], y: &mut [f32], cols: usize) {
        let task = rows_per_task(cols);
        y.par_chunks_mut(cols * task).zip(x.par_chunks(cols * task)).for_each(|(y, x)| {
            simd(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(cols).zip(x.chunks_exact(cols)) {
                        self.row(x, y);
                    }
                },
            )
        });
    }

    /// dx += r · (g − mean(g)·[center] − x̂ · mean(g·x̂)) with g = dy · weight and x̂ = (x − mean) · r.
    pub fn backward(&self, dy: &[f32], x: &[f32], dx: &mut [f32], cols: usize) {
        let task = rows_per_task(cols);
        dx.par_chunks_mut(cols * task)
            .zip(x.par_chunks(cols * task))
            .zip(dy.par_chunks(cols * task))
            .for_each(|((dx, x), dy)| {
                simd(
                    #[inline(always)]
                    || {
                        let mut g = uninit(cols);
                        let rows =
                            dx.chunks_exact_mut(cols).zip(x.chunks_exact(cols)).zip(dy.chunks_exact(cols));
                        for ((dx, x), dy) in rows {
                            let (mean, r) = self.statistics(x);
                            let (along, shift) = self.gradient_sums(dy, x, mean, r, &mut g);
                            for ((dx, x), g) in dx.iter_mut().zip(x).zip(&g) {
                                *dx += r * (g - shift - (x - mean) * along);
                            }
                        }
                    },
                )
            });
    }

    /// dw += Σ over rows of dy · x̂
    pub fn weight_gradient(&self, dy: &[f32], x: &[f32], cols: usize, out: &mut [f32]) {
        column_sums(
            x.len() / cols,
            out,
            #[inline(always)]
            |row, total| {
                self.add_weight_gradient(&dy[row * cols..][..cols], &x[row * cols..][..cols], total);
            },
        );
    }

    /// db += Σ over rows of dy
    pub fn bias_gradient(&self, dy: &[f32], cols: usize, out: &mut [f32]) {
        column_sums(
            dy.len() / cols,
            out,
            #[inline(always)]
            |row, total| {
                total.iter_mut().zip(&dy[row * cols..]).for_each(|(total, dy)| *total += dy);
            },
        );
    }
}
