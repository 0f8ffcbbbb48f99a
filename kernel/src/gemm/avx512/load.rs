//! Pieces of matrices as vectors: whatever their strides and type, widened or as pairs of bf16.

use std::arch::x86_64::*;

use super::super::{Elements, MatRef};

/// A mask of the first `n` of 16 lanes.
pub(super) fn mask(n: usize) -> u16 {
    if n >= 16 { 0xffff } else { (1u16 << n) - 1 }
}

/// Sixteen consecutive elements from `index`, widened; lanes outside of `lanes` are not read and zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn load(data: Elements, index: usize, lanes: u16) -> __m512 {
    // SAFETY: the caller masks off what lies outside of the view; masked lanes are not touched.
    unsafe {
        match data {
            Elements::F32(data) => _mm512_maskz_loadu_ps(lanes, data.as_ptr().wrapping_add(index)),
            Elements::Bf16(data) => {
                let half = _mm256_maskz_loadu_epi16(lanes, data.as_ptr().wrapping_add(index).cast());
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
            }
            Elements::F16(data) => {
                _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, data.as_ptr().wrapping_add(index).cast()))
            }
        }
    }
}

/// Two rows of k, rounded to bf16 and interleaved: lane j holds (low[j], high[j]).
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[inline]
pub(super) fn pair(low: __m512, high: __m512) -> __m512 {
    let narrow = |x: __m512| -> __m512i {
        // SAFETY: __m256bh and __m256i are the same 256 bits.
        let half: __m256i = unsafe { std::mem::transmute(_mm512_cvtneps_pbh(x)) };
        _mm512_cvtepu16_epi32(half)
    };
    _mm512_castsi512_ps(_mm512_or_si512(narrow(low), _mm512_slli_epi32::<16>(narrow(high))))
}

/// Transposes a 16×16 tile held in registers.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn transpose(rows: &mut [__m512; 16]) {
    let mut t = [_mm512_setzero_ps(); 16];
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
    }
    let low = |a, b| _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    let high = |a, b| _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    for i in 0..4 {
        rows[4 * i] = low(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 1] = high(t[4 * i], t[4 * i + 2]);
        rows[4 * i + 2] = low(t[4 * i + 1], t[4 * i + 3]);
        rows[4 * i + 3] = high(t[4 * i + 1], t[4 * i + 3]);
    }
    // Now rows[4q + r] holds, in its four 128-bit parts, column r of parts 0..4 for row group q.
    for i in 0..4 {
        t[i] = _mm512_shuffle_f32x4::<0x88>(rows[i], rows[i + 4]);
        t[i + 4] = _mm512_shuffle_f32x4::<0xdd>(rows[i], rows[i + 4]);
        t[i + 8] = _mm512_shuffle_f32x4::<0x88>(rows[i + 8], rows[i + 12]);
        t[i + 12] = _mm512_shuffle_f32x4::<0xdd>(rows[i + 8], rows[i + 12]);
    }
    for i in 0..4 {
        rows[i] = _mm512_shuffle_f32x4::<0x88>(t[i], t[i + 8]);
        rows[i + 8] = _mm512_shuffle_f32x4::<0xdd>(t[i], t[i + 8]);
        rows[i + 4] = _mm512_shuffle_f32x4::<0x88>(t[i + 4], t[i + 12]);
        rows[i + 12] = _mm512_shuffle_f32x4::<0xdd>(t[i + 4], t[i + 12]);
    }
}

/// A 16×16 tile of `view` with its first index along `fast` memory: vector i of the result holds elements
/// (slow0 + i, fast0..fast0 + 16) of a matrix whose rows are contiguous; missing ones are zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn tile(view: MatRef, row: usize, rows: usize, col: usize, cols: usize) -> [__m512; 16] {
    let mut vectors = [_mm512_setzero_ps(); 16];
    for (i, vector) in vectors.iter_mut().enumerate().take(rows) {
        // SAFETY: rows and columns are within the view.
        *vector = unsafe { load(view.data, view.offset + (row + i) * view.row_stride + col, mask(cols)) };
    }
    vectors
}

