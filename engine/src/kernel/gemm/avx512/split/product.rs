//! A tile of C from a strip and a panel in parts.

use std::arch::asm;

use super::super::amx::{load_sums, store_sums};
use super::{EDGE, NR, PANEL_STEP, PANEL_VECTORS, STRIP_STEP, STRIP_VECTORS, TILE_ROWS, Tile, VECTOR_ROWS};

/// A tile of C, of up to 40 rows.
pub(super) unsafe fn product(tile: &Tile, rows: usize, a: *const f32, b: *const f32, steps: usize) {
    let more = rows.saturating_sub(TILE_ROWS);
    let mut sums = Sums([[0.0; NR]; VECTOR_ROWS]);
    // SAFETY: strip and panel hold the steps; the tile lies inside of C. No code between these blocks of
    // instructions touches tile registers: the compiler knows none.
    unsafe {
        tile.product(rows - more, |tall, _, out, stride, accumulate| {
            load_sums::<true, true>(out, stride, accumulate);
            match (tall, more > 0) {
                _ if steps == 0 => {}
                (_, true) => tiles_and_vectors(a, b, steps, &mut sums),
                (true, false) => tiles(a, b, steps),
                (false, false) => upper_tiles(a, b, steps),
            }
            store_sums::<true, true>(out, stride);
        });
        let out = tile.out.wrapping_add(TILE_ROWS * tile.stride);
        Tile { out, ..*tile }.take(more, sums.0.as_ptr().cast());
    }
}

/// Sums of the rows for vectors.
#[repr(align(64))]
struct Sums([[f32; NR]; VECTOR_ROWS]);

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

/// Adds row k of the panel times column k of the eight rows: zmm0 to zmm15 hold the sums, row by row.
macro_rules! vectors {
    ($k:tt) => {
        vectors!($k "0" "0" "1" "18", "1" "2" "3" "19", "2" "4" "5" "18", "3" "6" "7" "19",
            "4" "8" "9" "18", "5" "10" "11" "19", "6" "12" "13" "18", "7" "14" "15" "19")
    };
    ($k:tt $($row:tt $left:tt $right:tt $factor:tt),*) => {
        concat!(
            "vmovups zmm16, [{b} + 6144 + 128*", $k, "]\n",
            "vmovups zmm17, [{b} + 6208 + 128*", $k, "]\n",
            $(
                "vbroadcastss zmm", $factor, ", dword ptr [{a} + 6144 + 32*", $k, " + 4*", $row, "]\n",
                "vfmadd231ps zmm", $left, ", zmm16, zmm", $factor, "\n",
                "vfmadd231ps zmm", $right, ", zmm17, zmm", $factor, "\n",
            )*
        )
    };
}

/// Loads the tiles of a part of A or B and multiplies them by those of the other side that are there, see
/// [`super::super::amx`] for the registers; in between, vectors of the k in brackets.
macro_rules! part {
    ($side:tt $part:tt [$($k0:tt)*] [$($k1:tt)*] [$($k2:tt)*] [$($k3:tt)*] [$($k4:tt)*]) => {
        concat!(
            load!($side $part first),
            $(vectors!($k0),)*
            load!($side $part second),
            $(vectors!($k1),)*
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            $(vectors!($k2),)*
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            $(vectors!($k3),)*
            "tdpbf16ps tmm3, tmm5, tmm7\n",
            $(vectors!($k4),)*
        )
    };
}

/// The same for the upper tiles of A and C alone.
macro_rules! upper_part {
    (A $part:tt) => {
        concat!(load!(A $part first), "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7")
    };
    (B $part:tt) => {
        concat!(load!(B $part first), load!(B $part second), "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7")
    };
}

/// The code before, in and after the loop over the steps of a strip and a panel, and its further operands.
macro_rules! over_steps {
    ($a:ident, $b:ident, $steps:ident, [$($before:expr,)*] [$($each:expr,)*] [$($after:expr,)*] $($operand:tt)*) => {
        asm!(
            $($before,)*
            "2:",
            $($each,)*
            "add {a}, {a_step}",
            "add {b}, {b_step}",
            "dec {steps}",
            "jnz 2b",
            $($after,)*
            a = inout(reg) $a => _,
            b = inout(reg) $b => _,
            steps = inout(reg) $steps => _,
            a_row = in(reg) 4 * EDGE,
            b_row = in(reg) 4 * NR,
            a_step = const 4 * STRIP_STEP,
            b_step = const 4 * PANEL_STEP,
            $($operand)*
        )
    };
}

/// Adds the products of the parts of a strip's tiles and a panel's to the sums in tile registers.
///
/// The parts follow each other so that from one product to the next only one side is loaded.
unsafe fn tiles(a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: the caller's strip and panel hold the steps, of which there is one at least.
    unsafe {
        over_steps!(a, b, steps,
            []
            [
                load!(B "2" first),
                load!(B "2" second),
                part!(A "0" [] [] [] [] []),
                part!(B "1" [] [] [] [] []),
                part!(A "1" [] [] [] [] []),
                part!(B "0" [] [] [] [] []),
                part!(A "0" [] [] [] [] []),
                part!(A "2" [] [] [] [] []),
            ]
            []
            options(nostack, readonly),
        );
    }
}

/// The same for a strip of 16 rows or fewer.
unsafe fn upper_tiles(a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: as for `tiles`.
    unsafe {
        over_steps!(a, b, steps,
            []
            [
                load!(B "2" first),
                load!(B "2" second),
                upper_part!(A "0"),
                upper_part!(B "1"),
                upper_part!(A "1"),
                upper_part!(B "0"),
                upper_part!(A "0"),
                upper_part!(A "2"),
            ]
            []
            options(nostack, readonly),
        );
    }
}

/// The same, with the products of the 8 rows that follow in `sums`.
unsafe fn tiles_and_vectors(a: *const f32, b: *const f32, steps: usize, sums: &mut Sums) {
    macro_rules! with_sums {
        ($($register:tt $index:tt),*) => {
            over_steps!(a, b, steps,
                [$(concat!("vpxord ", $register, ", ", $register, ", ", $register),)*]
                [
                    load!(B "2" first),
                    load!(B "2" second),
                    part!(A "0" ["0"] ["1"] ["2"] ["3"] ["4"]),
                    part!(B "1" ["5"] ["6"] ["7"] ["8"] ["9"]),
                    part!(A "1" ["10"] ["11"] ["12"] ["13"] ["14"]),
                    part!(B "0" ["15"] ["16"] ["17"] ["18"] ["19"]),
                    part!(A "0" ["20"] ["21"] ["22"] ["23"] ["24" "25"]),
                    part!(A "2" ["26"] ["27"] ["28"] ["29"] ["30" "31"]),
                ]
                [$(concat!("vmovaps [{sums} + 64*", $index, "], ", $register),)*]
                sums = in(reg) sums,
                $(out($register) _,)*
                out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
                options(nostack),
            )
        };
    }
    // SAFETY: as for `tiles`; the strip and the panel hold all of their f32, too.
    unsafe {
        with_sums!(
            "zmm0" 0, "zmm1" 1, "zmm2" 2, "zmm3" 3, "zmm4" 4, "zmm5" 5, "zmm6" 6, "zmm7" 7, "zmm8" 8,
            "zmm9" 9, "zmm10" 10, "zmm11" 11, "zmm12" 12, "zmm13" 13, "zmm14" 14, "zmm15" 15
        );
    }
}

// What the offsets in the code above are.
const _: () = assert!(4 * STRIP_VECTORS == 6144 && 4 * PANEL_VECTORS == 6144 && 4 * EDGE * NR == 2048);
