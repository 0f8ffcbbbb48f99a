//! f32 products with few columns: lanes hold consecutive k, not columns of which most would be missing.
//!
//! Each element of C is a dot product of a row of A and a column of B. A register tile of 3×8 of them reads three
//! rows of A, from their beginning to their end.

use std::arch::x86_64::*;

use super::super::{Elements, MatMut, MatRef, Options};
use super::load::{a_tile, mask};
use super::tile::Tile;
use crate::with_scratch;

const LANES: usize = 16;
const ROWS: usize = 3;
const COLS: usize = 8;

/// Whether the product is one of few columns by rows that lie in one piece, long enough to be worth the sums over
/// lanes.
pub(super) fn fits(c: &MatMut, a: &MatRef, options: &Options) -> bool {
    let in_rows = matches!(a.data, Elements::F32(_)) && a.col_stride == 1;
    in_rows && c.cols <= COLS && a.cols >= 4 * LANES && options.extra.is_none() && !options.bf16
}

/// C ← [C +] A·B
///
/// # Safety
/// The processor must have AVX-512, and the product fit.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn run(c: MatMut, a: MatRef, b: MatRef, accumulate: bool) {
    let Elements::F32(data) = a.data else { return };
    with_scratch(a.cols.next_multiple_of(LANES) * COLS, |panel| {
        let panel = panel.as_mut_ptr();
        // SAFETY: the panel has room for all k; views were bounds-checked when they were made.
        unsafe {
            pack(b, panel);
            for row in (0..c.rows).step_by(ROWS) {
                let rows = data.as_ptr().wrapping_add(a.offset + row * a.row_stride);
                let tile =
                    Tile { out: c.data.add(row * c.stride), stride: c.stride, accumulate, cols: c.cols };
                match c.rows - row {
                    1 => tile.thin::<1>(rows, a.row_stride, panel, a.cols),
                    2 => tile.thin::<2>(rows, a.row_stride, panel, a.cols),
                    _ => tile.thin::<ROWS>(rows, a.row_stride, panel, a.cols),
                }
            }
        }
    });
}

/// Packs B: for each sixteen k a vector of each of eight columns. What is missing is zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pack(b: MatRef, panel: *mut f32) {
    for k in (0..b.rows).step_by(LANES) {
        // SAFETY: the panel has room for all k; what is read lies inside of B.
        unsafe {
            let columns = a_tile(b.t(), 0, b.cols, k, LANES.min(b.rows - k));
            for (j, column) in columns.iter().enumerate().take(COLS) {
                _mm512_storeu_ps(panel.add(k * COLS + j * LANES), *column);
            }
        }
    }
}

impl Tile {
    /// `ROWS` rows of A, `stride` apart, by the panel.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn thin<const ROWS: usize>(&self, a: *const f32, stride: usize, panel: *const f32, k: usize) {
        let mut sums = [[_mm512_setzero_ps(); ROWS]; COLS];
        let cols = mask(self.cols) as u8;
        // SAFETY: the panel and, but for masked lanes, the rows hold so many k; the tile lies inside of C.
        unsafe {
            for k0 in (0..k).step_by(LANES) {
                let lanes = mask(k - k0);
                let a: [__m512; ROWS] = std::array::from_fn(
                    #[inline(always)]
                    |i| _mm512_maskz_loadu_ps(lanes, a.wrapping_add(i * stride + k0)),
                );
                for (j, sums) in sums.iter_mut().enumerate() {
                    let b = _mm512_loadu_ps(panel.add(k0 * COLS + j * LANES));
                    for (sum, a) in sums.iter_mut().zip(a) {
                        *sum = _mm512_fmadd_ps(a, b, *sum);
                    }
                }
            }
            for i in 0..ROWS {
                let out = self.out.wrapping_add(i * self.stride);
                let mut sum = totals(sums.map(
                    #[inline(always)]
                    |sums| sums[i],
                ));
                if self.accumulate {
                    sum = _mm256_add_ps(sum, _mm256_maskz_loadu_ps(cols, out));
                }
                _mm256_mask_storeu_ps(out, cols, sum);
            }
        }
    }
}

/// The sum over the lanes of each of eight vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn totals(v: [__m512; COLS]) -> __m256 {
    let half = |i: usize| {
        let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v[i]));
        _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm256_castpd_ps(high))
    };
    // Four sums of each 128-bit half.
    let four = |i: usize| {
        let (low, high) = (_mm256_hadd_ps(half(i), half(i + 1)), _mm256_hadd_ps(half(i + 2), half(i + 3)));
        _mm256_hadd_ps(low, high)
    };
    let (low, high) = (four(0), four(4));
    _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
}
