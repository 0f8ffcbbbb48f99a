//! Products with very few rows against a weight: bound by reading the weight once.

use rayon::prelude::*;

use super::{Elements, MatMut, MatRef, Options};
use crate::lanes::{dot, dots};
use crate::{simd, with_scratch};

/// Rows up to which a product is computed row by row of the weight instead of being packed. Each row of A is
/// multiplied alike however many there are: what a generation draws does not depend on those beside it.
pub const FEW_ROWS: usize = 8;

/// Whether the product is one of few rows by the transpose of a row-major weight, on contiguous rows.
pub(super) fn fits(c: &MatMut, a: &MatRef, b: &MatRef, options: &Options) -> bool {
    let rows_of = |a: &MatRef| a.col_stride == 1;
    let weight = |b: &MatRef| b.row_stride == 1;
    (1..=FEW_ROWS).contains(&c.rows)
        && rows_of(a)
        && weight(b)
        && options.extra.as_ref().is_none_or(|(a2, b2)| rows_of(a2) && weight(b2))
}

/// C ← [C +] A·B [+ A₂·B₂], a block of C's columns (rows of the weight) at a time.
pub(super) fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
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
    let main = (places_of(&a), b);
    let extra = options.extra.map(|(a2, b2)| (places_of(&a2), b2));
    let out = Out(c.data);
    let task = |block: usize| {
        for j in block * BLOCK..cols.min((block + 1) * BLOCK) {
            let mut sums = column(&main, rows, j);
            if let Some(extra) = &extra {
                let more = column(extra, rows, j);
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

/// The rows of A; where some are missing, the last one takes their places.
fn places_of<'a>(a: &MatRef<'a>) -> [&'a [f32]; FEW_ROWS] {
    let Elements::F32(data) = a.data else { return [&[]; FEW_ROWS] };
    std::array::from_fn(|i| &data[a.offset + i.min(a.rows - 1) * a.row_stride..][..a.cols])
}

/// Column j of the product with so many rows of A.
fn column((a, b): &([&[f32]; FEW_ROWS], MatRef), rows: usize, j: usize) -> [f32; FEW_ROWS] {
    let start = b.offset + j * b.col_stride;
    let products = |weight: &[f32]| {
        let mut sums = [0.0; FEW_ROWS];
        simd(
            #[inline(always)]
            || {
                if rows == 1 {
                    sums[0] = dot(a[0], weight);
                    return;
                }
                // More than four at once have more addresses than there are registers for.
                let fours = sums.as_chunks_mut::<4>().0.iter_mut().zip(a.as_chunks::<4>().0);
                for (sums, a) in fours.take(rows.div_ceil(4)) {
                    *sums = dots(*a, weight);
                }
            },
        );
        sums
    };
    match b.data {
        Elements::F32(data) => products(&data[start..start + b.rows]),
        _ => with_scratch(b.rows, |wide| {
            b.data.copy_to(start, wide);
            products(wide)
        }),
    }
}
