//! The AVX-512 product: a 14×32 register tile over packed panels.
//!
//! One thread's share is computed in the usual three loops (Goto & van de Geijn, "Anatomy of
//! High-Performance Matrix Multiplication"): a block of B that fits the L2 cache is packed into panels of
//! 32 columns, then strips of 14 rows of A are run over all panels. Packing widens, transposes and pads, so
//! the inner kernel sees one layout of B whatever its strides and type are. A is read where it lies if its
//! rows are contiguous; else its strips are packed, too.
//!
//! With bf16 dot products the panels hold pairs of consecutive k as two bf16 in one 32-bit lane, and the
//! same kernel shape multiplies twice as much per instruction; on tile registers ([`amx`]) sixteen times. So
//! much that f32, too, is multiplied there, in parts ([`split`]).

pub(crate) mod amx;
mod load;
mod pack;
mod panels;
mod split;
mod thin;
mod tile;

use std::ops::Range;

use super::{Elements, MatMut, MatRef, Options};
use crate::level::{self, Level};
use crate::with_scratch;

pub(crate) use pack::narrow;
use pack::pack_panel;
pub(crate) use panels::Panels;
use tile::{Pairs, Panel, Single, Strip, Tile};

/// Columns of the register tile: two vectors.
const NR: usize = 32;
/// Rows of the register tile of vectors: 28 accumulators, two vectors of B and one broadcast fill the 32
/// registers.
const MR: usize = 14;
/// Inner length of a block.
const KC: usize = 1024;
/// Largest inner length of the extra product.
pub(crate) const MAX_EXTRA: usize = 512;
/// Distance of the rows of a packed strip; not a multiple of a page, to spread over cache sets.
const STRIP: usize = KC + MAX_EXTRA + 16;
/// Bytes of a packed block of B: most of a 1 MiB L2 cache.
const BLOCK_BYTES: usize = 640 * 1024;

pub(crate) fn available() -> bool {
    level::has(Level::Avx512)
}

pub(crate) fn bf16_available() -> bool {
    available() && is_x86_feature_detected!("avx512bf16")
}

/// The innermost product: a register tile of C from a strip of A and a panel of B.
trait Kernel {
    /// A lane holds two consecutive k as bf16, not one as f32.
    const PAIRS: bool;
    /// Rows of the register tile; strips have room for so many.
    const ROWS: usize;
    /// Lanes come in multiples of this, missing ones packed as zeros; so do the rows of a strip, of which
    /// missing ones hold anything.
    const UNIT: usize;

    /// Lanes that `k` values take.
    fn lanes(k: usize) -> usize {
        if Self::PAIRS { k.div_ceil(2) } else { k }.next_multiple_of(Self::UNIT)
    }

    /// Prepares this thread's registers.
    fn begin() {}

    /// Gives them back.
    fn end() {}

    /// Runs the strips, one after the other, over a panel that is as deep as both.
    ///
    /// # Safety
    /// Strips of `rows` rows and the panel hold the lanes they say; the tile lies inside of C.
    unsafe fn run(tile: &Tile, rows: usize, strips: &[Strip; 2], panel: Panel);
}

/// Rows of C from which on tile registers are worth their padding.
const MIN_TILE_ROWS: usize = 9;
/// Rows, columns and depth from which on they are worth splitting f32 for them.
const MIN_SPLIT: (usize, usize, usize) = (96, 160, 160);

/// What products are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arithmetic {
    /// f32 vectors.
    Single,
    /// f32 vectors along k.
    Thin,
    /// Vectors of bf16 pairs.
    Pairs,
    /// bf16 in tile registers.
    Tiles,
    /// f32 in vectors and, as sums of bf16, in tile registers.
    SplitTiles,
}

impl Arithmetic {
    /// The fastest for a product of this size.
    fn of(c: &MatMut, a: &MatRef, options: &Options) -> Self {
        let (rows, cols, deep) = MIN_SPLIT;
        match options.bf16 && bf16_available() {
            _ if thin::fits(c, a, options) => Arithmetic::Thin,
            true if c.rows >= MIN_TILE_ROWS && amx::available() => Arithmetic::Tiles,
            true => Arithmetic::Pairs,
            false if c.rows >= rows && c.cols >= cols && a.cols >= deep && amx::available() => {
                Arithmetic::SplitTiles
            }
            false => Arithmetic::Single,
        }
    }
}

pub(crate) fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    let arithmetic = Arithmetic::of(&c, &a, &options);
    // SAFETY: the processor has it.
    unsafe { run_with(arithmetic, c, a, b, options) }
}

/// The same on all threads of the pool, if this product is one that divides itself among them.
pub(crate) fn run_on_pool(c: &MatMut, a: MatRef, b: MatRef, options: Options) -> bool {
    let divides = matches!(Arithmetic::of(c, &a, &options), Arithmetic::SplitTiles);
    if divides {
        // SAFETY: the processor has AMX; views were bounds-checked when they were made.
        unsafe { split::run(c, a, b, options, true) };
    }
    divides
}

