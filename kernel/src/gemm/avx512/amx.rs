//! Products of bf16 on the tile registers of Intel's AMX: 2×2 tiles of C, 32×32 elements.
//!
//! A tile holds 16 rows of 64 bytes. One instruction multiplies 16 rows of A (32 consecutive k each) by 16 rows
//! of B, each of 16 columns with a pair of k: the layout that panels have anyway (Intel 64 and IA-32
//! Architectures Software Developer's Manual, volume 1, chapter 18, "Programming with Intel AMX").
//! The instructions are written out, since the intrinsics for them are not stable.

use std::arch::asm;
use std::arch::x86_64::*;

use super::load::mask;
use super::tile::{Panel, Strip, Tile};
use super::{Kernel, NR};
use crate::level::{self, Level};

/// Rows and columns of a tile of C, and lanes (pairs of k) of a tile of A or B.
pub(super) const EDGE: usize = 16;

/// bf16 products on tile registers.
pub(super) struct Tiles;

impl Kernel for Tiles {
    const PAIRS: bool = true;
    const ROWS: usize = 2 * EDGE;
    const UNIT: usize = EDGE;

    fn begin() {
        configure();
    }

    fn end() {
        release();
    }

    unsafe fn run(tile: &Tile, rows: usize, strips: &[Strip; 2], panel: Panel) {
        // SAFETY: strips and panel hold whole tiles; the tile of C lies inside of it.
        unsafe {
            tile.product(rows, |tall, wide, out, stride, accumulate| match (tall, wide) {
                (true, true) => product::<true, true>(out, stride, accumulate, strips, panel),
                (true, false) => product::<true, false>(out, stride, accumulate, strips, panel),
                (false, true) => product::<false, true>(out, stride, accumulate, strips, panel),
                (false, false) => product::<false, false>(out, stride, accumulate, strips, panel),
            });
        }
    }
}

/// Gives this thread eight tiles of 16 rows of 64 bytes.
pub(super) fn configure() {
    /// What LDTILECFG reads.
    #[repr(C, align(64))]
    struct Shapes {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }
    const SHAPES: Shapes = {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            (row_bytes[tile], rows[tile]) = (64, EDGE as u8);
            tile += 1;
        }
        Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
    };
    // SAFETY: 64 bytes are read; the processor has AMX, or no kernel of tiles is chosen.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &SHAPES, options(nostack, readonly)) };
}

/// Gives the tiles back.
pub(super) fn release() {
    // SAFETY: as in `configure`.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// C's tiles where C itself ends before they do.
#[repr(align(64))]
struct Whole([f32; 4 * EDGE * EDGE]);

impl Tile {
    /// Runs a product of whole tiles, `tall` if there are two of rows and `wide` if two of columns, in C itself
    /// where it has room for them.
    ///
    /// `run(tall, wide, out, stride, accumulate)` writes the tiles it is asked for to `out`.
    pub(super) unsafe fn product(&self, rows: usize, run: impl FnOnce(bool, bool, *mut f32, usize, bool)) {
        if rows == 2 * EDGE && self.cols == NR {
            return run(true, true, self.out, self.stride, self.accumulate);
        }
        let mut whole = Whole([0.0; 4 * EDGE * EDGE]);
        let out = whole.0.as_mut_ptr();
        run(rows > EDGE, self.cols > EDGE, out, NR, false);
        // SAFETY: the processor has AVX-512 if it has tiles; rows and columns lie inside of C.
        unsafe { self.take(rows, out) };
    }

    /// Writes the rows and columns that there are of a whole register tile.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn take(&self, rows: usize, whole: *const f32) {
        for row in 0..rows {
            for col in (0..self.cols).step_by(16) {
                let lanes = mask(self.cols - col);
                // SAFETY: masked to the columns of C; `whole` holds rows of NR.
                unsafe {
                    let out = self.out.add(row * self.stride + col);
                    let mut sum = _mm512_loadu_ps(whole.add(row * NR + col));
                    if self.accumulate {
                        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes, out));
                    }
                    _mm512_mask_storeu_ps(out, lanes, sum);
                }
            }
        }
    }
}

/// C ← [C +] the strips, one after the other, by the panel. `TALL` products have two tiles of rows, `WIDE`
/// ones two of columns; what they lack is neither read nor written.
///
/// tmm0 to tmm3 hold C (row by row), tmm4 and tmm5 A, tmm6 and tmm7 B.
unsafe fn product<const TALL: bool, const WIDE: bool>(
    out: *mut f32,
    stride: usize,
    accumulate: bool,
    strips: &[Strip; 2],
    panel: Panel,
) {
    // SAFETY: the caller's strips, panel and C hold whole tiles. No code between these calls touches tile
    // registers: the compiler knows none.
    unsafe {
        load_sums::<TALL, WIDE>(out, stride, accumulate);
        let [main, extra] = strips;
        add::<TALL, WIDE>(main, panel);
        let start = panel.start.wrapping_add(main.depth * panel.stride);
        add::<TALL, WIDE>(extra, Panel { start, ..panel });
        store_sums::<TALL, WIDE>(out, stride);
    }
}

