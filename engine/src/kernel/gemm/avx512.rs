//! The AVX-512 product: a 14×32 register tile over packed panels.
//!
//! One thread's share is computed in the usual three loops (Goto & van de Geijn, "Anatomy of
//! High-Performance Matrix Multiplication"): a block of B that fits the L2 cache is packed into panels of
//! 32 columns, then strips of 14 rows of A are run over all panels. Packing widens, transposes and pads, so
//! the inner kernel sees one layout of B whatever its strides and type are. A is read where it lies if its
//! rows are contiguous; else its strips are packed, too.
//!
//! With bf16 dot products the panels hold pairs of consecutive k as two bf16 in one 32-bit lane, and the
//! same kernel shape multiplies twice as much per instruction.

use std::arch::x86_64::*;

use half::bf16;

use super::{Elements, MatMut, MatRef, Options};
use crate::kernel::with_scratch;

/// Columns of the register tile: two vectors.
const NR: usize = 32;
/// Rows of the register tile: 28 accumulators, two vectors of B and one broadcast fill the 32 registers.
const MR: usize = 14;
/// Inner length of a block.
const KC: usize = 1024;
/// Largest inner length of the extra product.
pub const MAX_EXTRA: usize = 512;
/// Distance of the rows of a packed strip; not a multiple of a page, to spread over cache sets.
const STRIP: usize = KC + MAX_EXTRA + 16;
/// Bytes of a packed block of B: most of a 1 MiB L2 cache.
const BLOCK_BYTES: usize = 640 * 1024;

pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

pub fn bf16_available() -> bool {
    available() && is_x86_feature_detected!("avx512bf16")
}

pub fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    // SAFETY: the features were detected; views were bounds-checked when they were made.
    unsafe {
        if options.bf16 && bf16_available() {
            blocks::<true>(c, a, b, options);
        } else {
            blocks::<false>(c, a, b, options);
        }
    }
}

