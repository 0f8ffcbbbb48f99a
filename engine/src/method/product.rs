//! What a run writes: an adapter, or a whole model.

use std::path::Path;

use candle_core::{DType, Tensor};
use serde_json::{Map, Value};

use super::Loaded;
use crate::Result;
use crate::adapter::{Adapter, AdapterConfig, save_adapter};
use crate::autograd::Param;
use crate::model::{ValueHead, WeightSource};
use crate::weights::{FolderSource, GENERATION_CONFIG, save_model, write_json};

/// What a run writes.
pub(crate) enum Product {
    Adapter(AdapterConfig),
    /// The whole model; `dtype` is the one its base was stored in, and `generation` says how it ends what it writes.
    Model {
        config: Map<String, Value>,
        generation: Map<String, Value>,
        dtype: DType,
    },
}

impl Loaded {
    /// Writes the trained weights and the tokenizer; `exact` keeps f32, so that training can go on.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn save(&self, folder: &Path, exact: bool) -> Result<()> {
        match &self.product {
            Product::Adapter(config) => save_adapter(&self.decoder, config, folder)?,
            Product::Model { config, generation, dtype } => {
                save_model(&self.decoder, config, if exact { DType::F32 } else { *dtype }, folder)?;
                write_json(&folder.join(GENERATION_CONFIG), &Value::Object(generation.clone()))?;
            }
        }
        if let Some(head) = &self.value_head {
            head.save(folder)?;
        }
        self.tokenizer.save(folder)?;
        Ok(())
    }

    /// Puts the weights of a checkpoint in the place of the trained ones.
    ///
    /// # Errors
    /// If they cannot be read, or are of another shape.
    pub(crate) fn restore(&self, checkpoint: &Path) -> Result<()> {
        if let Some(head) = &self.value_head {
            let saved = ValueHead::read(&self.decoder, checkpoint)?;
            for (param, saved) in head.params().zip(saved.params()) {
                param.tensor.slice_set(&saved.tensor, 0, 0)?;
            }
        }
        match &self.product {
            Product::Adapter(_) => {
                let adapter = Adapter::open(checkpoint)?;
                self.restore_by(|param| adapter.trained(param))
            }
            Product::Model { .. } => {
                let folder = FolderSource::open(checkpoint, self.decoder.spec.embedding.table)?;
                self.restore_by(|param| folder.tensor(&param.name, param.tensor.dims()))
            }
        }
    }

    fn restore_by(&self, saved: impl Fn(&Param) -> Result<Tensor>) -> Result<()> {
        for param in self.decoder.trainable() {
            let weight = saved(&param)?.to_dtype(param.tensor.dtype())?.to_device(param.tensor.device())?;
            // In place: the model's parts share the tensor.
            param.tensor.slice_set(&weight, 0, 0)?;
        }
        Ok(())
    }
}
