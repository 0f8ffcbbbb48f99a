//! The innermost product: up to 32 rows of a strip by a panel.

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::amx::{EDGE, add, load_sums, store_sums};
use super::super::tile::{Panel, Strip, Tile};
use super::{NR, ROWS, STEP_WORDS};

/// A tile of C, of up to 32 rows: so many steps in parts, then lanes of the short product. Meanwhile `next`, what the
/// product after this one writes to, is asked for.
pub(super) unsafe fn product(
    tile: &Tile,
    rows: usize,
    a: *const f32,
    b: *const f32,
    (steps, lanes): (usize, usize),
    next: *const f32,
) {
    let after = steps * STEP_WORDS;
    let short_strip = Strip { start: a.wrapping_add(after), stride: lanes, step: 1, depth: lanes };
    let short_panel = Panel { start: b.wrapping_add(after), stride: NR };
    // SAFETY: strip and panel hold the steps and lanes; the tile lies inside of C. No code between these blocks of
    // instructions touches tile registers: the compiler knows none.
    unsafe {
        tile.product(rows, |tall, _, out, stride, accumulate| {
            load_sums::<true, true>(out, stride, accumulate);
            for row in ROWS_PER_STEP * steps..ROWS {
                let row = next.wrapping_add(row * tile.stride);
                _mm_prefetch::<_MM_HINT_T0>(row.cast());
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(EDGE).cast());
            }
            match tall {
                _ if steps == 0 => {}
                true => tiles(a, b, steps, (next, tile.stride)),
                false => upper_tiles(a, b, steps, (next, tile.stride)),
            }
            match tall {
                true => add::<true, true>(&short_strip, short_panel),
                false => add::<false, true>(&short_strip, short_panel),
            }
            store_sums::<true, true>(out, stride);
        });
    }
}

/// Loads a tile of a part: A's of the upper or lower rows, B's of the left or right columns.
macro_rules! load {
    (A $part:tt first) => {
        concat!("tileloadd tmm4, [{a} + {a_row} + 2048*", $part, "]\n")
    };
    (A $part:tt second) => {
        concat!("tileloadd tmm5, [{a} + {a_row} + 2048*", $part, " + 1024]\n")
    };
    (B $part:tt first) => {
        concat!("tileloadd tmm6, [{b} + {b_row} + 2048*", $part, "]\n")
    };
    (B $part:tt second) => {
        concat!("tileloadd tmm7, [{b} + {b_row} + 2048*", $part, " + 64]\n")
    };
}

/// Multiplies two tiles, then asks for four lines each of the strip and of the panel, a step ahead: that is all
/// of a step in its 24 products. That they stand between the products is worth more than the lines, see
/// [`super::super::amx`].
macro_rules! multiply {
    ($tiles:tt) => {
        concat!(
            "tdpbf16ps ",
            $tiles,
            "\n",
            "prefetcht0 [{next_a}]\n",
            "prefetcht0 [{next_b}]\n",
            "prefetcht0 [{next_a} + 64]\n",
            "prefetcht0 [{next_b} + 64]\n",
            "prefetcht0 [{next_a} + 128]\n",
            "prefetcht0 [{next_b} + 128]\n",
            "prefetcht0 [{next_a} + 192]\n",
            "prefetcht0 [{next_b} + 192]\n",
            "add {next_a}, 256\n",
            "add {next_b}, 256\n",
        )
    };
}

/// Loads the tiles of a part of A or B and multiplies them by those of the other side that are there, see
/// [`super::super::amx`] for the registers.
macro_rules! part {
    ($side:tt $part:tt) => {
        concat!(
            load!($side $part first),
            load!($side $part second),
            multiply!("tmm0, tmm4, tmm6"),
            multiply!("tmm1, tmm4, tmm7"),
            multiply!("tmm2, tmm5, tmm6"),
            multiply!("tmm3, tmm5, tmm7"),
        )
    };
}

/// The same for the upper tiles of A and C alone.
macro_rules! upper_part {
    (A $part:tt) => {
        concat!(load!(A $part first), multiply!("tmm0, tmm4, tmm6"), multiply!("tmm1, tmm4, tmm7"))
    };
    (B $part:tt) => {
        concat!(
            load!(B $part first),
            load!(B $part second),
            multiply!("tmm0, tmm4, tmm6"),
            multiply!("tmm1, tmm4, tmm7"),
        )
    };
}

/// Rows of C that are asked for in a step.
const ROWS_PER_STEP: usize = 3;

/// Asks for a row of C: all of them at once would have to wait for each other.
macro_rules! next_row {
    () => {
        "prefetcht0 [{c}]\nprefetcht0 [{c} + 64]\nadd {c}, {c_row}\n"
    };
}

/// Runs over the steps of a strip and a panel. The parts follow each other so that from one product to the next
/// only one side is loaded.
macro_rules! over_steps {
    ($a:ident, $b:ident, $steps:ident, $next:ident, $part:ident) => {
        asm!(
            "2:",
            "lea {next_a}, [{a} + {step}]",
            "lea {next_b}, [{b} + {step}]",
            load!(B "2" first),
            load!(B "2" second),
            $part!(A "0"),
            $part!(B "1"),
            next_row!(),
            $part!(A "1"),
            $part!(B "0"),
            next_row!(),
            $part!(A "0"),
            $part!(A "2"),
            next_row!(),
            "add {a}, {step}",
            "add {b}, {step}",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            next_a = out(reg) _,
            next_b = out(reg) _,
            steps = inout(reg) $steps => _,
            c = inout(reg) $next.0 => _,
            c_row = in(reg) 4 * $next.1,
            a_row = in(reg) 4 * EDGE,
            b_row = in(reg) 4 * NR,
            step = const 4 * STEP_WORDS,
            options(nostack, readonly),
        )
    };
}

/// Adds the products of the parts of a strip's tiles and a panel's to the sums in tile registers.
unsafe fn tiles(a: *const f32, b: *const f32, steps: usize, next: (*const f32, usize)) {
    // SAFETY: the caller's strip and panel hold the steps, of which there is one at least.
    unsafe { over_steps!(a, b, steps, next, part) };
}

/// The same for a strip of 16 rows or fewer.
unsafe fn upper_tiles(a: *const f32, b: *const f32, steps: usize, next: (*const f32, usize)) {
    // SAFETY: as for `tiles`.
    unsafe { over_steps!(a, b, steps, next, upper_part) };
}
