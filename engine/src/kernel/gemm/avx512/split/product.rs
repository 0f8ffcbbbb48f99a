//! The innermost product: up to 32 rows of a strip by a panel.

use std::arch::asm;

use super::super::amx::{EDGE, load_sums, store_sums};
use super::super::tile::Tile;
use super::{NR, STEP_WORDS};

/// A tile of C, of up to 32 rows.
pub(super) unsafe fn product(tile: &Tile, rows: usize, a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: strip and panel hold the steps; the tile lies inside of C. No code between these blocks of
    // instructions touches tile registers: the compiler knows none.
    unsafe {
        tile.product(rows, |tall, _, out, stride, accumulate| {
            load_sums::<true, true>(out, stride, accumulate);
            match tall {
                _ if steps == 0 => {}
                true => tiles(a, b, steps),
                false => upper_tiles(a, b, steps),
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

/// Runs over the steps of a strip and a panel. The parts follow each other so that from one product to the next
/// only one side is loaded.
macro_rules! over_steps {
    ($a:ident, $b:ident, $steps:ident, $part:ident) => {
        asm!(
            "2:",
            "lea {next_a}, [{a} + {step}]",
            "lea {next_b}, [{b} + {step}]",
            load!(B "2" first),
            load!(B "2" second),
            $part!(A "0"),
            $part!(B "1"),
            $part!(A "1"),
            $part!(B "0"),
            $part!(A "0"),
            $part!(A "2"),
            "add {a}, {step}",
            "add {b}, {step}",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            next_a = out(reg) _,
            next_b = out(reg) _,
            steps = inout(reg) $steps => _,
            a_row = in(reg) 4 * EDGE,
            b_row = in(reg) 4 * NR,
            step = const 4 * STEP_WORDS,
            options(nostack, readonly),
        )
    };
}

/// Adds the products of the parts of a strip's tiles and a panel's to the sums in tile registers.
unsafe fn tiles(a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: the caller's strip and panel hold the steps, of which there is one at least.
    unsafe { over_steps!(a, b, steps, part) };
}

/// The same for a strip of 16 rows or fewer.
unsafe fn upper_tiles(a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: as for `tiles`.
    unsafe { over_steps!(a, b, steps, upper_part) };
}
