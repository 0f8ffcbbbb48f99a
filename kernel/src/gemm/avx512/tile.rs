//! The inner kernel: a register tile of C from a strip of A and a panel of B.

use std::arch::asm;
use std::arch::x86_64::*;

use super::load::mask;
use super::{Kernel, MR};

/// Lanes of a strip of A: lane l of row i is at `start[i * stride + l * step]`. Only f32 has steps other than one.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub start: *const f32,
    pub stride: usize,
    pub step: usize,
    pub depth: usize,
}

impl Strip {
    pub(super) const NONE: Strip = Strip { start: std::ptr::null(), stride: 0, step: 1, depth: 0 };
}

/// 32 columns of B: those of lane row l are at `start[l * stride..]`.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub start: *const f32,
    pub stride: usize,
}

/// Where a register tile goes.
pub(super) struct Tile {
    pub out: *mut f32,
    pub stride: usize,
    pub accumulate: bool,
    pub cols: usize,
}

/// f32.
pub(super) struct Single;
/// Dot products of bf16 pairs.
pub(super) struct Pairs;

/// Bytes from the first row of a strip to each: one addition a row.
///
/// Left to itself, the compiler adds the stride for each row in turn: a chain as long as a step of the inner kernel.
/// Odd multiples of the stride take a register each; the others are one of those times 2, 4 or 8, as addresses may be.
#[inline(always)]
fn offsets(stride: usize) -> [usize; MR] {
    let one = stride * size_of::<f32>();
    let [mut three, mut five, mut seven, mut nine, mut eleven, mut thirteen] =
        [3 * one, 5 * one, 7 * one, 9 * one, 11 * one, 13 * one];
    // SAFETY: no instructions. The compiler forgets what the multiples have to do with each other.
    unsafe {
        asm!(
            "/* {0} {1} {2} {3} {4} {5} */",
            inout(reg) three, inout(reg) five, inout(reg) seven,
            inout(reg) nine, inout(reg) eleven, inout(reg) thirteen,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    let [two, four, six, eight, ten, twelve] =
        [one << 1, one << 2, three << 1, one << 3, five << 1, three << 2];
    [0, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen]
}

/// Calls the function for so many rows and vectors.
macro_rules! by_rows {
    ($function:ident, $tile:ident, $rows:ident, $strips:ident, $panel:ident: $($n:literal)*) => {
        match ($rows, $tile.cols > 16) {
            $(($n, true) => $tile.$function::<$n, 2>($strips, $panel),
            ($n, false) => $tile.$function::<$n, 1>($strips, $panel),)*
            _ => {}
        }
    };
}

impl Kernel for Single {
    const PAIRS: bool = false;
    const ROWS: usize = MR;
    const UNIT: usize = 1;

    unsafe fn run(tile: &Tile, rows: usize, strips: &[Strip; 2], panel: Panel) {
        // SAFETY: as the trait demands.
        unsafe { by_rows!(single, tile, rows, strips, panel: 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }
}

impl Kernel for Pairs {
    const PAIRS: bool = true;
    const ROWS: usize = MR;
    const UNIT: usize = 1;

    unsafe fn run(tile: &Tile, rows: usize, strips: &[Strip; 2], panel: Panel) {
        // SAFETY: as the trait demands.
        unsafe { by_rows!(pairs, tile, rows, strips, panel: 1 2 3 4 5 6 7 8 9 10 11 12 13 14) }
    }
}

impl Tile {
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
            for Strip { mut start, stride, step: lane, depth } in *strips {
                let offsets = offsets(stride);
                for _ in 0..depth {
                    let b: [__m512; VECTORS] = std::array::from_fn(
                        #[inline(always)]
                        |v| _mm512_loadu_ps(panel.add(16 * v)),
                    );
                    panel = panel.wrapping_add(step);
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let a = _mm512_set1_ps(*start.wrapping_byte_add(offsets[i]));
                        for v in 0..VECTORS {
                            sums[v] = _mm512_fmadd_ps(a, b[v], sums[v]);
                        }
                    }
                    start = start.wrapping_add(lane);
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
            for Strip { mut start, stride, depth, .. } in *strips {
                let offsets = offsets(stride);
                for _ in 0..depth {
                    let b: [__m512bh; VECTORS] = std::array::from_fn(
                        #[inline(always)]
                        |v| std::mem::transmute(_mm512_loadu_ps(panel.add(16 * v))),
                    );
                    panel = panel.wrapping_add(step);
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let lane = start.wrapping_byte_add(offsets[i]).cast::<i32>().read_unaligned();
                        let a: __m512bh = std::mem::transmute(_mm512_set1_epi32(lane));
                        for v in 0..VECTORS {
                            sums[v] = _mm512_dpbf16_ps(sums[v], a, b[v]);
                        }
                    }
                    start = start.wrapping_add(1);
                }
            }
            self.store(&sums);
        }
    }

    /// Inlined into functions of the right target: called, it would take all sums through memory.
    #[inline(always)]
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
