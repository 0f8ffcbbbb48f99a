//! Finds out what a model path is and opens it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use recipe::RopeScaling;
use serde_json::json;

use super::folder::refuse_pickle;
use super::grown::GrownSource;
use super::stop::StoppableSource;
use super::{FolderSource, GgufSource, InitialSource};
use crate::adapter::{Adapter, WithAdapters};
use crate::families::{self, Config, DecoderSpec};
use crate::hub::{quietly, resolve_model};
use crate::model::{Decoder, Tuning, WeightSource};
use crate::text::Tokenizer;
use crate::{Error, Result};

/// A model's configuration and weights on disk.
pub struct ModelFiles {
    pub path: PathBuf,
    pub config: Config,
    pub spec: DecoderSpec,
    weights: Arc<dyn WeightSource + Send + Sync>,
    gguf: Option<Arc<GgufSource>>,
}

/// Opens a model folder, a GGUF file, or the hub's model of that name; with a seed, weights are drawn instead of read.
///
/// # Errors
/// One sentence that names the file and what is missing or wrong in it.
pub fn open(path: &Path, from_scratch: Option<u64>) -> Result<ModelFiles> {
    let resolved = resolve_model(&path.to_string_lossy(), None, &mut quietly)?;
    let path = resolved.as_path();
    if !path.exists() {
        return Err(Error::file(path, "there is no such model folder or GGUF file"));
    }
    if path.is_file() {
        refuse_pickle(path)?;
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
    let config = families::text_part(Config::read(&config_path)?)?;
    let spec = families::read(&config)?;
    let weights: Arc<dyn WeightSource + Send + Sync> = match from_scratch {
        Some(seed) => Arc::new(InitialSource::new(seed, spec.initializer_range)),
        None => {
            refuse_quantised(&config)?;
            Arc::new(FolderSource::open(path, spec.embedding.table)?)
        }
    };
    Ok(ModelFiles { path: path.to_owned(), config, spec, weights, gguf: None })
}

/// Weights that were stored quantised mean nothing without their scales.
fn refuse_quantised(config: &Config) -> Result<()> {
    let Some(quantised) = config.object("quantization_config")? else { return Ok(()) };
    let method = quantised.get("quant_method").and_then(|method| method.as_str()).unwrap_or("unknown");
    let message = format!(
        "says that the weights are quantised ({method}), which is not supported; use the model in f32, f16 or bf16, \
         or bring it back to that first (transformers: `model.dequantize().save_pretrained(folder)`)"
    );
    Err(config.error("quantization_config", message))
}

impl ModelFiles {
    /// The tokenizer that comes with the model.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        match &self.gguf {
            Some(gguf) => gguf.tokenizer(),
            None => Ok(Tokenizer::from_folder(&self.path)?),
        }
    }

    /// Loading ends with [`Error::Stopped`] once `stop` is set.
    pub fn stop_with(&mut self, stop: &Arc<AtomicBool>) {
        self.weights = Arc::new(StoppableSource { base: self.weights.clone(), stop: stop.clone() });
    }

    pub fn build(&self, tuning: &Tuning) -> Result<Decoder> {
        self.build_with(tuning, &[])
    }

    /// The same, with what adapters put in place of the model's own weights.
    pub fn build_with(&self, tuning: &Tuning, adapters: &[Adapter]) -> Result<Decoder> {
        let mut spec = self.spec.clone();
        // Adapters that were trained with a larger vocabulary bring its rows.
        for module in [spec.embedding.table, spec.head.name] {
            for adapter in adapters {
                spec.vocab = adapter.saved_rows(module)?.unwrap_or(spec.vocab);
            }
        }
        let source = WithAdapters::new(self.weights.as_ref(), adapters)?;
        let decoder = Decoder::build(spec, &source, tuning)?;
        source.check_read(&decoder)?;
        Ok(decoder)
    }

    /// Gives the model rows for `tokens` tokens, rounded up to a multiple of 64, if it has fewer; answers with
    /// the new number of rows then.
    pub fn grow_vocabulary(&mut self, tokens: usize, seed: u64) -> Result<Option<usize>> {
        let old = self.spec.vocab;
        if tokens <= old {
            return Ok(None);
        }
        let new = tokens.next_multiple_of(64);
        let modules = [self.spec.embedding.table, self.spec.head.name].map(str::to_owned);
        self.weights = Arc::new(GrownSource { base: self.weights.clone(), modules, old, new, seed });
        let key = ["padded_vocab_size", "embedding_size", "vocab_size"];
        let key = key.into_iter().find(|key| self.config.get(key).is_some()).unwrap_or("vocab_size");
        self.config.values.insert(key.to_owned(), json!(new));
        self.spec = families::read(&self.config)?;
        Ok(Some(new))
    }

    /// Stretches rotary positions so that texts of `length` tokens fit; answers with the factor, or none if
    /// they fit already. Factor and parameters are LLaMA-Factory's.
    ///
    /// # Errors
    /// If the model has no rotary positions that can be stretched.
    pub fn stretch_positions(&mut self, kind: RopeScaling, length: usize) -> Result<Option<f64>> {
        let old = self.spec.max_positions;
        if length <= old {
            return Ok(None);
        }
        let factor = length.div_ceil(old) as f64;
        let mut scaling = json!({"rope_type": kind.name(), "factor": factor});
        if kind != RopeScaling::Linear {
            scaling["original_max_position_embeddings"] = json!(old);
        }
        if kind == RopeScaling::Llama3 {
            (scaling["low_freq_factor"], scaling["high_freq_factor"]) = (json!(1.0), json!(4.0));
        }
        let mut config = self.config.clone();
        // In the newer layout the frequencies' base stands beside the scaling.
        for key in ["rope_theta", "partial_rotary_factor"] {
            if let Some(value) = config.object("rope_parameters")?.and_then(|newer| newer.get(key).cloned()) {
                scaling[key] = value;
            }
        }
        config.values.insert("max_position_embeddings".to_owned(), json!(old * factor as usize));
        config.values.insert("rope_scaling".to_owned(), scaling);
        let spec = families::read(&config)?;
        if self.spec.ropes.is_empty() || spec.ropes == self.spec.ropes {
            let message = "is set, but positions of this model type cannot be stretched; leave it off";
            return Err(Error::recipe("rope_scaling", message));
        }
        (self.config, self.spec) = (config, spec);
        Ok(Some(factor))
    }
}
