//! Frozen quantised weights: the layouts that checkpoints come in, behind one trait.
//!
//! A layout's file holds its reader: the packed tensors of one linear map, found by the ends of their names
//! ([`Parts`]), become a [`QuantizedWeight`]. [`Scheme`] chooses the reader by the `quantization_config` of a
//! model's `config.json`.

mod aqlm;
mod awq;
mod bits;
pub mod bnb;
mod gptq;
mod parts;

use std::fmt::Debug;
use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::Result;
use crate::families::Config;
use crate::kernel::gemm::{MatMut, MatRef, Options, gemm};
use crate::tensor::{from_vec, view};

pub use aqlm::Aqlm;
pub use awq::Awq;
pub use gptq::Gptq;
pub use parts::Parts;

/// Output rows that are dequantised at a time: the panel stays in the cache that the product reads it from.
const PANEL: usize = 64;

/// A frozen weight [out, in] that is stored in fewer bits than it is multiplied in.
pub trait QuantizedWeight: Send + Sync + Debug {
    /// Output and input features.
    fn dims(&self) -> (usize, usize);

    /// Bytes that the packed weight takes.
    fn bytes(&self) -> usize;

    /// Writes the given rows of the weight into `out` [rows, in], row-major.
    ///
    /// # Panics
    /// If `rows` lies outside of the weight or `out` has another length.
    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]);

    /// The whole weight [out, in] in f32.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    fn dequantize(&self) -> Result<Tensor> {
        let (rows, cols) = self.dims();
        let mut weight = vec![0.0; rows * cols];
        weight.par_chunks_mut(PANEL * cols).enumerate().for_each(|(panel, out)| {
            let start = panel * PANEL;
            self.dequantize_rows(start..start + out.len() / cols, out);
        });
        from_vec(weight, (rows, cols))
    }

    /// x·Wᵀ for x [tokens, in]; only a panel of the weight is ever dequantised at once.
    ///
    /// # Errors
    /// If `x` is not a contiguous f32 matrix with as many columns as the weight.
    fn matmul(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, cols) = self.dims();
        let (tokens, dim) = x.dims2()?;
        if dim != cols {
            let message = format!("a weight of shape [{rows}, {cols}] cannot be applied to rows of {dim}");
            return Err(crate::Error::Tensor(candle_core::Error::Msg(message)));
        }
        let x = view(x)?;
        let x = MatRef::f32(x.f32()?, tokens, cols);
        let mut y = vec![0.0; tokens * rows];
        let mut panel = vec![0.0; PANEL * cols];
        for start in (0..rows).step_by(PANEL) {
            let count = PANEL.min(rows - start);
            let weight = &mut panel[..count * cols];
            let band = count.div_ceil(rayon::current_num_threads());
            weight.par_chunks_mut(band * cols).enumerate().for_each(|(index, out)| {
                let first = start + index * band;
                self.dequantize_rows(first..first + out.len() / cols, out);
            });
            let c = MatMut::columns(&mut y, tokens, rows, start, count);
            gemm(c, x, MatRef::f32(weight, count, cols).t(), Options::default());
        }
        from_vec(y, (tokens, rows))
    }
}

/// How a checkpoint's linear maps are packed, as its `quantization_config` says.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    Bnb(bnb::Settings),
    Gptq(gptq::Settings),
    Awq(awq::Settings),
    Aqlm(aqlm::Settings),
}

impl Scheme {
    /// Reads the `quantization_config` of a `config.json`.
    ///
    /// # Errors
    /// If the method, or a variant of it, is not supported: the message names the key.
    pub fn read(config: &Config) -> Result<Scheme> {
        match config.text("quant_method")? {
            "bitsandbytes" => Ok(Scheme::Bnb(bnb::Settings::read(config)?)),
            "gptq" => Ok(Scheme::Gptq(gptq::Settings::read(config)?)),
            "awq" => Ok(Scheme::Awq(awq::Settings::read(config)?)),
            "aqlm" => Ok(Scheme::Aqlm(aqlm::Settings::read(config)?)),
            other => Err(config.error(
                "quant_method",
                format!("is \"{other}\"; bitsandbytes, gptq, awq and aqlm can be read"),
            )),
        }
    }

    /// Whether a linear map is stored packed; some (the output matrix, a router) stay as they were.
    pub fn packs(&self, parts: &Parts<'_>) -> bool {
        match self {
            Scheme::Bnb(_) => bnb::is_packed(parts),
            Scheme::Gptq(_) | Scheme::Awq(_) => parts.has("qweight"),
            Scheme::Aqlm(_) => parts.has("codes"),
        }
    }

    /// The packed weight [out, in] of a linear map.
    ///
    /// # Errors
    /// If a tensor is missing, or its type or shape does not fit; the message names it.
    pub fn load(&self, parts: &Parts<'_>, out: usize, dim: usize) -> Result<Box<dyn QuantizedWeight>> {
        Ok(match self {
            Scheme::Bnb(_) if parts.has("SCB") => Box::new(bnb::Int8::load(parts, out, dim)?),
            Scheme::Bnb(_) => Box::new(bnb::FourBit::load(parts, out, dim)?),
            Scheme::Gptq(settings) => Box::new(Gptq::load(settings, parts, out, dim)?),
            Scheme::Awq(settings) => Box::new(Awq::load(settings, parts, out, dim)?),
            Scheme::Aqlm(settings) => Box::new(Aqlm::load(settings, parts, out, dim)?),
        })
    }
}
