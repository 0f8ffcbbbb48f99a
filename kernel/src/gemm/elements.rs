//! The elements of a matrix in the type that they are stored in.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::simd;

/// Stored elements of a matrix.
#[derive(Clone, Copy)]
pub enum Elements<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// The upper half of single precision.
    Bf16(&'a [bf16]),
    /// IEEE half precision.
    F16(&'a [f16]),
}

impl Elements<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Elements::F32(data) => data.len(),
            Elements::Bf16(data) => data.len(),
            Elements::F16(data) => data.len(),
        }
    }

    /// Widens the elements from `start` on into `out`.
    pub fn copy_to(&self, start: usize, out: &mut [f32]) {
        let range = start..start + out.len();
        match self {
            Elements::F32(data) => out.copy_from_slice(&data[range]),
            // The upper half of an f32: the crate's conversion looks at each for what is not a number.
            Elements::Bf16(data) => simd(
                #[inline(always)]
                || {
                    let widened = |x: &bf16| f32::from_bits(u32::from(x.to_bits()) << 16);
                    out.iter_mut().zip(&data[range]).for_each(|(y, x)| *y = widened(x));
                },
            ),
            Elements::F16(data) => data[range].convert_to_f32_slice(out),
        }
    }

    /// The element at `index`, widened.
    pub fn get(&self, index: usize) -> f32 {
        match self {
            Elements::F32(data) => data[index],
            Elements::Bf16(data) => data[index].to_f32(),
            Elements::F16(data) => data[index].to_f32(),
        }
    }
}