/// Up to 16 rows of k of B at columns `col..col + cols` (at most 16): vector i is row `k0 + i`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn b_tile(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize) -> [__m512; 16] {
    // SAFETY: as for `tile`.
    unsafe {
        if b.col_stride == 1 {
            tile(b, k0, kc, col, cols)
        } else if b.row_stride == 1 {
            let mut vectors = tile(b.t(), col, cols, k0, kc);
            transpose(&mut vectors);
            vectors
        } else {
            gather(b, k0, kc, col, cols)
        }
    }
}

/// The slow way, for a view that is contiguous along neither axis.
#[target_feature(enable = "avx512f")]
fn gather(view: MatRef, row: usize, rows: usize, col: usize, cols: usize) -> [__m512; 16] {
    let mut vectors = [_mm512_setzero_ps(); 16];
    for (i, vector) in vectors.iter_mut().enumerate().take(rows) {
        let mut values = [0f32; 16];
        for (j, value) in values.iter_mut().enumerate().take(cols) {
            *value = view.get(row + i, col + j);
        }
        // SAFETY: sixteen floats.
        *vector = unsafe { _mm512_loadu_ps(values.as_ptr()) };
    }
    vectors
}

/// Up to 32 rows of k of B at columns `col..col + cols` (at most 16), in pairs: vector i is rows `k0 + 2i` and
/// `k0 + 2i + 1`. What is stored in bf16 is moved, never converted.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn pair_tile(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize) -> [__m512; 16] {
    let mut vectors = [_mm512_setzero_ps(); 16];
    // SAFETY: as for `tile`; what lies outside of the view is masked off.
    unsafe {
        match b.data {
            Elements::Bf16(data) if b.row_stride == 1 => {
                let lanes = if kc >= 32 { u32::MAX } else { (1 << kc) - 1 };
                for (j, vector) in vectors.iter_mut().enumerate().take(cols) {
                    let start = b.offset + (col + j) * b.col_stride + k0;
                    let pairs = _mm512_maskz_loadu_epi16(lanes, data.as_ptr().wrapping_add(start).cast());
                    *vector = _mm512_castsi512_ps(pairs);
                }
                transpose(&mut vectors);
            }
            Elements::Bf16(data) if b.col_stride == 1 => {
                let row = |k: usize| {
                    let start = b.offset + (k0 + k) * b.row_stride + col;
                    let lanes = if k < kc { mask(cols) } else { 0 };
                    _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(
                        lanes,
                        data.as_ptr().wrapping_add(start).cast(),
                    ))
                };
                for (i, vector) in vectors.iter_mut().enumerate().take(kc.div_ceil(2)) {
                    let high = _mm512_slli_epi32::<16>(row(2 * i + 1));
                    *vector = _mm512_castsi512_ps(_mm512_or_si512(row(2 * i), high));
                }
            }
            _ => {
                for part in 0..kc.div_ceil(16) {
                    let depth = (kc - part * 16).min(16);
                    let wide = b_tile(b, k0 + part * 16, depth, col, cols);
                    for i in 0..depth.div_ceil(2) {
                        vectors[part * 8 + i] = pair(wide[2 * i], wide[2 * i + 1]);
                    }
                }
            }
        }
    }
    vectors
}

/// Rows of A as vectors along k.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
pub(super) unsafe fn a_tile(a: MatRef, row: usize, rows: usize, k0: usize, depth: usize) -> [__m512; 16] {
    // SAFETY: as for `tile`.
    unsafe {
        if a.col_stride == 1 {
            tile(a, row, rows, k0, depth)
        } else if a.row_stride == 1 {
            let mut vectors = tile(a.t(), k0, depth, row, rows);
            transpose(&mut vectors);
            vectors
        } else {
            gather(a, row, rows, k0, depth)
        }
    }
}
