//! Finds out what a model path is and opens it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FolderSource, GgufSource, InitialSource};
use crate::adapter::{Adapter, WithAdapters};
use crate::families::{self, Config, DecoderSpec};
use crate::hub::resolve_model;
use crate::model::{Decoder, Tuning, WeightSource};
use crate::text::Tokenizer;
use crate::{Error, Result};

/// A model's configuration and weights on disk.
pub struct ModelFiles {
    pub path: PathBuf,
    pub config: Config,
    pub spec: DecoderSpec,
    weights: Arc<dyn WeightSource>,
    gguf: Option<Arc<GgufSource>>,
}

/// Opens a model folder, a GGUF file, or the hub's model of that name; with a seed, weights are drawn instead of read.
///
/// # Errors
/// One sentence that names the file and what is missing or wrong in it.
pub fn open(path: &Path, from_scratch: Option<u64>) -> Result<ModelFiles> {
    let resolved = resolve_model(&path.to_string_lossy(), None, &mut |_| {})?;
    let path = resolved.as_path();
    if !path.exists() {
        return Err(Error::file(path, "there is no such model folder or GGUF file"));
    }
    if path.is_file() {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        if !extension.eq_ignore_ascii_case("gguf") {
            let message =
                "is a file but not a .gguf one; a model is a folder with config.json or a .gguf file";
            return Err(Error::file(path, message));
        }
        let source = Arc::new(GgufSource::open(path)?);
        let config = source.config()?;
        let spec = families::read(&config)?;
        return Ok(ModelFiles {
            path: path.to_owned(),
            config,
            spec,
            weights: source.clone(),
            gguf: Some(source),
        });
    }
    let config_path = path.join("config.json");
    if !config_path.exists() {
        return Err(Error::file(path, "is not a model folder: it has no config.json"));
    }
    let config = Config::read(&config_path)?;
    let spec = families::read(&config)?;
    let weights: Arc<dyn WeightSource> = match from_scratch {
        Some(seed) => Arc::new(InitialSource::new(seed, spec.initializer_range)),
        None => Arc::new(FolderSource::open(path)?),
    };
    Ok(ModelFiles { path: path.to_owned(), config, spec, weights, gguf: None })
}

impl ModelFiles {
    /// The tokenizer that comes with the model.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.gguf {
            Some(gguf) => gguf.tokenizer(),
            None => Ok(Tokenizer::from_folder(&self.path)?),
        }
    }

    pub fn build(&self, tuning: &Tuning) -> Result<Decoder> {
        self.build_with(tuning, &[])
    }

    /// The same, with what adapters put in place of the model's own weights.
    pub fn build_with(&self, tuning: &Tuning, adapters: &[Adapter]) -> Result<Decoder> {
        let source = WithAdapters::new(self.weights.as_ref(), adapters)?;
        Decoder::build(self.spec.clone(), &source, tuning)
    }
}
