//! Splits numbers into their parts while it packs panels of B and strips of A.

use std::arch::x86_64::*;

use super::super::super::{Elements, MatRef};
use super::super::load::{a_tile, b_tile, mask, transpose};
use super::super::pack::prefetch;
use super::{EDGE, NR, PARTS, PRODUCTS, ROWS, STEP, STEP_WORDS};

/// The three parts of two vectors, each pair in one lane: the first's in the low half.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn split(low: __m512, high: __m512) -> [__m512; PARTS] {
    // The nearest number of 8 bits (halves away from zero). What overflows here leaves a NaN in the last part.
    let round = |x: __m512| {
        let bits = _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000));
        _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x1_0000)))
    };
    // The upper halves of both.
    let pair = |low: __m512, high: __m512| {
        let low = _mm512_srli_epi32::<16>(_mm512_castps_si512(low));
        _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaa_aaaa, low, _mm512_castps_si512(high)))
    };
    let (low0, high0) = (round(low), round(high));
    let (low, high) = (_mm512_sub_ps(low, low0), _mm512_sub_ps(high, high0));
    let (low1, high1) = (round(low), round(high));
    let (low, high) = (_mm512_sub_ps(low, low1), _mm512_sub_ps(high, high1));
    [pair(low0, high0), pair(low1, high1), pair(low, high)]
}

/// Packs columns of B: for each step of k its three parts, 16 rows of 32 lanes each of which row i holds k = i
/// and k = i + 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_panel(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize, panel: *mut f32) {
    for (step, k) in (0..kc).step_by(STEP).enumerate() {
        let (low, high) = ((kc - k).min(EDGE), (kc - k).saturating_sub(EDGE).min(EDGE));
        prefetch(b, k0 + k + 32, col);
        prefetch(b, k0 + k + 48, col);
        for half in 0..NR / EDGE {
            // What columns are missing are zeros.
            let (col, width) = (col + half * EDGE, cols.saturating_sub(half * EDGE).min(EDGE));
            // SAFETY: the panel has room for whole steps; what is read lies inside of B.
            unsafe {
                let parts = panel.add(step * STEP_WORDS + half * EDGE);
                let store = |i: usize, low: __m512, high: __m512| {
                    for (part, lanes) in split(low, high).into_iter().enumerate() {
                        _mm512_storeu_ps(parts.add((part * EDGE + i) * NR), lanes);
                    }
                };
                let whole = high == EDGE && width == EDGE;
                // Nearly all tiles are whole ones of f32: these never leave the registers on their way.
                match b.data {
                    Elements::F32(data) if whole && b.col_stride == 1 => {
                        let start = data.as_ptr().wrapping_add(b.offset + (k0 + k) * b.row_stride + col);
                        for i in 0..EDGE {
                            let low = start.wrapping_add(i * b.row_stride);
                            let high = low.wrapping_add(EDGE * b.row_stride);
                            store(i, _mm512_loadu_ps(low), _mm512_loadu_ps(high));
                        }
                    }
                    Elements::F32(data) if whole && b.row_stride == 1 => {
                        let start = data.as_ptr().wrapping_add(b.offset + k0 + k + col * b.col_stride);
                        let (mut low, mut high) = ([_mm512_setzero_ps(); EDGE], [_mm512_setzero_ps(); EDGE]);
                        for j in 0..EDGE {
                            let column = start.wrapping_add(j * b.col_stride);
                            low[j] = _mm512_loadu_ps(column);
                            high[j] = _mm512_loadu_ps(column.wrapping_add(EDGE));
                        }
                        transpose(&mut low);
                        transpose(&mut high);
                        for i in 0..EDGE {
                            store(i, low[i], high[i]);
                        }
                    }
                    _ => {
                        let low = b_tile(b, k0 + k, low, col, width);
                        let high = b_tile(b, k0 + k + EDGE, high, col, width);
                        for i in 0..EDGE {
                            store(i, low[i], high[i]);
                        }
                    }
                }
            }
        }
    }
}

