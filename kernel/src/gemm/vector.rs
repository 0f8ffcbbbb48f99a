//! Products with very few rows against a weight: bound by reading the weight once.

use rayon::prelude::*;

use super::{Elements, MatMut, MatRef, Options};
use crate::{lanes::dot, simd, with_scratch};

/// Rows up to which a product is computed row by row of the weight instead of being packed.
pub const MAX_ROWS: usize = 4;

/// Whether the product is one of few rows by the transpose of a row-major weight, on contiguous rows.
pub fn fits(c: &MatMut, a: &MatRef, b: &MatRef, options: &Options) -> bool {
    let rows_of = |a: &MatRef| a.col_stride == 1;
    let weight = |b: &MatRef| b.row_stride == 1;
    c.rows <= MAX_ROWS
        && rows_of(a)
        && weight(b)
        && options.extra.as_ref().is_none_or(|(a2, b2)| rows_of(a2) && weight(b2))
}

/// C ← [C +] A·B [+ A₂·B₂], a block of C's columns (rows of the weight) at a time.
pub fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    const BLOCK: usize = 32;
    struct Out(*mut f32);
    // SAFETY: tasks write disjoint columns.
    unsafe impl Send for Out {}
    // SAFETY: as above.
    unsafe impl Sync for Out {}
    impl Out {
        fn at(&self, index: usize) -> *mut f32 {
            self.0.wrapping_add(index)
        }
    }
    let (rows, cols, stride) = (c.rows, c.cols, c.stride);
    let out = Out(c.data);
    let task = |block: usize| {
        for j in block * BLOCK..cols.min((block + 1) * BLOCK) {
            let mut sums = column(&a, &b, j);
            if let Some((a2, b2)) = &options.extra {
                let more = column(a2, b2, j);
                sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            }
            for (i, sum) in sums.iter().enumerate().take(rows) {
                let place = out.at(i * stride + j);
                // SAFETY: (i, j) lies inside of C, whose view was checked, and belongs to this task.
                unsafe { *place = if options.accumulate { *place + sum } else { *sum } };
            }
        }
    };
    let blocks = cols.div_ceil(BLOCK);
    if cols * a.cols < 64 * 1024 {
        (0..blocks).for_each(task);
    } else {
        (0..blocks).into_par_iter().for_each(task);
    }
}

/// Column j of the product, for all rows of A.
fn column(a: &MatRef, b: &MatRef, j: usize) -> [f32; MAX_ROWS] {
    let k = a.cols;
    let start = b.offset + j * b.col_stride;
    let products = |weight: &[f32]| {
        let mut sums = [0.0; MAX_ROWS];
        simd(
            #[inline(always)]
            || {
                for (i, sum) in sums.iter_mut().enumerate().take(a.rows) {
                    if let Elements::F32(data) = a.data {
                        *sum = dot(&data[a.offset + i * a.row_stride..][..k], weight);
                    }
                }
            },
        );
        sums
    };
    match b.data {
        Elements::F32(data) => products(&data[start..start + k]),
        _ => with_scratch(k, |wide| {
            b.data.copy_to(start, wide);
            products(wide)
        }),
    }
}
