//! bitsandbytes: NF4 and FP4 (Dettmers et al. 2023) and row-wise LLM.int8 (Dettmers et al. 2022).
//!
//! Numbers are exact: a checkpoint written by bitsandbytes dequantises to the same f32 values, and quantising gives
//! the bytes that its CPU code gives.

mod codes;
mod four_bit;
mod int8;
mod statistics;

pub use codes::Kind;
pub use four_bit::{FourBit, FourBitSettings, Precision};
pub use int8::Int8;
pub use statistics::Statistics;

use super::Parts;
use crate::Result;
use crate::families::Config;

/// What `quantization_config` says; each packed tensor describes itself beyond that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// int8 rather than four bits.
    pub eight_bit: bool,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Settings> {
        let four = config.flag_or("load_in_4bit", false)? || config.flag_or("_load_in_4bit", false)?;
        let eight = config.flag_or("load_in_8bit", false)? || config.flag_or("_load_in_8bit", false)?;
        match (four, eight) {
            (true, false) => Ok(Settings { eight_bit: false }),
            (false, true) => Ok(Settings { eight_bit: true }),
            _ => Err(config.error("load_in_4bit", "or `load_in_8bit` must be true, and not both")),
        }
    }
}

/// Whether a linear map is stored in one of these layouts.
pub(super) fn is_packed(parts: &Parts<'_>) -> bool {
    parts.has("SCB") || four_bit::KINDS.iter().any(|(kind, _)| parts.has(&four_bit::state_name(kind)))
}