/// Adds the product of a strip and a panel to the sums in tmm0 to tmm3.
pub(super) unsafe fn add<const TALL: bool, const WIDE: bool>(strip: &Strip, panel: Panel) {
    let Strip { start, stride, depth, .. } = *strip;
    if depth == 0 {
        return;
    }
    let (a_step, b_step) = (4 * stride, 4 * panel.stride);
    let low_a = start.wrapping_add(EDGE * stride);
    // Panels stream from the L2 cache: what is needed two steps on is asked for between the instructions
    // on tiles. Where another process keeps the core's second thread busy, those take 1.6 times as long
    // if they follow each other directly.
    macro_rules! steps {
        ($($line:literal)*) => {
            // SAFETY: the caller's strip and panel hold the whole tiles that are read.
            unsafe { asm!(
                "2:",
                "lea {ahead}, [{b} + 4096]",
                $(
                    $line,
                    "prefetcht0 [{ahead}]",
                    "prefetcht0 [{ahead} + 64]",
                    "prefetcht0 [{ahead} + 128]",
                    "prefetcht0 [{ahead} + 192]",
                    "add {ahead}, 256",
                )*
                "add {a}, 64",
                "add {low_a}, 64",
                "add {b}, {step}",
                "dec {left}",
                "jnz 2b",
                a = inout(reg) start => _,
                low_a = inout(reg) low_a => _,
                b = inout(reg) panel.start => _,
                ahead = out(reg) _,
                left = inout(reg) depth / EDGE => _,
                a_step = in(reg) a_step,
                b_step = in(reg) b_step,
                step = in(reg) EDGE * b_step,
                options(nostack, readonly),
            ) }
        };
    }
    match (TALL, WIDE) {
        (true, true) => steps!(
            "tileloadd tmm6, [{b} + {b_step}]"
            "tileloadd tmm4, [{a} + {a_step}]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm7, [{b} + {b_step} + 64]"
            "tdpbf16ps tmm1, tmm4, tmm7"
            "tileloadd tmm5, [{low_a} + {a_step}]"
            "tdpbf16ps tmm2, tmm5, tmm6"
            "tdpbf16ps tmm3, tmm5, tmm7"
        ),
        (true, false) => steps!(
            "tileloadd tmm6, [{b} + {b_step}]"
            "tileloadd tmm4, [{a} + {a_step}]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm5, [{low_a} + {a_step}]"
            "tdpbf16ps tmm2, tmm5, tmm6"
        ),
        (false, true) => steps!(
            "tileloadd tmm6, [{b} + {b_step}]"
            "tileloadd tmm4, [{a} + {a_step}]"
            "tdpbf16ps tmm0, tmm4, tmm6"
            "tileloadd tmm7, [{b} + {b_step} + 64]"
            "tdpbf16ps tmm1, tmm4, tmm7"
        ),
        (false, false) => steps!(
            "tileloadd tmm6, [{b} + {b_step}]"
            "tileloadd tmm4, [{a} + {a_step}]"
            "tdpbf16ps tmm0, tmm4, tmm6"
        ),
    }
}

/// Starts the sums in tmm0 to tmm3 from C or from nothing.
pub(super) unsafe fn load_sums<const TALL: bool, const WIDE: bool>(
    out: *mut f32,
    stride: usize,
    accumulate: bool,
) {
    let step = 4 * stride;
    let low = out.wrapping_add(EDGE * stride);
    // SAFETY: the caller's C holds the tiles that are read.
    unsafe {
        if !accumulate {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
            return;
        }
        asm!("tileloadd tmm0, [{c} + {step}]", c = in(reg) out, step = in(reg) step, options(nostack, readonly));
        if WIDE {
            asm!("tileloadd tmm1, [{c} + {step} + 64]", c = in(reg) out, step = in(reg) step, options(nostack, readonly));
        }
        if TALL {
            asm!("tileloadd tmm2, [{c} + {step}]", c = in(reg) low, step = in(reg) step, options(nostack, readonly));
        }
        if TALL && WIDE {
            asm!("tileloadd tmm3, [{c} + {step} + 64]", c = in(reg) low, step = in(reg) step, options(nostack, readonly));
        }
    }
}

/// Writes the sums to C.
pub(super) unsafe fn store_sums<const TALL: bool, const WIDE: bool>(out: *mut f32, stride: usize) {
    let step = 4 * stride;
    let low = out.wrapping_add(EDGE * stride);
    // SAFETY: the caller's C holds the tiles that are written.
    unsafe {
        asm!("tilestored [{c} + {step}], tmm0", c = in(reg) out, step = in(reg) step, options(nostack));
        if WIDE {
            asm!("tilestored [{c} + {step} + 64], tmm1", c = in(reg) out, step = in(reg) step, options(nostack));
        }
        if TALL {
            asm!("tilestored [{c} + {step}], tmm2", c = in(reg) low, step = in(reg) step, options(nostack));
        }
        if TALL && WIDE {
            asm!("tilestored [{c} + {step} + 64], tmm3", c = in(reg) low, step = in(reg) step, options(nostack));
        }
    }
}

pub(crate) fn available() -> bool {
    level::has(Level::Amx)
}

/// Whether the processor has AMX with bf16, and the operating system lets this process use it.
pub(crate) fn detected() -> bool {
    let vectors = pulp::x86::V4::try_new().is_some() && is_x86_feature_detected!("avx512bf16");
    vectors && has_tiles() && permitted()
}

/// The processor's own word (leaf 7 of CPUID), and the operating system's (XCR0).
fn has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const OSXSAVE: u32 = 1 << 27;
    const TILE_STATES: u64 = 0b11 << 17;
    #[target_feature(enable = "xsave")]
    fn states() -> u64 {
        // SAFETY: register 0 exists where XSAVE does.
        unsafe { _xgetbv(0) }
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: OSXSAVE says that XGETBV may be used.
    features & AMX_BF16 != 0
        && features & AMX_TILE != 0
        && __cpuid(1).ecx & OSXSAVE != 0
        && unsafe { states() } & TILE_STATES == TILE_STATES
}

/// Linux grants the tiles' registers, 8 KiB a thread, to processes that ask
/// (Documentation/arch/x86/xstate.rst).
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}
