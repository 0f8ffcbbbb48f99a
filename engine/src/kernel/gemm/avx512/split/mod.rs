//! Products of f32 on AMX's tile registers, which multiply bf16 alone: each factor as a sum of three bf16.
//!
//! bf16 has f32's exponent and 8 of its 24 bits, so x = x₀ + x₁ + x₂ holds exactly, each part at most 2⁻⁹ of the
//! one before. Of the nine products of parts the six largest are taken; the others are below 2⁻²⁶ of x·y, less
//! than f32's own rounding (Henry, Tang & Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
//! Higher-Precision Computations", 2019).
//!
//! An infinite factor gives NaN, where f32 may give an infinity: ∞ - ∞ is in its parts.

mod pack;
mod product;

use std::arch::x86_64::*;

use super::super::{MatMut, MatRef, Options};
use super::NR;
use super::amx::{EDGE, configure, release};
use super::tile::Tile;
use crate::kernel::with_scratch;
use pack::{pack_panel, pack_strip};
use product::product;

/// Parts of a number.
const PARTS: usize = 3;
/// Values of k that a tile holds: the unit that panels and strips are packed in, one after the other.
const STEP: usize = 2 * EDGE;
/// Rows of a strip.
const ROWS: usize = 2 * EDGE;
/// Words of a step of a strip, and of a panel, whose three parts follow each other.
const STEP_WORDS: usize = PARTS * EDGE * ROWS;
const _: () = assert!(ROWS == NR, "steps of strips and of panels are equally long");

/// Largest inner length of a block.
const DEPTH: usize = 384;
/// Bytes of a packed block of A, which stays in the L2 cache.
const BLOCK_BYTES: usize = 1200 * 1024;

/// C ← [C +] A·B [+ A₂·B₂] on the calling thread.
///
/// A block of A is packed, then panel after panel of B is, and run over the block's strips.
///
/// # Safety
/// The processor must have AMX; the extra product must not be deeper than [`super::MAX_EXTRA`].
pub(super) unsafe fn run(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let extra = options.extra.filter(|(a2, _)| a2.cols > 0);
    let extra_steps = extra.map_or(0, |(a2, _)| a2.cols.div_ceil(STEP));
    let k_blocks = k.div_ceil(DEPTH).max(1);
    let k_block = k.div_ceil(k_blocks).next_multiple_of(STEP);
    let max_steps = k_block / STEP + extra_steps;
    let strip_words = max_steps * STEP_WORDS;
    let all_strips = m.div_ceil(ROWS);
    let block_strips = (BLOCK_BYTES / (4 * strip_words.max(1))).clamp(1, all_strips);
    // Blocks of even heights.
    let block_strips = all_strips.div_ceil(all_strips.div_ceil(block_strips));

    configure();
    // 16 words more for alignment to a cache line.
    with_scratch(block_strips * strip_words + max_steps * STEP_WORDS + 16, |scratch| {
        let block = scratch.as_mut_ptr();
        let block = block.wrapping_add(block.align_offset(64));
        let panel = block.wrapping_add(block_strips * strip_words);
        for first in (0..m).step_by(block_strips * ROWS) {
            let block_rows = (m - first).min(block_strips * ROWS);
            for k_index in 0..k_blocks {
                let k0 = (k_index * k_block).min(k);
                let kc = k_block.min(k - k0);
                let extra = extra.filter(|_| k_index + 1 == k_blocks);
                let main = kc.div_ceil(STEP);
                let steps = main + extra.map_or(0, |_| extra_steps);
                let accumulate = options.accumulate || k_index > 0;
                let strip = |row: usize| block.wrapping_add(row / ROWS * steps * STEP_WORDS);
                // SAFETY: `block` and `panel` hold so many steps; views are within bounds.
                unsafe {
                    for row in (0..block_rows).step_by(ROWS) {
                        let rows = ROWS.min(block_rows - row);
                        pack_strip(a, first + row, rows, k0, kc, strip(row));
                        if let Some((a2, _)) = extra {
                            let rest = strip(row).add(main * STEP_WORDS);
                            pack_strip(a2, first + row, rows, 0, a2.cols, rest);
                        }
                    }
                    for col in (0..n).step_by(NR) {
                        let cols = NR.min(n - col);
                        pack_panel(b, k0, kc, col, cols, panel);
                        if let Some((_, b2)) = extra {
                            pack_panel(b2, 0, b2.rows, col, cols, panel.add(main * STEP_WORDS));
                        }
                        for row in (0..block_rows).step_by(ROWS) {
                            let out = c.data.add((first + row) * c.stride + col);
                            // What the next product writes to is on its way during this one.
                            for next in row + ROWS..block_rows.min(row + 2 * ROWS) {
                                let place = c.data.add((first + next) * c.stride + col).cast::<i8>();
                                _mm_prefetch::<_MM_HINT_T0>(place);
                                _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(64));
                            }
                            let tile = Tile { out, stride: c.stride, accumulate, cols };
                            product(&tile, ROWS.min(block_rows - row), strip(row), panel, steps);
                        }
                    }
                }
            }
        }
    });
    release();
}