/// # Safety
/// The processor must have the arithmetic's instructions, and a thin product fit.
pub(crate) unsafe fn run_with(arithmetic: Arithmetic, c: MatMut, a: MatRef, b: MatRef, options: Options) {
    // SAFETY: by the caller's word; views were bounds-checked when they were made.
    unsafe {
        match arithmetic {
            Arithmetic::Single => blocks::<Single>(c, a, b, options),
            Arithmetic::Thin => thin::run(c, a, b, options.accumulate),
            Arithmetic::Pairs => blocks::<Pairs>(c, a, b, options),
            Arithmetic::Tiles => blocks::<amx::Tiles>(c, a, b, options),
            Arithmetic::SplitTiles => split::run(&c, a, b, options, false),
        }
    }
}

unsafe fn blocks<K: Kernel>(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let extra = options.extra.filter(|(a2, _)| a2.cols > 0);
    let extra_lanes = extra.map_or(0, |(a2, _)| K::lanes(a2.cols));
    let depth = if K::PAIRS { 2 * KC } else { KC };
    let k_blocks = k.div_ceil(depth).max(1);
    let k_block = k.div_ceil(k_blocks).next_multiple_of(32);
    let panels = n.div_ceil(NR);
    let panel_lanes = K::lanes(k_block.min(k)) + extra_lanes;
    let block_panels = (BLOCK_BYTES / (panel_lanes.max(1) * NR * 4)).clamp(1, panels);

    // 16 floats more for alignment to a cache line.
    let strip_len = (K::ROWS * STRIP).next_multiple_of(16);
    K::begin();
    with_scratch(strip_len + block_panels * panel_lanes * NR + 32, |scratch| {
        let start = scratch.as_mut_ptr();
        let strip = start.wrapping_add(start.align_offset(64));
        let block = strip.wrapping_add(strip_len);
        let mut first_panel = 0;
        while first_panel < panels {
            let count = block_panels.min(panels - first_panel);
            for k_index in 0..k_blocks {
                let k0 = (k_index * k_block).min(k);
                let kc = k_block.min(k - k0);
                let extra = extra.filter(|_| k_index + 1 == k_blocks);
                let main = K::lanes(kc);
                let depth = main + extra.map_or(0, |_| extra_lanes);
                let accumulate = options.accumulate || k_index > 0;
                // SAFETY: `block` holds `block_panels` panels of at most `panel_lanes` rows, `strip`
                // K::ROWS rows of STRIP lanes; all views are within bounds.
                unsafe {
                    // What only one strip reads is not worth packing.
                    let direct = |col: usize| match b.data {
                        Elements::F32(data)
                            if !K::PAIRS
                                && m <= MR
                                && b.col_stride == 1
                                && extra.is_none()
                                && col + NR <= n =>
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
                        pack_panel::<K>(b, k0, kc, col, cols, panel);
                        if let Some((_, b2)) = extra {
                            pack_panel::<K>(b2, 0, b2.rows, col, cols, panel.add(main * NR));
                        }
                    }
                    let panel = |col: usize| {
                        let start = block.wrapping_add((col / NR - first_panel) * depth * NR);
                        direct(col).unwrap_or(Panel { start, stride: NR })
                    };
                    let cols = first_panel * NR..n.min((first_panel + count) * NR);
                    let extra = extra.map(|(a2, _)| a2);
                    strips::<K>(&c, cols, (a, k0, kc), extra, accumulate, strip, panel);
                }
            }
            first_panel += count;
        }
    });
    K::end();
}

/// C ← [C +] A·B [+ A₂·B₂] of some columns of C, a multiple of [`NR`] the first, and `kc` columns of A from `k0` on.
///
/// # Safety
/// `strip` has room for [`Kernel::ROWS`] strips; `panel` answers for each first column of a panel with lanes as
/// deep as the strips.
unsafe fn strips<K: Kernel>(
    c: &MatMut,
    cols: Range<usize>,
    (a, k0, kc): (MatRef, usize, usize),
    extra: Option<MatRef>,
    accumulate: bool,
    strip: *mut f32,
    panel: impl Fn(usize) -> Panel,
) {
    for row in (0..c.rows).step_by(K::ROWS) {
        let rows = K::ROWS.min(c.rows - row);
        // SAFETY: as the caller says; views were bounds-checked when they were made.
        unsafe {
            let strips = [
                Strip::of::<K>(a, row, rows, k0, kc, strip),
                extra.map_or(Strip::NONE, |a2| Strip::of::<K>(a2, row, rows, 0, a2.cols, strip.add(KC))),
            ];
            for col in cols.clone().step_by(NR) {
                let out = c.data.add(row * c.stride + col);
                let tile = Tile { out, stride: c.stride, accumulate, cols: NR.min(cols.end - col) };
                K::run(&tile, rows, &strips, panel(col));
            }
        }
    }
}
