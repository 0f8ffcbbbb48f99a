//! C ← [C +] A·B [+ A₂·B₂]: the one matrix product everything runs on.
//!
//! A and C are f32; B may be stored as f32, bf16 or f16 and is widened while it is packed, so a frozen
//! weight costs its stored size and never exists twice. The second, short product A₂·B₂ rides in the
//! same pass over C: a LoRA update costs r/K of the product it belongs to.
//!
//! On x86-64 with AVX-512 an own kernel runs (`avx512`), elsewhere the `gemm` crate (`portable`).

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
mod elements;
mod portable;
mod shared;
mod vector;

use super::level::{Level, level};
use half::bf16;
#[cfg(target_arch = "x86_64")]
use {crate::with_scratch, bytemuck::cast_slice_mut, rayon::prelude::*};

pub use elements::Elements;
pub use shared::{Shared, gemm_shared};
pub use vector::FEW_ROWS;

/// A strided read-only matrix: element (i, j) is at `i * row_stride + j * col_stride`.
#[derive(Clone, Copy)]
pub struct MatRef<'a> {
    data: Elements<'a>,
    offset: usize,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatRef<'a> {
    /// Rows of `cols` elements, `stride` apart, starting at `data[0]`.
    ///
    /// # Panics
    /// If the last element lies outside of `data`.
    pub fn new(data: Elements<'a>, rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len(),
            "a {rows}x{cols} matrix with row stride {stride} does not fit into {} elements",
            data.len()
        );
        MatRef { data, offset: 0, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// A contiguous row-major f32 matrix.
    pub fn f32(data: &'a [f32], rows: usize, cols: usize) -> Self {
        MatRef::new(Elements::F32(data), rows, cols, cols)
    }

    /// Columns `start..start + cols` of a row-major f32 buffer with rows of `stride`.
    pub fn columns(data: &'a [f32], rows: usize, stride: usize, start: usize, cols: usize) -> Self {
        MatRef::new(Elements::F32(&data[start.min(data.len())..]), rows, cols, stride)
    }

    /// The transposed view.
    pub fn t(self) -> Self {
        MatRef {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `start..start + rows`.
    pub fn row_range(self, start: usize, rows: usize) -> Self {
        assert!(start + rows <= self.rows);
        MatRef { offset: self.offset + start * self.row_stride, rows, ..self }
    }

    /// Columns `start..start + cols`.
    pub fn col_range(self, start: usize, cols: usize) -> Self {
        assert!(start + cols <= self.cols);
        MatRef { offset: self.offset + start * self.col_stride, cols, ..self }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i`, where rows are f32 and lie in one piece.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> Option<&'a [f32]> {
        assert!(i < self.rows);
        match self.data {
            Elements::F32(data) if self.col_stride == 1 => {
                Some(&data[self.offset + i * self.row_stride..][..self.cols])
            }
            _ => None,
        }
    }

    fn get(&self, i: usize, j: usize) -> f32 {
        self.data.get(self.offset + i * self.row_stride + j * self.col_stride)
    }
}

/// A row-major f32 matrix that is written to; rows are `stride` apart.
pub struct MatMut<'a> {
    data: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    lifetime: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: a MatMut is an exclusive borrow of its elements, like `&mut [f32]`.
unsafe impl Send for MatMut<'_> {}
// SAFETY: a shared MatMut gives no safe access to its elements.
unsafe impl Sync for MatMut<'_> {}

impl<'a> MatMut<'a> {
    /// # Panics
    /// If the last element lies outside of `data`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len(),
            "a {rows}x{cols} matrix with row stride {stride} does not fit into {} elements",
            data.len()
        );
        MatMut { data: data.as_mut_ptr(), rows, cols, stride, lifetime: std::marker::PhantomData }
    }

    /// A contiguous matrix.
    pub fn f32(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        MatMut::new(data, rows, cols, cols)
    }

    /// Columns `start..start + cols` of a row-major buffer with rows of `stride`.
    pub fn columns(data: &'a mut [f32], rows: usize, stride: usize, start: usize, cols: usize) -> Self {
        let start = start.min(data.len());
        MatMut::new(&mut data[start..], rows, cols, stride)
    }

    /// A matrix at `data` that other threads may hold other columns of.
    ///
    /// # Safety
    /// All `rows` rows of `cols` floats, `stride` apart, must be valid for writes during `'a`, and nobody
    /// else may access these elements meanwhile.
    pub unsafe fn from_raw(data: *mut f32, rows: usize, cols: usize, stride: usize) -> Self {
        MatMut { data, rows, cols, stride, lifetime: std::marker::PhantomData }
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Columns `start..start + cols`, borrowed.
    ///
    /// # Panics
    /// If they lie outside of the matrix.
    pub fn columns_mut(&mut self, start: usize, cols: usize) -> MatMut<'_> {
        // SAFETY: this matrix is borrowed as long as the part lives.
        unsafe { self.part(0, self.rows, start, cols) }
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        // SAFETY: the row lies inside of this matrix, which is borrowed as long as the row is.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(i * self.stride), self.cols) }
    }

    /// The part with the given rows and columns.
    ///
    /// # Safety
    /// Parts handed out together must not overlap.
    unsafe fn part(&self, row: usize, rows: usize, col: usize, cols: usize) -> MatMut<'a> {
        assert!(row + rows <= self.rows && col + cols <= self.cols);
        // SAFETY: inside of this matrix by the assertion.
        let data = unsafe { self.data.add(row * self.stride + col) };
        MatMut { data, rows, cols, stride: self.stride, lifetime: std::marker::PhantomData }
    }
}

/// How a product combines with what C holds, and how it is computed.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Add to C instead of overwriting it.
    pub accumulate: bool,
    /// A second product A₂·B₂ with a short inner dimension, added in the same pass.
    pub extra: Option<(MatRef<'a>, MatRef<'a>)>,
    /// Round A and B to bf16 and use bf16 dot products where the processor has them (f32 accumulation).
    pub bf16: bool,
}

/// The instruction set that products run on, for `chandler version`.
pub fn kernel_name() -> &'static str {
    match level() {
        Level::Amx => "AVX-512 with AMX tiles",
        Level::Avx512 if has_bf16() => "AVX-512 with bf16 dot products",
        Level::Avx512 => "AVX-512",
        Level::Avx2 => "AVX2",
        Level::Portable => "portable kernels",
    }
}

