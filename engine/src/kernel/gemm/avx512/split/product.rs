//! A tile of C from a strip and a panel in parts.

use std::arch::asm;

use super::super::amx::{load_sums, store_sums};
use super::{EDGE, NR, PANEL_STEP, PANEL_VECTORS, STRIP_STEP, STRIP_VECTORS, TILE_ROWS, Tile, VECTOR_ROWS};

/// A tile of C, of up to 40 rows.
pub(super) unsafe fn product(tile: &Tile, rows: usize, a: *const f32, b: *const f32, steps: usize) {
    // SAFETY: strip and panel hold the steps; the tile lies inside of C.
    unsafe {
        if rows <= TILE_ROWS {
            return tile.product(rows, |tall, _, out, stride, accumulate| match tall {
                true => tiles::<true>(out, stride, accumulate, a, b, steps),
                false => tiles::<false>(out, stride, accumulate, a, b, steps),
            });
        }
        let mut sums = Sums([[0.0; NR]; VECTOR_ROWS]);
        tile.product(TILE_ROWS, |_, _, out, stride, accumulate| {
            tiles_and_vectors(out, stride, accumulate, a, b, steps, &mut sums);
        });
        let out = tile.out.wrapping_add(TILE_ROWS * tile.stride);
        Tile { out, ..*tile }.take(rows - TILE_ROWS, sums.0.as_ptr().cast());
    }
}

