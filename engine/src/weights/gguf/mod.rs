//! GGUF files: configuration from the metadata, weights in their blocks, or dequantised on load.
//!
//! Names and layouts are llama.cpp's; they are turned back into those of Hugging Face, so that everything
//! else (adapters, exports) is the same whichever file a model came from.

mod architectures;
mod file;
mod header;
mod metadata;
mod split;
mod stored;
mod tensors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod types;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use self::architectures::Architecture;
use self::metadata::Metadata;
use self::stored::Stored;
use crate::families::{self, Config, DecoderSpec};
use crate::model::WeightSource;
use crate::quant::QuantizedWeight;
use crate::{Error, Result};

pub use file::GgufFile;
pub use split::is_later_part;

/// Tensors of a GGUF file under their Hugging Face names.
pub struct GgufSource {
    file: GgufFile,
    /// The `config.json` that a folder of this model would hold.
    pub config: Config,
    /// What the metadata mean.
    pub spec: DecoderSpec,
    tensors: HashMap<String, Stored>,
}

impl GgufSource {
    /// Opens a model's file, or that of any of its parts.
    ///
    /// # Errors
    /// Names the part that is missing, or the architecture, key or tensor that is not known.
    pub fn open(path: &Path) -> Result<GgufSource> {
        let file = GgufFile::open(path)?;
        let metadata = Metadata::of(&file);
        let architecture = Architecture::of(&metadata)?;
        let config = architecture.config(&metadata)?;
        let spec = families::read(&config)?;
        let tensors = tensors::tensors(&spec, &file, architecture.pairs);
        // What is not read would be missing from the model without a word.
        let layers = spec.layers.len();
        if let Some(name) = tensors::first_unread(&file, &tensors, layers, architectures::is_divisors) {
            let message = format!("is not known of the architecture `{}`", metadata.architecture);
            return Err(file.wrong(name, message));
        }
        Ok(GgufSource { file, config, spec, tensors })
    }

    /// Bytes of all weights as the file has them; none if no weight of it is made of blocks, which stay so in memory.
    pub fn quantised_bytes(&self) -> Option<u64> {
        let has_blocks = self.file.names().any(|name| self.file.block_type(name).is_some());
        has_blocks.then(|| self.file.names().filter_map(|name| self.file.stored_bytes(name)).sum())
    }
}

impl WeightSource for GgufSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let stored = self.tensors.get(name).ok_or_else(|| {
            Error::file(self.file.path(), format!("has no tensor `{name}`, which its configuration asks for"))
        })?;
        stored.read(&self.file, shape)
    }

    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        let Some(stored) = self.tensors.get(name) else { return Ok(None) };
        Ok(stored.quantised(&self.file, dims)?.map(|weight| Arc::new(weight) as Arc<dyn QuantizedWeight>))
    }

    /// llama.cpp stores weights that are differences from one as their sum with one.
    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        let weight = self.tensor(name, shape)?;
        Ok(if one_plus { (weight - 1.0)? } else { weight })
    }

    /// What the model does not read was refused when the file was opened.
    fn check_read(&self, _spec: &DecoderSpec, _names: &[String]) -> Result<()> {
        Ok(())
    }
}