/// Whether bf16 dot products run in hardware.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx512::bf16_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

fn check(c: &MatMut, a: &MatRef, b: &MatRef, options: &Options) {
    assert!(
        a.rows == c.rows && b.cols == c.cols && a.cols == b.rows,
        "cannot multiply {}x{} by {}x{} into {}x{}",
        a.rows,
        a.cols,
        b.rows,
        b.cols,
        c.rows,
        c.cols
    );
    if let Some((a2, b2)) = &options.extra {
        assert!(
            a2.rows == c.rows && b2.cols == c.cols && a2.cols == b2.rows,
            "the extra product does not fit"
        );
    }
}

/// C ← [C +] A·B [+ A₂·B₂] on all threads of the pool.
///
/// # Panics
/// If the shapes do not fit.
pub fn gemm(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    check(&c, &a, &b, &options);
    if vector::fits(&c, &a, &b, &options) {
        return vector::run(c, a, b, options);
    }
    #[cfg(target_arch = "x86_64")]
    if options.bf16 && avx512::bf16_available() && c.cols >= NARROW_COLS {
        return with_scratch((a.rows * a.cols).div_ceil(2), |scratch| {
            let rounded = &mut cast_slice_mut::<f32, bf16>(scratch)[..a.rows * a.cols];
            narrow(a, rounded);
            let a = MatRef::new(Elements::Bf16(rounded), a.rows, a.cols, a.cols);
            threaded(c, a, b, options);
        });
    }
    threaded(c, a, b, options);
}

