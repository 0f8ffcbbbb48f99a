//! Products with a quantised weight, of which no more than a panel of rows is ever dequantised at once.

use std::ops::Range;

use rayon::prelude::*;

use super::QuantizedWeight;
use crate::kernel::gemm::{FEW_ROWS, MatMut, MatRef, Options, product};
use crate::kernel::lanes::dot;
use crate::kernel::{simd, uninit, with_scratch};

/// Rows of a weight that a thread dequantises at a time: where outputs lie side by side in memory (GPTQ, AWQ), some
/// have to be taken together.
const ROWS: usize = 16;

/// Floats of a panel that is multiplied as a dense weight is, about: large products use a processor best, and few rows
/// of x repay a panel that stays in the cache.
const PANEL: usize = 1 << 20;

/// Elements of a weight from which on threads share it.
const SHARED: usize = 64 * 1024;

/// C ← [C +] A·Wᵀ [+ A₂·B₂]; on this thread alone if `alone`.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn by_transposed(
    mut c: MatMut,
    a: MatRef,
    weight: &dyn QuantizedWeight,
    options: Options,
    alone: bool,
) {
    // Of few rows dot products are taken with a few rows of the weight at a time, while those lie in the nearest cache: the
    // same sums as with a dense weight.
    let rows: Option<Vec<&[f32]>> = (0..a.rows()).map(|row| a.row(row)).take(FEW_ROWS + 1).collect();
    match rows.filter(|rows| rows.len() <= FEW_ROWS) {
        Some(rows) => {
            by_rows(&mut c, &rows, weight, options.accumulate, alone);
            if let Some((a, b)) = options.extra {
                product(c, a, b, Options { accumulate: true, ..Options::default() }, alone);
            }
        }
        None => by_panels(weight, alone, |rows, panel| {
            let extra = options.extra.map(|(a, b)| (a, b.col_range(rows.start, rows.len())));
            let c = c.columns_mut(rows.start, rows.len());
            product(c, a, panel.t(), Options { extra, ..options }, alone);
        }),
    }
}

/// C ← [C +] A·W [+ A₂·B₂]; on this thread alone if `alone`.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn by(mut c: MatMut, a: MatRef, weight: &dyn QuantizedWeight, options: Options, alone: bool) {
    by_panels(weight, alone, |rows, panel| {
        let options = match rows.start {
            0 => options,
            _ => Options { accumulate: true, extra: None, ..options },
        };
        let columns = c.cols();
        product(c.columns_mut(0, columns), a.col_range(rows.start, rows.len()), panel, options, alone);
    });
}

/// Calls `work` with the dequantised panels, one after the other, and the rows that they are.
fn by_panels(weight: &dyn QuantizedWeight, alone: bool, mut work: impl FnMut(Range<usize>, MatRef)) {
    let (rows, dim) = weight.dims();
    let most = (PANEL / dim.max(1)).next_multiple_of(ROWS).clamp(ROWS, rows.max(ROWS));
    with_scratch(most * dim, |panel| {
        for first in (0..rows).step_by(most) {
            let count = most.min(rows - first);
            let panel = &mut panel[..count * dim];
            dequantize(weight, first, panel, alone);
            work(first..first + count, MatRef::f32(panel, count, dim));
        }
    });
}

/// Rows of a weight from `first` on, as many as there is room for.
pub(super) fn dequantize<W: QuantizedWeight + ?Sized>(
    weight: &W,
    first: usize,
    out: &mut [f32],
    alone: bool,
) {
    let (_, dim) = weight.dims();
    let part = |(index, out): (usize, &mut [f32])| {
        let first = first + index * ROWS;
        weight.dequantize_rows(first..first + out.len() / dim, out);
    };
    if alone {
        out.chunks_mut(ROWS * dim.max(1)).enumerate().for_each(part);
    } else {
        out.par_chunks_mut(ROWS * dim.max(1)).enumerate().for_each(part);
    }
}

/// C ← [C +] A·Wᵀ for a few rows of A.
fn by_rows(c: &mut MatMut, a: &[&[f32]], weight: &dyn QuantizedWeight, accumulate: bool, alone: bool) {
    let (out, dim) = weight.dims();
    if a.is_empty() || out == 0 {
        return;
    }
    let mut sums = uninit(out * a.len());
    let part = |(index, sums): (usize, &mut [f32])| {
        with_scratch(ROWS * dim, |rows| {
            let (first, count) = (index * ROWS, sums.len() / a.len());
            let rows = &mut rows[..count * dim];
            weight.dequantize_rows(first..first + count, rows);
            simd(
                #[inline(always)]
                || {
                    for (sums, row) in sums.chunks_exact_mut(a.len()).zip(rows.chunks_exact(dim)) {
                        for (sum, a) in sums.iter_mut().zip(a) {
                            *sum = dot(a, row);
                        }
                    }
                },
            );
        });
    };
    if alone || out * dim < SHARED {
        sums.chunks_mut(ROWS * a.len()).enumerate().for_each(part);
    } else {
        sums.par_chunks_mut(ROWS * a.len()).enumerate().for_each(part);
    }
    for row in 0..a.len() {
        let sums = sums[row..].iter().step_by(a.len());
        for (c, sum) in c.row_mut(row).iter_mut().zip(sums) {
            *c = if accumulate { *c + sum } else { *sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::gemm::gemm;
    use crate::quant::bnb::Int8;
    use crate::rng::Rng;

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..len).map(|_| rng.normal() as f32).collect()
    }

    /// Few rows and many, of a weight of one panel and of several, into columns of a wider buffer.
    #[test]
    fn products_are_those_of_the_dequantised_weight() {
        for (out, dim) in [(40, 33), (3000, 700)] {
            let weight = Int8::quantize(&random(out * dim, 1), out, dim);
            let mut dense = vec![0.0; out * dim];
            weight.dequantize_rows(0..out, &mut dense);
            let dense = MatRef::f32(&dense, out, dim);
            for (rows, alone, accumulate) in
                [(1, false, false), (FEW_ROWS, true, true), (37, false, true), (37, true, false)]
            {
                let (x, low, b) = (random(rows * dim, 2), random(rows * 3, 3), random(out * 3, 4));
                let (start, stride) = (5, out + 9);
                let before = random(rows * stride, 5);
                let extra = Some((MatRef::f32(&low, rows, 3), MatRef::f32(&b, out, 3).t()));
                let options = Options { accumulate, extra, ..Options::default() };
                let (mut got, mut want) = (before.clone(), before.clone());
                let a = MatRef::f32(&x, rows, dim);
                by_transposed(
                    MatMut::columns(&mut got, rows, stride, start, out),
                    a,
                    &weight,
                    options,
                    alone,
                );
                gemm(MatMut::columns(&mut want, rows, stride, start, out), a, dense.t(), options);
                close(&got, &want);

                let (dy, a) = (random(rows * out, 6), random(3 * dim, 7));
                let extra = Some((MatRef::f32(&low, rows, 3), MatRef::f32(&a, 3, dim)));
                let options = Options { accumulate, extra, ..Options::default() };
                let (mut got, mut want) = (x.clone(), x.clone());
                let dy = MatRef::f32(&dy, rows, out);
                by(MatMut::f32(&mut got, rows, dim), dy, &weight, options, alone);
                gemm(MatMut::f32(&mut want, rows, dim), dy, dense, options);
                close(&got, &want);
            }
        }
    }

    fn close(got: &[f32], want: &[f32]) {
        let largest = want.iter().fold(0f32, |most, x| most.max(x.abs()));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 1e-5 * largest, "{got}, want {want}");
        }
    }
}
