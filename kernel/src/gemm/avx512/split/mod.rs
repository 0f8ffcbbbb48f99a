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

use rayon::prelude::*;

use super::super::{MatMut, MatRef, Options};
use super::NR;
use super::amx::{EDGE, configure, release};
use super::tile::Tile;
use crate::with_scratch;
use pack::{pack_panel, pack_short_panel, pack_short_strip, pack_strip, short_lanes};
use product::product;

/// Parts of a number.
const PARTS: usize = 3;
/// Which part of A is multiplied by which of B.
const PRODUCTS: [(usize, usize); 6] = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)];
/// Values of k that a tile holds: the unit that panels and strips are packed in, one after the other.
const STEP: usize = 2 * EDGE;
/// Rows of a strip.
const ROWS: usize = 2 * EDGE;
/// Words of a step of a strip, and of a panel, whose three parts follow each other.
const STEP_WORDS: usize = PARTS * EDGE * ROWS;
const _: () = assert!(ROWS == NR, "steps of strips and of panels are equally long");

/// Largest inner length of a block: each block of k waits for the threads twice, and passes over C.
const DEPTH: usize = 576;
/// Bytes of a packed block of A, which stays in the L2 cache: processors with AMX have 2 MiB.
const BLOCK_BYTES: usize = 1850 * 1024;

/// C ← [C +] A·B [+ A₂·B₂], on all threads of the pool or on this one alone.
///
/// A block of A is packed, for all threads; then panels of B, each by the thread that runs it over the block's
/// strips. Threads take strip by strip and panel by panel, as fast as each is.
///
/// The second product is one of bf16 whose k are those of all six products of parts: as short as it is, each by
/// itself would leave most of a tile empty.
///
/// # Safety
/// The processor must have AMX.
pub(super) unsafe fn run(c: &MatMut, a: MatRef, b: MatRef, options: Options, on_pool: bool) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let extra = options.extra.filter(|(a2, _)| a2.cols > 0);
    let extra_lanes = extra.map_or(0, |(a2, _)| short_lanes(a2.cols));
    let k_blocks = k.div_ceil(DEPTH).max(1);
    let k_block = k.div_ceil(k_blocks).next_multiple_of(STEP);
    let max_words = k_block / STEP * STEP_WORDS + extra_lanes * NR;
    let all_strips = m.div_ceil(ROWS);
    let block_strips = (BLOCK_BYTES / (4 * max_words.max(1))).clamp(1, all_strips);
    // Blocks of even heights.
    let block_strips = all_strips.div_ceil(all_strips.div_ceil(block_strips));

    aligned(block_strips * max_words, |block| {
        let block = MatMut::new(block, block_strips, max_words, max_words);
        for first in (0..m).step_by(block_strips * ROWS) {
            let block_rows = (m - first).min(block_strips * ROWS);
            for k_index in 0..k_blocks {
                let k0 = (k_index * k_block).min(k);
                let kc = k_block.min(k - k0);
                let extra = extra.filter(|_| k_index + 1 == k_blocks);
                let steps = kc.div_ceil(STEP);
                let depth = (steps, extra.map_or(0, |_| extra_lanes));
                let accumulate = options.accumulate || k_index > 0;
                // SAFETY: strips are written by one thread each, and read when all are there.
                let strip = |index: usize| unsafe { block.part(index, 1, 0, max_words).data };
                let strips = block_rows.div_ceil(ROWS);
                each(strips, on_pool, |index| {
                    let (row, rows) = (first + index * ROWS, ROWS.min(block_rows - index * ROWS));
                    // SAFETY: a strip holds so much; views are within bounds.
                    unsafe {
                        pack_strip(a, row, rows, k0, kc, strip(index));
                        if let Some((a2, _)) = extra {
                            pack_short_strip(a2, row, rows, strip(index).add(steps * STEP_WORDS));
                        }
                    }
                });
                each(n.div_ceil(NR), on_pool, |index| {
                    let col = index * NR;
                    let cols = NR.min(n - col);
                    // SAFETY: a panel's columns of C are written by one thread.
                    let c = unsafe { c.part(first, block_rows, col, cols) };
                    aligned(max_words, |panel| {
                        let panel = panel.as_mut_ptr();
                        configure();
                        // SAFETY: `panel` holds so much; views are within bounds.
                        unsafe {
                            pack_panel(b, k0, kc, col, cols, panel);
                            if let Some((_, b2)) = extra {
                                pack_short_panel(b2, col, cols, panel.add(steps * STEP_WORDS));
                            }
                            for index in 0..strips {
                                let row = |row: usize| c.data.wrapping_add(row * c.stride);
                                let rows = ROWS.min(block_rows - index * ROWS);
                                let tile =
                                    Tile { out: row(index * ROWS), stride: c.stride, accumulate, cols };
                                // Below this tile, or at the top of the next panel.
                                let next = match index + 1 < strips {
                                    true => row((index + 1) * ROWS),
                                    false => row(0).wrapping_add(NR),
                                };
                                product(&tile, rows, strip(index), panel, depth, next);
                            }
                        }
                        release();
                    });
                });
            }
        }
    });
}

/// Does pieces of work, on all threads of the pool or on this one alone.
fn each(count: usize, on_pool: bool, work: impl Fn(usize) + Send + Sync) {
    match on_pool {
        true => (0..count).into_par_iter().with_max_len(1).for_each(work),
        false => (0..count).for_each(work),
    }
}

/// A work area that starts with a cache line.
fn aligned(len: usize, work: impl FnOnce(&mut [f32])) {
    with_scratch(len + 16, |scratch| {
        let start = scratch.as_ptr().align_offset(64);
        work(&mut scratch[start..start + len]);
    });
}