/// Columns of C from which on A is rounded to bf16 once, not each time a strip of it is read.
#[cfg(target_arch = "x86_64")]
const NARROW_COLS: usize = 256;

/// Rounds A to bf16, row-major, on all threads.
#[cfg(target_arch = "x86_64")]
fn narrow(a: MatRef, out: &mut [bf16]) {
    const ROWS: usize = 56;
    let blocks = out.par_chunks_mut(ROWS * a.cols.max(1)).enumerate();
    blocks.for_each(|(block, out)| avx512::narrow(a, block * ROWS, out));
}

fn threaded(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    let work = 2.0 * c.rows as f64 * c.cols as f64 * (a.cols as f64 + 8.0);
    let threads = rayon::current_num_threads();
    if threads == 1 || work < 4.0e5 {
        return dispatch(c, a, b, options);
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::available() && avx512::run_on_pool(&c, a, b, options) {
        return;
    }
    split(c, a, b, options, threads);
}

/// The same on the calling thread alone.
pub fn gemm_single(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    check(&c, &a, &b, &options);
    dispatch(c, a, b, options);
}

/// C ← [C +] A·B [+ A₂·B₂], on the calling thread alone if `alone`.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(c: MatMut, a: MatRef, b: MatRef, options: Options, alone: bool) {
    if alone { gemm_single(c, a, b, options) } else { gemm(c, a, b, options) }
}

/// Gives every thread a range of C's columns or rows, whichever wastes less.
fn split(c: MatMut, a: MatRef, b: MatRef, options: Options, threads: usize) {
    const ROWS: usize = 14;
    const COLS: usize = 32;
    let (row_tiles, col_tiles) = (c.rows.div_ceil(ROWS), c.cols.div_ceil(COLS));
    let waste = |tiles: usize| (tiles.div_ceil(threads) * threads) as f64 / tiles as f64;
    // A thread reads all of the other side: rather the smaller one.
    let by_columns = match c.rows > c.cols {
        true => waste(col_tiles) + 0.05 < waste(row_tiles),
        false => waste(col_tiles) <= waste(row_tiles) + 0.03,
    };
    let (tiles, unit, len) = if by_columns { (col_tiles, COLS, c.cols) } else { (row_tiles, ROWS, c.rows) };
    let per_thread = tiles.div_ceil(threads) * unit;
    (0..len.div_ceil(per_thread)).into_par_iter().with_max_len(1).for_each(|part| {
        let start = part * per_thread;
        let size = per_thread.min(len - start);
        let (part, a, b, extra) = if by_columns {
            // SAFETY: the ranges of different parts do not overlap.
            let part = unsafe { c.part(0, c.rows, start, size) };
            let extra = options.extra.map(|(a2, b2)| (a2, b2.col_range(start, size)));
            (part, a, b.col_range(start, size), extra)
        } else {
            // SAFETY: as above.
            let part = unsafe { c.part(start, size, 0, c.cols) };
            let extra = options.extra.map(|(a2, b2)| (a2.row_range(start, size), b2));
            (part, a.row_range(start, size), b, extra)
        };
        dispatch(part, a, b, Options { extra, ..options });
    });
}

fn dispatch(c: MatMut, a: MatRef, b: MatRef, options: Options) {
    if c.rows == 0 || c.cols == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if avx512::available() {
        return match options.extra {
            Some((a2, b2)) if a2.cols > avx512::MAX_EXTRA => {
                // SAFETY: the first product is complete before the second one begins.
                let again = unsafe { c.part(0, c.rows, 0, c.cols) };
                avx512::run(c, a, b, Options { extra: None, ..options });
                avx512::run(again, a2, b2, Options { extra: None, accumulate: true, ..options });
            }
            _ => avx512::run(c, a, b, options),
        };
    }
    portable::run(c, a, b, options);
}

#[cfg(test)]
mod tests;