/// C ← [C +] the strip by the panel, see [`super::amx`] for the registers. `TALL` products have two tiles of rows.
unsafe fn tiles<const TALL: bool>(
    out: *mut f32,
    stride: usize,
    accumulate: bool,
    a: *const f32,
    b: *const f32,
    steps: usize,
) {
    // Tiles of A and B with their places in a part, of 2 KiB, and the products of these. The parts follow each
    // other so that from one to the next only one side is loaded.
    macro_rules! run {
        (A $($a:literal $a_at:literal)*, B $($b:literal $b_at:literal)*, C $($c:literal)*) => {
            asm!(
                "2:",
                $(concat!("tileloadd ", $b, ", [{b} + {b_row} + 4096 + ", $b_at, "]"),)*
                $(concat!("tileloadd ", $a, ", [{a} + {a_row} + ", $a_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                $(concat!("tileloadd ", $b, ", [{b} + {b_row} + 2048 + ", $b_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                $(concat!("tileloadd ", $a, ", [{a} + {a_row} + 2048 + ", $a_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                $(concat!("tileloadd ", $b, ", [{b} + {b_row} + ", $b_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                $(concat!("tileloadd ", $a, ", [{a} + {a_row} + ", $a_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                $(concat!("tileloadd ", $a, ", [{a} + {a_row} + 4096 + ", $a_at, "]"),)*
                $(concat!("tdpbf16ps ", $c),)*
                "add {a}, {a_step}",
                "add {b}, {b_step}",
                "dec {steps}",
                "jnz 2b",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                a_row = in(reg) 4 * EDGE,
                b_row = in(reg) 4 * NR,
                a_step = const 4 * STRIP_STEP,
                b_step = const 4 * PANEL_STEP,
                options(nostack, readonly),
            )
        };
    }
    // SAFETY: the caller's strip, panel and C hold whole tiles. No code between these blocks touches tile
    // registers: the compiler knows none.
    unsafe {
        load_sums::<TALL, true>(out, stride, accumulate);
        if TALL && steps > 0 {
            run!(
                A "tmm4" "0" "tmm5" "1024",
                B "tmm6" "0" "tmm7" "64",
                C "tmm0, tmm4, tmm6" "tmm1, tmm4, tmm7" "tmm2, tmm5, tmm6" "tmm3, tmm5, tmm7"
            )
        } else if steps > 0 {
            run!(A "tmm4" "0", B "tmm6" "0" "tmm7" "64", C "tmm0, tmm4, tmm6" "tmm1, tmm4, tmm7")
        }
        store_sums::<TALL, true>(out, stride);
    }
}

/// Sums of the rows for vectors.
#[repr(align(64))]
struct Sums([[f32; NR]; VECTOR_ROWS]);

/// A whole strip by the panel: the tiles as in [`tiles`], and the 8 rows after them into `sums`.
///
/// zmm0 to zmm15 hold the sums, row by row, zmm16 and zmm17 a row of the panel.
unsafe fn tiles_and_vectors(
    out: *mut f32,
    stride: usize,
    accumulate: bool,
    a: *const f32,
    b: *const f32,
    steps: usize,
    sums: &mut Sums,
) {
    // Loads the tiles of a part of A or B.
    macro_rules! a {
        ($part:literal) => {
            concat!("tileloadd tmm4, [{a} + {a_row} + 2048*", $part, "]")
        };
        ($part:literal low) => {
            concat!("tileloadd tmm5, [{a} + {a_row} + 2048*", $part, " + 1024]")
        };
    }
    macro_rules! b {
        ($part:literal) => {
            concat!("tileloadd tmm6, [{b} + {b_row} + 2048*", $part, "]")
        };
        ($part:literal right) => {
            concat!("tileloadd tmm7, [{b} + {b_row} + 2048*", $part, " + 64]")
        };
    }
    // Adds row k of the panel times column k of the eight rows.
    macro_rules! v {
        ($k:literal) => {
            v!($k "0" "0" "1" "18", "1" "2" "3" "19", "2" "4" "5" "18", "3" "6" "7" "19",
                "4" "8" "9" "18", "5" "10" "11" "19", "6" "12" "13" "18", "7" "14" "15" "19")
        };
        ($k:literal $($row:literal $left:literal $right:literal $factor:literal),*) => {
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
    // SAFETY: as for `tiles`; the strip and the panel hold all of their f32, too.
    unsafe {
        load_sums::<true, true>(out, stride, accumulate);
        if steps > 0 {
            asm!(
                "vpxord zmm0, zmm0, zmm0",
                "vpxord zmm1, zmm1, zmm1",
                "vpxord zmm2, zmm2, zmm2",
                "vpxord zmm3, zmm3, zmm3",
                "vpxord zmm4, zmm4, zmm4",
                "vpxord zmm5, zmm5, zmm5",
                "vpxord zmm6, zmm6, zmm6",
                "vpxord zmm7, zmm7, zmm7",
                "vpxord zmm8, zmm8, zmm8",
                "vpxord zmm9, zmm9, zmm9",
                "vpxord zmm10, zmm10, zmm10",
                "vpxord zmm11, zmm11, zmm11",
                "vpxord zmm12, zmm12, zmm12",
                "vpxord zmm13, zmm13, zmm13",
                "vpxord zmm14, zmm14, zmm14",
                "vpxord zmm15, zmm15, zmm15",
                "2:",
                b!("2"),
                b!("2" right),
                v!("0"),
                a!("0"),
                v!("1"),
                a!("0" low),
                "tdpbf16ps tmm0, tmm4, tmm6",
                v!("2"),
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("3"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("4"),
                b!("1"),
                v!("5"),
                b!("1" right),
                v!("6"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("7"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                v!("8"),
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("9"),
                a!("1"),
                v!("10"),
                a!("1" low),
                v!("11"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("12"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                v!("13"),
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("14"),
                b!("0"),
                v!("15"),
                b!("0" right),
                v!("16"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("17"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                v!("18"),
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("19"),
                a!("0"),
                v!("20"),
                a!("0" low),
                v!("21"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                v!("22"),
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("23"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                v!("24"),
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("25"),
                a!("2"),
                v!("26"),
                a!("2" low),
                v!("27"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                v!("28"),
                "tdpbf16ps tmm1, tmm4, tmm7",
                v!("29"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                v!("30"),
                "tdpbf16ps tmm3, tmm5, tmm7",
                v!("31"),
                "add {a}, {a_step}",
                "add {b}, {b_step}",
                "dec {steps}",
                "jnz 2b",
                "vmovaps [{sums} + 64*0], zmm0",
                "vmovaps [{sums} + 64*1], zmm1",
                "vmovaps [{sums} + 64*2], zmm2",
                "vmovaps [{sums} + 64*3], zmm3",
                "vmovaps [{sums} + 64*4], zmm4",
                "vmovaps [{sums} + 64*5], zmm5",
                "vmovaps [{sums} + 64*6], zmm6",
                "vmovaps [{sums} + 64*7], zmm7",
                "vmovaps [{sums} + 64*8], zmm8",
                "vmovaps [{sums} + 64*9], zmm9",
                "vmovaps [{sums} + 64*10], zmm10",
                "vmovaps [{sums} + 64*11], zmm11",
                "vmovaps [{sums} + 64*12], zmm12",
                "vmovaps [{sums} + 64*13], zmm13",
                "vmovaps [{sums} + 64*14], zmm14",
                "vmovaps [{sums} + 64*15], zmm15",
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                a_row = in(reg) 4 * EDGE,
                b_row = in(reg) 4 * NR,
                a_step = const 4 * STRIP_STEP,
                b_step = const 4 * PANEL_STEP,
                sums = in(reg) sums,
                out("zmm0") _,
                out("zmm1") _,
                out("zmm2") _,
                out("zmm3") _,
                out("zmm4") _,
                out("zmm5") _,
                out("zmm6") _,
                out("zmm7") _,
                out("zmm8") _,
                out("zmm9") _,
                out("zmm10") _,
                out("zmm11") _,
                out("zmm12") _,
                out("zmm13") _,
                out("zmm14") _,
                out("zmm15") _,
                out("zmm16") _,
                out("zmm17") _,
                out("zmm18") _,
                out("zmm19") _,
                options(nostack),
            );
        }
        store_sums::<true, true>(out, stride);
    }
}

// What the offsets in the code above are.
const _: () = assert!(4 * STRIP_VECTORS == 6144 && 4 * PANEL_VECTORS == 6144 && 4 * EDGE * NR == 2048);
