//! A whole B in panels, for several products.

use super::super::{MatMut, MatRef, Shared};
use super::amx::{self, Tiles};
use super::pack::pack_panel;
use super::tile::{Pairs, Panel, Single};
use super::{KC, Kernel, MIN_TILE_ROWS, NR, STRIP, strips};
use crate::with_scratch;

/// Rows of B that panels of pairs come in multiples of.
const UNIT: usize = Shared::UNIT;
// Whole tiles of pairs, and whole panels.
const _: () = assert!(UNIT.is_multiple_of(2 * amx::EDGE) && UNIT.is_multiple_of(NR));

/// B, packed.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    /// The first panel begins at a cache line.
    data: &'a [f32],
    rows: usize,
    cols: usize,
    /// Lanes hold pairs of bf16.
    pairs: bool,
}

/// Floats of a panel.
fn panel_len(rows: usize, pairs: bool) -> usize {
    if pairs { rows.next_multiple_of(UNIT) / 2 * NR } else { rows * NR }
}

impl<'a> Panels<'a> {
    /// Floats that the panels of such a matrix take.
    pub(crate) fn len(rows: usize, cols: usize) -> usize {
        // 16 more for alignment to a cache line.
        cols.div_ceil(NR) * panel_len(rows.next_multiple_of(UNIT), false) + 16
    }

    /// Packs B, in pairs of bf16 if asked to.
    ///
    /// # Safety
    /// The processor must have AVX-512, and the instructions on pairs if they are asked for.
    pub(crate) unsafe fn pack(b: MatRef, pairs: bool, area: &'a mut [f32]) -> Self {
        assert!(area.len() >= Self::len(b.rows, b.cols));
        let start = area.as_ptr().align_offset(64).min(16);
        let len = panel_len(b.rows, pairs);
        for col in (0..b.cols).step_by(NR) {
            let cols = NR.min(b.cols - col);
            let panel = area[start + col / NR * len..][..len].as_mut_ptr();
            // SAFETY: the panel holds all lanes.
            unsafe {
                match pairs {
                    true => pack_panel::<Tiles>(b, 0, b.rows, col, cols, panel),
                    false => pack_panel::<Single>(b, 0, b.rows, col, cols, panel),
                }
            }
        }
        Panels { data: &area[start..], rows: b.rows, cols: b.cols, pairs }
    }

    /// C ← [C +] A·B of a part of B that begins at a row, which is a multiple of [`UNIT`] for pairs, and at a column,
    /// which is a multiple of [`NR`].
    ///
    /// # Panics
    /// If there is no such part.
    pub(crate) fn multiply(&self, c: MatMut, a: MatRef, (row, col): (usize, usize), accumulate: bool) {
        assert!(row + a.cols <= self.rows && col + c.cols <= self.cols && a.rows == c.rows);
        assert!(col.is_multiple_of(NR) && (!self.pairs || row.is_multiple_of(UNIT)));
        // SAFETY: the processor has what the panels were packed for; views were bounds-checked when they were made.
        unsafe {
            match self.pairs {
                true if c.rows >= MIN_TILE_ROWS && amx::available() => {
                    self.run::<Tiles>(c, a, (row, col), accumulate)
                }
                true => self.run::<Pairs>(c, a, (row, col), accumulate),
                false => self.run::<Single>(c, a, (row, col), accumulate),
            }
        }
    }

    unsafe fn run<K: Kernel>(&self, c: MatMut, a: MatRef, (row, first): (usize, usize), accumulate: bool) {
        let len = panel_len(self.rows, self.pairs);
        let (depth, per_lane) = if K::PAIRS { (2 * KC, 2) } else { (KC, 1) };
        K::begin();
        with_scratch(K::ROWS * STRIP + 16, |strip| {
            let strip = strip.as_mut_ptr();
            let strip = strip.wrapping_add(strip.align_offset(64));
            for k in (0..a.cols.max(1)).step_by(depth) {
                let start = self.data.as_ptr().wrapping_add(first / NR * len + (row + k) / per_lane * NR);
                let panel = |col: usize| Panel { start: start.wrapping_add(col / NR * len), stride: NR };
                let part = (a, k, depth.min(a.cols - k));
                // SAFETY: the panels hold the lanes of these rows, up to whole units.
                unsafe { strips::<K>(&c, 0..c.cols, part, None, accumulate || k > 0, strip, panel) };
            }
        });
        K::end();
    }
}
