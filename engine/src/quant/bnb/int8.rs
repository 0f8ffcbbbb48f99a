//! LLM.int8: eight bits a weight, one scale a row.

use std::ops::Range;

use crate::Result;
use crate::kernel::simd;
use crate::quant::{Parts, QuantizedWeight};

/// A weight of which each row is scaled to ±127 by its largest magnitude.
#[derive(Debug)]
pub struct Int8 {
    out: usize,
    dim: usize,
    weight: Vec<i8>,
    absmax: Vec<f32>,
}

impl Int8 {
    /// Quantises a weight [out, dim], row-major.
    ///
    /// # Panics
    /// If `weight` has another length.
    pub fn quantize(weight: &[f32], out: usize, dim: usize) -> Int8 {
        assert_eq!(weight.len(), out * dim, "a weight of [{out}, {dim}]");
        let (mut codes, mut absmax) = (Vec::with_capacity(weight.len()), Vec::with_capacity(out));
        for row in weight.chunks_exact(dim.max(1)) {
            let largest = row.iter().fold(0f32, |max, x| max.max(x.abs()));
            // The reciprocal is rounded first, as in the library.
            let scale = if largest > 0.0 { 1.0 / largest * 127.0 } else { 0.0 };
            codes.extend(row.iter().map(|x| (x * scale).round_ties_even() as i8));
            absmax.push(largest);
        }
        Int8 { out, dim, weight: codes, absmax }
    }

    /// # Errors
    /// If a tensor is missing or of the wrong shape, or its rows are stored in a GPU's tiles.
    pub fn load(parts: &Parts<'_>, out: usize, dim: usize) -> Result<Int8> {
        let format = if parts.has("weight_format") { parts.bytes("weight_format")? } else { vec![0] };
        if format.iter().any(|format| *format != 0) {
            let message = "says that the weight is stored in a GPU's tiles; row-major can be read";
            return Err(parts.error("weight_format", message));
        }
        let weight = parts.integers("weight", &[out, dim])?;
        Ok(Int8 {
            out,
            dim,
            weight: weight.into_iter().map(|code| code as i8).collect(),
            absmax: parts.floats_of("SCB", &[out])?,
        })
    }

    /// The codes [out, dim], row-major.
    pub fn codes(&self) -> &[i8] {
        &self.weight
    }

    /// The largest magnitude of each row.
    pub fn absmax(&self) -> &[f32] {
        &self.absmax
    }
}

impl QuantizedWeight for Int8 {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        self.weight.len() + 4 * self.absmax.len()
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let codes = &self.weight[rows.start * self.dim..rows.end * self.dim];
        let lines = out.chunks_exact_mut(self.dim).zip(codes.chunks_exact(self.dim));
        simd(
            #[inline(always)]
            || {
                for ((out, codes), absmax) in lines.zip(&self.absmax[rows]) {
                    for (x, code) in out.iter_mut().zip(codes) {
                        *x = f32::from(*code) * absmax / 127.0;
                    }
                }
            },
        );
    }
}
