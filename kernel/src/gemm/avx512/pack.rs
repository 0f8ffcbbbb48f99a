//! Packs panels of B and strips of A.

use std::arch::x86_64::*;

use half::bf16;

use super::super::{Elements, MatRef};
use super::load::{a_tile, b_tile, mask, pair_tile};
use super::tile::Strip;
use super::{Kernel, MR, NR, STRIP, bf16_available};

/// Rounds rows `first..` of A to bf16, row-major: as many as fill `out`.
///
/// # Panics
/// If `out` is no whole number of rows, or longer than A.
pub(crate) fn narrow(a: MatRef, first: usize, out: &mut [bf16]) {
    let rows = out.len() / a.cols.max(1);
    assert!(rows * a.cols == out.len() && first + rows <= a.rows && bf16_available());
    if let (Elements::F32(data), 1) = (a.data, a.col_stride) {
        for (row, out) in out.chunks_exact_mut(a.cols.max(1)).enumerate() {
            let start = a.offset + (first + row) * a.row_stride;
            // SAFETY: the features were detected.
            unsafe { narrow_row(&data[start..start + a.cols], out) };
        }
        return;
    }
    for row in (0..rows).step_by(MR) {
        let count = MR.min(rows - row);
        for k in (0..a.cols).step_by(16) {
            let depth = (a.cols - k).min(16);
            // SAFETY: the features were detected; rows and columns lie inside of A, and so of `out`.
            unsafe {
                let vectors = a_tile(a, first + row, count, k, depth);
                for (i, vector) in vectors.iter().enumerate().take(count) {
                    store_bf16(out.as_mut_ptr().add((row + i) * a.cols + k), depth, *vector);
                }
            }
        }
    }
}

/// Rounds as many floats as `out` has places.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
fn narrow_row(row: &[f32], out: &mut [bf16]) {
    let (whole, rest) = row.as_chunks::<32>();
    for (row, out) in whole.iter().zip(out.chunks_exact_mut(32)) {
        // SAFETY: 32 floats are read and 32 halves written; __m512bh and __m512i are the same 512 bits.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(row.as_ptr()), _mm512_loadu_ps(row.as_ptr().add(16)));
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), halves);
        }
    }
    for (x, out) in rest.iter().zip(&mut out[whole.len() * 32..]) {
        *out = bf16::from_f32(*x);
    }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[inline]
unsafe fn store_bf16(out: *mut bf16, count: usize, vector: __m512) {
    // SAFETY: masked to the `count` elements the caller owns; __m256bh and __m256i are the same 256 bits.
    unsafe {
        let half: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(vector));
        _mm256_mask_storeu_epi16(out.cast(), mask(count), half);
    }
}

/// Asks for the rows of B that are packed next, which no hardware prefetcher guesses when they are short
/// pieces of long rows.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn prefetch(b: MatRef, k0: usize, col: usize) {
    if b.col_stride != 1 {
        return;
    }
    for k in k0..(k0 + 16).min(b.rows) {
        let index = b.offset + k * b.row_stride + col;
        let (place, width) = match b.data {
            Elements::F32(data) => (data.as_ptr().wrapping_add(index).cast::<i8>(), NR * 4),
            Elements::Bf16(data) => (data.as_ptr().wrapping_add(index).cast(), NR * 2),
            Elements::F16(data) => (data.as_ptr().wrapping_add(index).cast(), NR * 2),
        };
        for line in (0..width).step_by(64) {
            _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(line));
        }
    }
}

/// Packs rows `k0..k0 + kc` of 32 columns of B: lane row l of the panel holds k0 + l (or a pair of k).
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pack_panel_f32(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize, panel: *mut f32) {
    for k in (0..kc).step_by(16) {
        let depth = (kc - k).min(16);
        prefetch(b, k0 + k + 32, col);
        for half in 0..cols.div_ceil(16) {
            let width = (cols - half * 16).min(16);
            // SAFETY: the panel has room for kc rows of NR lanes.
            unsafe {
                let vectors = b_tile(b, k0 + k, depth, col + half * 16, width);
                for (i, vector) in vectors.iter().enumerate().take(depth) {
                    _mm512_storeu_ps(panel.add((k + i) * NR + half * 16), *vector);
                }
            }
        }
    }
}

/// The same in pairs; lanes come in multiples of `unit`, missing ones are zeros.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn pack_panel_pairs(
    b: MatRef,
    (k0, kc, unit): (usize, usize, usize),
    col: usize,
    cols: usize,
    panel: *mut f32,
) {
    for k in (0..kc).step_by(32) {
        let depth = (kc - k).min(32);
        prefetch(b, k0 + k + 32, col);
        prefetch(b, k0 + k + 48, col);
        for half in 0..cols.div_ceil(16) {
            let width = (cols - half * 16).min(16);
            // SAFETY: the panel has room for kc / 2 rows, rounded up to the unit, of NR lanes.
            unsafe {
                let vectors = pair_tile(b, k0 + k, depth, col + half * 16, width);
                for (i, vector) in vectors.iter().enumerate().take(depth.div_ceil(2).next_multiple_of(unit)) {
                    _mm512_storeu_ps(panel.add((k / 2 + i) * NR + half * 16), *vector);
                }
            }
        }
    }
}

