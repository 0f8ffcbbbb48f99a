//! Frozen quantised weights: the layouts that checkpoints come in, behind one trait.
//!
//! A layout's file holds its reader: the packed tensors of one linear map, found by the ends of their names
//! ([`Parts`]), become a [`QuantizedWeight`]. [`Scheme`] chooses the reader by the `quantization_config` of a
//! model's `config.json`. [`Ggml`] holds the blocks of GGUF files.

mod aqlm;
mod awq;
mod bits;
pub mod bnb;
mod ggml;
mod gptq;
mod parts;
mod product;

use std::fmt::{self, Debug};
use std::ops::Range;

use candle_core::Tensor;

use crate::Result;
use crate::families::Config;
use crate::kernel::uninit;
use crate::tensor::from_vec;

pub use aqlm::Aqlm;
pub use awq::Awq;
pub use ggml::{BlockType, Ggml};
pub use gptq::Gptq;
pub use parts::Parts;
pub(crate) use product::{by, by_transposed};

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
        let (rows, dim) = self.dims();
        let mut values = uninit(rows * dim);
        product::dequantize(self, 0, &mut values, false);
        from_vec(values, (rows, dim))
    }
}

impl fmt::Display for Scheme {
    /// The name in `quant_method`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Bnb(_) => "bitsandbytes",
            Scheme::Gptq(_) => "gptq",
            Scheme::Awq(_) => "awq",
            Scheme::Aqlm(_) => "aqlm",
        })
    }
}

/// How a checkpoint's linear maps are packed, as its `quantization_config` says.
#[derive(Clone, Debug, PartialEq)]
pub enum Scheme {
    /// bitsandbytes: NF4, FP4 or int8.
    Bnb(bnb::Settings),
    /// GPTQ, of 2, 3, 4 or 8 bits.
    Gptq(gptq::Settings),
    /// AWQ, of 4 bits.
    Awq(awq::Settings),
    /// AQLM, sums of codebook vectors.
    Aqlm(aqlm::Settings),
}

impl Scheme {
    /// Reads the `quantization_config` of a `config.json`.
    ///
    /// # Errors
    /// If the method, or a variant of it, is not supported: the message names the key.
    pub fn read(config: &Config) -> Result<Scheme> {
        let by_bits = ["load_in_4bit", "load_in_8bit"].iter().any(|key| config.get(key).is_some());
        // bitsandbytes was the first one, and did not name itself.
        let method = if config.get("quant_method").is_none() && by_bits {
            "bitsandbytes"
        } else {
            config.text("quant_method")?
        };
        match method {
            "bitsandbytes" => Ok(Scheme::Bnb(bnb::Settings::read(config)?)),
            "gptq" => Ok(Scheme::Gptq(gptq::Settings::read(config)?)),
            "awq" => Ok(Scheme::Awq(awq::Settings::read(config)?)),
            "aqlm" => Ok(Scheme::Aqlm(aqlm::Settings::read(config)?)),
            other => {
                let message = format!(
                    "says that the weights are quantised by `{other}`, which is not supported; bitsandbytes, gptq, awq \
                     and aqlm are. Or use the model in f32, f16 or bf16"
                );
                Err(config.error("quantization_config", message))
            }
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
