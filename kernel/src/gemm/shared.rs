//! A matrix B that several products of one thread share.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::{MatMut, MatRef, Options, check, dispatch};

/// A matrix B, or a part of it, packed once for all products where their kernels read it packed.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    b: MatRef<'a>,
    /// Use bf16 dot products, as in [`Options`].
    bf16: bool,
    /// Row and column of the packed matrix at which this part begins.
    start: (usize, usize),
    #[cfg(target_arch = "x86_64")]
    panels: Option<avx512::Panels<'a>>,
}

impl<'a> Shared<'a> {
    /// Parts begin at multiples of this; rows of f32 products anywhere.
    pub const UNIT: usize = 32;

    /// Floats of the work area for a matrix of this size.
    pub fn area(rows: usize, cols: usize) -> usize {
        #[cfg(target_arch = "x86_64")]
        if avx512::available() {
            return avx512::Panels::len(rows, cols);
        }
        let _ = (rows, cols);
        0
    }

    /// Packs B into a work area.
    ///
    /// # Panics
    /// If the area is smaller than [`Shared::area`].
    pub fn pack(b: MatRef<'a>, bf16: bool, area: &'a mut [f32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if avx512::available() {
            // SAFETY: the processor has the instructions.
            let panels = unsafe { avx512::Panels::pack(b, bf16 && avx512::bf16_available(), area) };
            return Shared { panels: Some(panels), ..Shared::plain(b, bf16) };
        }
        let _ = area;
        Shared::plain(b, bf16)
    }

    /// B as it lies, for a single product.
    pub fn plain(b: MatRef<'a>, bf16: bool) -> Self {
        Shared {
            b,
            bf16,
            start: (0, 0),
            #[cfg(target_arch = "x86_64")]
            panels: None,
        }
    }

    /// Rows `start..start + rows`.
    pub fn row_range(self, start: usize, rows: usize) -> Self {
        Shared { b: self.b.row_range(start, rows), start: (self.start.0 + start, self.start.1), ..self }
    }

    /// Columns `start..start + cols`.
    pub fn col_range(self, start: usize, cols: usize) -> Self {
        Shared { b: self.b.col_range(start, cols), start: (self.start.0, self.start.1 + start), ..self }
    }
}

/// C ← [C +] A·B on the calling thread.
///
/// # Panics
/// If the shapes do not fit, or a packed part of B begins between its units.
pub fn gemm_shared(c: MatMut, a: MatRef, b: Shared, accumulate: bool) {
    let options = Options { accumulate, bf16: b.bf16, ..Options::default() };
    check(&c, &a, &b.b, &options);
    #[cfg(target_arch = "x86_64")]
    if let Some(panels) = b.panels {
        return panels.multiply(c, a, b.start, accumulate);
    }
    dispatch(c, a, b.b, options);
}
