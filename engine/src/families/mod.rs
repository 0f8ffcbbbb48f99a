//! Model families as data.
//!
//! A family reads its `config.json` into a [`DecoderSpec`] and says how its tensors are named. The
//! forward pass is the one in [`crate::model`]; what a family needs of it is a field of the spec.

mod config;
mod llama;
mod rope;
mod spec;

pub use config::Config;
pub use rope::{RopeScaling, RopeSpec};
pub use spec::{DecoderSpec, Names};

use crate::Result;

/// Reads a family's configuration.
type Family = fn(&Config) -> Result<DecoderSpec>;

/// Families by `model_type`.
const FAMILIES: &[(&str, Family)] = &[("llama", llama::llama), ("smollm3", llama::smollm3)];

/// Reads a configuration.
///
/// # Errors
/// Names the key that is missing or wrong, or the model types that are known.
pub fn read(config: &Config) -> Result<DecoderSpec> {
    let model_type = config.text("model_type")?;
    match FAMILIES.iter().find(|(name, _)| *name == model_type) {
        Some((_, family)) => {
            let spec = family(config)?;
            spec.check(config)?;
            Ok(spec)
        }
        None => {
            let known: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
            Err(config.error("model_type", format!("is `{model_type}`; supported are {}", known.join(", "))))
        }
    }
}