/// Packs rows of A: for each step of k the three parts of 32 rows, of 16 lanes each. Rows beyond `rows` hold
/// anything.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_strip(a: MatRef, row: usize, rows: usize, k0: usize, kc: usize, strip: *mut f32) {
    for (step, k) in (0..kc).step_by(STEP).enumerate() {
        let (low, high) = ((kc - k).min(EDGE), (kc - k).saturating_sub(EDGE).min(EDGE));
        // SAFETY: the strip has room for whole steps; what is read lies inside of A.
        unsafe {
            let parts = strip.add(step * STEP_WORDS);
            let store = |i: usize, low: __m512, high: __m512| {
                for (part, lanes) in split(low, high).into_iter().enumerate() {
                    _mm512_storeu_ps(parts.add((part * ROWS + i) * EDGE), lanes);
                }
            };
            match a.data {
                Elements::F32(data) if a.col_stride == 1 => {
                    for i in 0..rows {
                        let start = data.as_ptr().wrapping_add(a.offset + (row + i) * a.row_stride + k0 + k);
                        let first = _mm512_maskz_loadu_ps(mask(low), start);
                        store(i, first, _mm512_maskz_loadu_ps(mask(high), start.wrapping_add(EDGE)));
                    }
                }
                _ => {
                    for first in (0..rows).step_by(EDGE) {
                        let count = (rows - first).min(EDGE);
                        let low = a_tile(a, row + first, count, k0 + k, low);
                        let high = a_tile(a, row + first, count, k0 + k + EDGE, high);
                        for i in 0..count {
                            store(first + i, low[i], high[i]);
                        }
                    }
                }
            }
        }
    }
}

/// Lanes of all products of parts of `k` values, each with a lane for every two: k = i and k = i + half.
pub(super) fn short_lanes(k: usize) -> usize {
    (PRODUCTS.len() * k.div_ceil(2)).next_multiple_of(EDGE)
}

/// Packs rows of A for a short product, row-major: for each of [`PRODUCTS`] the lanes of its part of A.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_short_strip(a: MatRef, row: usize, rows: usize, strip: *mut f32) {
    let (half, lanes) = (a.cols.div_ceil(2), short_lanes(a.cols));
    for first in (0..rows).step_by(EDGE) {
        let count = (rows - first).min(EDGE);
        for k in (0..half).step_by(EDGE) {
            let (low, high) = ((half - k).min(EDGE), (a.cols - half).saturating_sub(k).min(EDGE));
            // SAFETY: the strip has room for the lanes of all rows; what is read lies inside of A.
            unsafe {
                let low_tile = a_tile(a, row + first, count, k, low);
                let high_tile = a_tile(a, row + first, count, half + k, high);
                for i in 0..count {
                    let parts = split(low_tile[i], high_tile[i]);
                    let out = strip.add((first + i) * lanes + k);
                    for (product, (part, _)) in PRODUCTS.into_iter().enumerate() {
                        _mm512_mask_storeu_ps(out.add(product * half), mask(low), parts[part]);
                    }
                }
            }
        }
        let used = PRODUCTS.len() * half;
        for i in first..first + count {
            // SAFETY: fewer than sixteen lanes are left of the row.
            unsafe {
                let rest = strip.add(i * lanes + used);
                _mm512_mask_storeu_ps(rest, mask(lanes - used), _mm512_setzero_ps());
            }
        }
    }
}

/// Packs columns of B for a short product: a row of 32 lanes for each lane of a row of A.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn pack_short_panel(b: MatRef, col: usize, cols: usize, panel: *mut f32) {
    let half = b.rows.div_ceil(2);
    for side in 0..NR / EDGE {
        let (col, width) = (col + side * EDGE, cols.saturating_sub(side * EDGE).min(EDGE));
        // SAFETY: the panel has room for all lanes; what is read lies inside of B.
        unsafe {
            let panel = panel.add(side * EDGE);
            for k in (0..half).step_by(EDGE) {
                let (low, high) = ((half - k).min(EDGE), (b.rows - half).saturating_sub(k).min(EDGE));
                let low_tile = b_tile(b, k, low, col, width);
                let high_tile = b_tile(b, half + k, high, col, width);
                for i in 0..low {
                    let parts = split(low_tile[i], high_tile[i]);
                    for (product, (_, part)) in PRODUCTS.into_iter().enumerate() {
                        _mm512_storeu_ps(panel.add((product * half + k + i) * NR), parts[part]);
                    }
                }
            }
            for lane in PRODUCTS.len() * half..short_lanes(b.rows) {
                _mm512_storeu_ps(panel.add(lane * NR), _mm512_setzero_ps());
            }
        }
    }
}