pub(super) unsafe fn pack_panel<K: Kernel>(
    b: MatRef,
    k0: usize,
    kc: usize,
    col: usize,
    cols: usize,
    panel: *mut f32,
) {
    // SAFETY: as for the two.
    unsafe {
        if K::PAIRS {
            pack_panel_pairs(b, (k0, kc, K::UNIT), col, cols, panel)
        } else {
            pack_panel_f32(b, k0, kc, col, cols, panel)
        }
    }
}

/// Packs `rows` rows of A: lane l of row i is at `strip[i * STRIP + l]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pack_strip_f32(a: MatRef, row: usize, rows: usize, k0: usize, kc: usize, strip: *mut f32) {
    for k in (0..kc).step_by(16) {
        let depth = (kc - k).min(16);
        // SAFETY: the strip has room for so many rows, and kc lanes fit into one.
        unsafe {
            let vectors = a_tile(a, row, rows, k0 + k, depth);
            for (i, vector) in vectors.iter().enumerate().take(rows) {
                _mm512_mask_storeu_ps(strip.add(i * STRIP + k), mask(depth), *vector);
            }
        }
    }
}

/// The same in pairs; lanes come in multiples of `unit`, missing ones are zeros.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn pack_strip_pairs(
    a: MatRef,
    row: usize,
    rows: usize,
    (k0, kc, unit): (usize, usize, usize),
    strip: *mut f32,
) {
    for k in (0..kc.next_multiple_of(2 * unit)).step_by(16) {
        let depth = kc.saturating_sub(k).min(16);
        let lanes = if unit == 1 { mask(depth.div_ceil(2)) as u8 } else { u8::MAX };
        for first in (0..rows).step_by(16) {
            let rows = (rows - first).min(16);
            // SAFETY: the strip has room for so many rows, and kc / 2 lanes, rounded up to the unit, fit
            // into one.
            unsafe {
                let vectors = a_tile(a, row + first, rows, k0 + k, depth);
                for (i, vector) in vectors.iter().enumerate().take(rows) {
                    let half: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(*vector));
                    _mm256_mask_storeu_epi32(strip.add((first + i) * STRIP + k / 2).cast(), lanes, half);
                }
            }
        }
    }
}

/// Cache lines up to which a strip of a transposed A is read where it lies: a third of the L1 cache.
const DIRECT_LINES: usize = 256;

/// Cache lines that `kc` neighbourhoods touch, `stride` floats apart.
fn lines(stride: usize, kc: usize) -> usize {
    if stride < 16 { (stride * kc).div_ceil(16) } else { kc }
}

impl Strip {
    /// Rows `row..row + rows` of A at `k0..k0 + kc`: where they lie, or packed into `buffer`.
    pub(super) unsafe fn of<K: Kernel>(
        a: MatRef,
        row: usize,
        rows: usize,
        k0: usize,
        kc: usize,
        buffer: *mut f32,
    ) -> Strip {
        let depth = K::lanes(kc);
        let index = a.offset + row * a.row_stride + k0;
        // Rows a multiple of 4 KiB apart would all want the same few lines of the L1 cache.
        let spread = |row: usize| row < 64 || !row.is_multiple_of(1024);
        match a.data {
            Elements::F32(data) if !K::PAIRS && a.col_stride == 1 && spread(a.row_stride) => {
                return Strip {
                    start: data.as_ptr().wrapping_add(index),
                    stride: a.row_stride,
                    step: 1,
                    depth,
                };
            }
            // Sixteen neighbours a lane: packing would cost what a panel does, unless they lie far apart.
            Elements::F32(data)
                if !K::PAIRS
                    && a.row_stride == 1
                    && lines(a.col_stride, kc) <= DIRECT_LINES
                    && spread(a.col_stride) =>
            {
                let start = data.as_ptr().wrapping_add(a.offset + row + k0 * a.col_stride);
                return Strip { start, stride: 1, step: a.col_stride, depth };
            }
            Elements::Bf16(data)
                if K::PAIRS
                    && a.col_stride == 1
                    && [index, a.row_stride].iter().all(|x| x.is_multiple_of(2))
                    && kc == 2 * depth
                    && rows.is_multiple_of(K::UNIT)
                    && spread(a.row_stride / 2) =>
            {
                let start = data.as_ptr().wrapping_add(index).cast();
                return Strip { start, stride: a.row_stride / 2, step: 1, depth };
            }
            _ => {}
        }
        // SAFETY: the caller's buffer has room for K::ROWS rows of the strip.
        unsafe {
            if K::PAIRS {
                pack_strip_pairs(a, row, rows, (k0, kc, K::UNIT), buffer)
            } else {
                pack_strip_f32(a, row, rows, k0, kc, buffer)
            }
        }
        Strip { start: buffer, stride: STRIP, step: 1, depth }
    }
}

// A bf16 lane pair is one f32 wide.
const _: () = assert!(2 * size_of::<bf16>() == size_of::<f32>());