/// Rounds rows `first..` of A to bf16, row-major: as many as fill `out`.
///
/// # Panics
/// If `out` is no whole number of rows, or longer than A.
pub fn narrow(a: MatRef, first: usize, out: &mut [bf16]) {
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

/// Lanes a row of k values takes in a panel: with pairs, half as many, rounded up.
fn lanes<const PAIRS: bool>(k: usize) -> usize {
    if PAIRS { k.div_ceil(2) } else { k }
}

unsafe fn blocks<const PAIRS: bool>(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let extra = options.extra.filter(|(a2, _)| a2.cols > 0);
    let extra_lanes = extra.map_or(0, |(a2, _)| lanes::<PAIRS>(a2.cols));
    let depth = if PAIRS { 2 * KC } else { KC };
    let k_blocks = k.div_ceil(depth).max(1);
    let k_block = k.div_ceil(k_blocks).next_multiple_of(32);
    let panels = n.div_ceil(NR);
    let panel_lanes = lanes::<PAIRS>(k_block.min(k.next_multiple_of(2))) + extra_lanes;
    let block_panels = (BLOCK_BYTES / (panel_lanes.max(1) * NR * 4)).clamp(1, panels);

    // 16 floats more for alignment to a cache line.
    with_scratch(MR * STRIP + block_panels * panel_lanes * NR + 32, |scratch| {
        let start = scratch.as_mut_ptr();
        let strip = start.wrapping_add(start.align_offset(64));
        let block = strip.wrapping_add((MR * STRIP).next_multiple_of(16));
        let mut first_panel = 0;
        while first_panel < panels {
            let count = block_panels.min(panels - first_panel);
            for k_index in 0..k_blocks {
                let k0 = (k_index * k_block).min(k);
                let kc = k_block.min(k - k0);
                let extra = extra.filter(|_| k_index + 1 == k_blocks);
                let main = lanes::<PAIRS>(kc);
                let depth = main + extra.map_or(0, |_| extra_lanes);
                let accumulate = options.accumulate || k_index > 0;
                // SAFETY: `block` holds `block_panels` panels of at most `panel_lanes` rows, `strip` MR rows
                // of STRIP lanes; all views are within bounds.
                unsafe {
                    // What only one strip reads is not worth packing.
                    let direct = |col: usize| match b.data {
                        Elements::F32(data)
                            if !PAIRS && m <= MR && b.col_stride == 1 && extra.is_none() && col + NR <= n =>
                        {
                            let start = data.as_ptr().wrapping_add(b.offset + k0 * b.row_stride + col);
                            Some(Panel { start, stride: b.row_stride })
                        }
                        _ => None,
                    };
                    for p in 0..count {
                        let col = (first_panel + p) * NR;
                        if direct(col).is_some() {
                            continue;
                        }
                        let cols = NR.min(n - col);
                        let panel = block.add(p * depth * NR);
                        pack_panel::<PAIRS>(b, k0, kc, col, cols, panel);
                        if let Some((_, b2)) = extra {
                            pack_panel::<PAIRS>(b2, 0, b2.rows, col, cols, panel.add(main * NR));
                        }
                    }
                    let mut row = 0;
                    while row < m {
                        let rows = MR.min(m - row);
                        let strips = [
                            Strip::of::<PAIRS>(a, row, rows, k0, kc, strip),
                            extra.map_or(Strip::NONE, |(a2, _)| {
                                Strip::of::<PAIRS>(a2, row, rows, 0, a2.cols, strip.add(KC))
                            }),
                        ];
                        for p in 0..count {
                            let col = (first_panel + p) * NR;
                            let out = c.data.add(row * c.stride + col);
                            let tile = Tile { out, stride: c.stride, accumulate, cols: NR.min(n - col) };
                            let packed = Panel { start: block.add(p * depth * NR), stride: NR };
                            tile.run::<PAIRS>(rows, &strips, direct(col).unwrap_or(packed));
                        }
                        row += rows;
                    }
                }
            }
            first_panel += count;
        }
    });
}

/// A mask of the first `n` of 16 lanes.
fn mask(n: usize) -> u16 {
    if n >= 16 { 0xffff } else { (1u16 << n) - 1 }
}

/// Sixteen consecutive elements from `index`, widened; lanes outside of `lanes` are not read and zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn load(data: Elements, index: usize, lanes: u16) -> __m512 {
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
fn pair(low: __m512, high: __m512) -> __m512 {
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
fn transpose(rows: &mut [__m512; 16]) {
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
unsafe fn tile(view: MatRef, row: usize, rows: usize, col: usize, cols: usize) -> [__m512; 16] {
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
unsafe fn b_tile(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize) -> [__m512; 16] {
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

/// Asks for the rows of B that are packed next, which no hardware prefetcher guesses when they are short
/// pieces of long rows.
#[target_feature(enable = "avx512f")]
#[inline]
fn prefetch(b: MatRef, k0: usize, col: usize) {
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

#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn pack_panel_pairs(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize, panel: *mut f32) {
    for k in (0..kc).step_by(32) {
        let depth = (kc - k).min(32);
        prefetch(b, k0 + k + 32, col);
        prefetch(b, k0 + k + 48, col);
        for half in 0..cols.div_ceil(16) {
            let width = (cols - half * 16).min(16);
            // SAFETY: the panel has room for kc / 2 rows, rounded up, of NR lanes.
            unsafe {
                let vectors = pair_tile(b, k0 + k, depth, col + half * 16, width);
                for (i, vector) in vectors.iter().enumerate().take(depth.div_ceil(2)) {
                    _mm512_storeu_ps(panel.add((k / 2 + i) * NR + half * 16), *vector);
                }
            }
        }
    }
}

/// Up to 32 rows of k of B at columns `col..col + cols` (at most 16), in pairs: vector i is rows `k0 + 2i` and
/// `k0 + 2i + 1`. What is stored in bf16 is moved, never converted.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
#[inline]
unsafe fn pair_tile(b: MatRef, k0: usize, kc: usize, col: usize, cols: usize) -> [__m512; 16] {
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

unsafe fn pack_panel<const PAIRS: bool>(
    b: MatRef,
    k0: usize,
    kc: usize,
    col: usize,
    cols: usize,
    panel: *mut f32,
) {
    // SAFETY: as for the two.
    unsafe {
        if PAIRS {
            pack_panel_pairs(b, k0, kc, col, cols, panel)
        } else {
            pack_panel_f32(b, k0, kc, col, cols, panel)
        }
    }
}

/// Packs `rows` (at most MR) rows of A: lane l of row i is at `strip[i * STRIP + l]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pack_strip_f32(a: MatRef, row: usize, rows: usize, k0: usize, kc: usize, strip: *mut f32) {
    for k in (0..kc).step_by(16) {
        let depth = (kc - k).min(16);
        // SAFETY: rows ≤ MR and kc lanes fit into a row of the strip.
        unsafe {
            let vectors = a_tile(a, row, rows, k0 + k, depth);
            for (i, vector) in vectors.iter().enumerate().take(rows) {
                _mm512_mask_storeu_ps(strip.add(i * STRIP + k), mask(depth), *vector);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
unsafe fn pack_strip_pairs(a: MatRef, row: usize, rows: usize, k0: usize, kc: usize, strip: *mut f32) {
    for k in (0..kc).step_by(16) {
        let depth = (kc - k).min(16);
        // SAFETY: rows ≤ MR and kc / 2 lanes, rounded up, fit into a row of the strip.
        unsafe {
            let vectors = a_tile(a, row, rows, k0 + k, depth);
            for (i, vector) in vectors.iter().enumerate().take(rows) {
                let half: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(*vector));
                let lanes = mask(depth.div_ceil(2)) as u8;
                _mm256_mask_storeu_epi32(strip.add(i * STRIP + k / 2).cast(), lanes, half);
            }
        }
    }
}

/// Rows of A as vectors along k.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn a_tile(a: MatRef, row: usize, rows: usize, k0: usize, depth: usize) -> [__m512; 16] {
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

/// Lanes of a strip of A: lane l of row i is at `start[i * stride + l]`.
#[derive(Clone, Copy)]
struct Strip {
    start: *const f32,
    stride: usize,
    depth: usize,
}

impl Strip {
    const NONE: Strip = Strip { start: std::ptr::null(), stride: 0, depth: 0 };

    /// Rows `row..row + rows` of A at `k0..k0 + kc`: where they lie, or packed into `buffer`.
    unsafe fn of<const PAIRS: bool>(
        a: MatRef,
        row: usize,
        rows: usize,
        k0: usize,
        kc: usize,
        buffer: *mut f32,
    ) -> Strip {
        let depth = lanes::<PAIRS>(kc);
        let index = a.offset + row * a.row_stride + k0;
        // Rows a multiple of 4 KiB apart would all want the same few lines of the L1 cache.
        let spread = |row: usize| row < 64 || !row.is_multiple_of(1024);
        match a.data {
            Elements::F32(data) if !PAIRS && a.col_stride == 1 && spread(a.row_stride) => {
                return Strip { start: data.as_ptr().wrapping_add(index), stride: a.row_stride, depth };
            }
            Elements::Bf16(data)
                if PAIRS
                    && a.col_stride == 1
                    && [kc, index, a.row_stride].iter().all(|x| x.is_multiple_of(2))
                    && spread(a.row_stride / 2) =>
            {
                let start = data.as_ptr().wrapping_add(index).cast();
                return Strip { start, stride: a.row_stride / 2, depth };
            }
            _ => {}
        }
        // SAFETY: the caller's buffer has room for MR rows of the strip.
        unsafe {
            if PAIRS {
                pack_strip_pairs(a, row, rows, k0, kc, buffer)
            } else {
                pack_strip_f32(a, row, rows, k0, kc, buffer)
            }
        }
        Strip { start: buffer, stride: STRIP, depth }
    }
}

/// 32 columns of B: those of lane row l are at `start[l * stride..]`.
#[derive(Clone, Copy)]
struct Panel {
    start: *const f32,
    stride: usize,
}

/// Where a register tile goes.
struct Tile {
    out: *mut f32,
    stride: usize,
    accumulate: bool,
    cols: usize,
}

impl Tile {
    /// Runs the strips, one after the other, over a panel that is as deep as both.
    unsafe fn run<const PAIRS: bool>(&self, rows: usize, strips: &[Strip; 2], panel: Panel) {
        macro_rules! by_rows {
            ($($n:literal)*) => {
                match (rows, self.cols > 16) {
                    $(($n, true) if PAIRS => self.pairs::<$n, 2>(strips, panel),
                    ($n, false) if PAIRS => self.pairs::<$n, 1>(strips, panel),
                    ($n, true) => self.single::<$n, 2>(strips, panel),
                    ($n, false) => self.single::<$n, 1>(strips, panel),)*
                    _ => {}
                }
            };
        }
        // SAFETY: strips and panel hold the lanes they say; the tile lies inside of C.
        unsafe { by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }

    /// `VECTORS` is two, or one where no more than sixteen columns are there.
    #[target_feature(enable = "avx512f")]
    unsafe fn single<const ROWS: usize, const VECTORS: usize>(
        &self,
        strips: &[Strip; 2],
        Panel { start: mut panel, stride: step }: Panel,
    ) {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        // SAFETY: strips and panel hold `depth` lanes.
        unsafe {
            for Strip { start, stride, depth } in *strips {
                for k in 0..depth {
                    let b: [__m512; VECTORS] = std::array::from_fn(
                        #[inline(always)]
                        |v| _mm512_loadu_ps(panel.add(16 * v)),
                    );
                    panel = panel.wrapping_add(step);
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let a = _mm512_set1_ps(*start.add(i * stride + k));
                        for v in 0..VECTORS {
                            sums[v] = _mm512_fmadd_ps(a, b[v], sums[v]);
                        }
                    }
                }
            }
            self.store(&sums);
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn pairs<const ROWS: usize, const VECTORS: usize>(
        &self,
        strips: &[Strip; 2],
        Panel { start: mut panel, stride: step }: Panel,
    ) {
        let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
        // SAFETY: strips and panel hold `depth` lanes; __m512i and __m512bh are the same 512 bits.
        unsafe {
            for Strip { start, stride, depth } in *strips {
                for k in 0..depth {
                    let b: [__m512bh; VECTORS] = std::array::from_fn(
                        #[inline(always)]
                        |v| std::mem::transmute(_mm512_loadu_ps(panel.add(16 * v))),
                    );
                    panel = panel.wrapping_add(step);
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let lane = start.add(i * stride + k).cast::<i32>().read_unaligned();
                        let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(lane));
                        for v in 0..VECTORS {
                            sums[v] = _mm512_dpbf16_ps(sums[v], a, b[v]);
                        }
                    }
                }
            }
            self.store(&sums);
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store<const ROWS: usize, const VECTORS: usize>(&self, sums: &[[__m512; VECTORS]; ROWS]) {
        for (i, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let lanes = mask(self.cols.saturating_sub(16 * v));
                // SAFETY: masked to the columns of C; masked lanes are not touched.
                unsafe {
                    let out = self.out.wrapping_add(i * self.stride + 16 * v);
                    let mut sum = *sum;
                    if self.accumulate {
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, out));
                    }
                    _mm512_mask_storeu_ps(out, lanes, sum);
                }
            }
        }
    }
}

// A bf16 lane pair is one f32 wide.
const _: () = assert!(2 * size_of::<bf16>() == size_of::<f32>());
