//! Products through the `gemm` crate (AVX2, NEON, …), for processors without AVX-512.

use super::{Elements, MatMut, MatRef, Options};
use crate::with_scratch;

/// Columns of B that are widened to f32 at a time.
const BLOCK: usize = 256;

pub(super) fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    product(&c, a, b, options.accumulate);
    if let Some((a2, b2)) = options.extra {
        product(&c, a2, b2, true);
    }
}

fn product(c: &MatMut, a: MatRef, b: MatRef, accumulate: bool) {
    match b.data {
        Elements::F32(data) => {
            raw(c, 0, c.cols, a, (&data[b.offset..], b.row_stride, b.col_stride), accumulate)
        }
        _ => {
            for start in (0..c.cols).step_by(BLOCK) {
                let cols = BLOCK.min(c.cols - start);
                with_scratch(b.rows * cols, |wide| {
                    for k in 0..b.rows {
                        for j in 0..cols {
                            wide[k * cols + j] = b.get(k, start + j);
                        }
                    }
                    raw(c, start, cols, a, (wide, cols, 1), accumulate);
                });
            }
        }
    }
}

/// One f32 product into columns `start..start + cols` of C.
fn raw(c: &MatMut, start: usize, cols: usize, a: MatRef, b: (&[f32], usize, usize), accumulate: bool) {
    let Elements::F32(a_data) = a.data else { unreachable!("A is always f32") };
    // SAFETY: MatRef and MatMut checked on construction that all their elements lie in their buffers.
    unsafe {
        gemm::gemm(
            c.rows,
            cols,
            a.cols,
            c.data.add(start),
            1,
            c.stride as isize,
            accumulate,
            a_data.as_ptr().add(a.offset),
            a.col_stride as isize,
            a.row_stride as isize,
            b.0.as_ptr(),
            b.2 as isize,
            b.1 as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
