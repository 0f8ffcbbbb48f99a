//! A model that was made of another one, as a folder of its own.

use std::path::Path;

use serde_json::{Map, Value};

use super::{GENERATION_CONFIG, ModelFiles, save_model, write_json};
use crate::model::Decoder;
use crate::{Error, Result};

/// Refuses a folder that holds a model.
pub(super) fn check_free(output: &Path) -> Result<()> {
    if output.join("config.json").exists() {
        return Err(Error::file(output, "holds a model already; name another folder"));
    }
    Ok(())
}

impl ModelFiles {
    /// Writes a decoder and its configuration into a folder, with the tokenizer and the ends of answers of this model.
    pub(super) fn save_remade(
        &self,
        decoder: &Decoder,
        config: &Map<String, Value>,
        output: &Path,
    ) -> Result<()> {
        std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;
        save_model(decoder, config, self.dtype(), output)?;
        write_json(&output.join(GENERATION_CONFIG), &Value::Object(self.generation_config(&[])))?;
        self.tokenizer()?.save(output)?;
        Ok(())
    }
}
