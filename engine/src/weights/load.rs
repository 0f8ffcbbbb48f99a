//! Finds out what a model path is and opens it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::DType;
use recipe::{HubTokens, RopeScaling};
use serde_json::{Map, Value, json};

use super::folder::refuse_pickle;
use super::grown::{GrownSource, Growth};
use super::stop::StoppableSource;
use super::{FolderSource, GgufSource, InitialSource};
use crate::adapter::{Adapter, WithAdapters};
use crate::families::{self, Config, DecoderSpec};
use crate::hub::{quietly, resolve_model};
use crate::model::{Decoder, Tuning, WeightSource};
use crate::quant::Scheme;
use crate::text::Tokenizer;
use crate::{Error, Result};

/// A model's configuration and weights on disk.
pub struct ModelFiles {
    /// Model folder or GGUF file.
    pub path: PathBuf,
    /// Its configuration, as a config.json says it.
    pub config: Config,
    /// What the configuration means.
    pub spec: DecoderSpec,
    pub(super) weights: Arc<dyn WeightSource + Send + Sync>,
    gguf: Option<Arc<GgufSource>>,
    /// How a folder's linear maps are packed, if they are quantised.
    scheme: Option<Scheme>,
}

/// Opens a model folder, a GGUF file, or the hub's model of that name; with a seed, weights are drawn instead of read.
///
/// # Errors
/// One sentence that names the file and what is missing or wrong in it.
pub fn open(path: &Path, from_scratch: Option<u64>) -> Result<ModelFiles> {
    let resolved = resolve_model(&path.to_string_lossy(), None, &HubTokens::default(), &mut quietly)?;
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
        return Ok(ModelFiles {
            path: path.to_owned(),
            config: source.config.clone(),
            spec: source.spec.clone(),
            weights: source.clone(),
            gguf: Some(source),
            scheme: None,
        });
    }
    let config_path = path.join("config.json");
    if !config_path.exists() {
        return Err(Error::file(path, "is not a model folder: it has no config.json"));
    }
    let mut config = families::text_part(Config::read(&config_path)?)?;
    let mut spec = families::read(&config)?;
    let mut scheme = None;
    let weights: Arc<dyn WeightSource + Send + Sync> = match from_scratch {
        Some(seed) => Arc::new(InitialSource::new(seed, spec.initializer_range)),
        None => {
            scheme = config.object("quantization_config")?.map(|config| Scheme::read(&config)).transpose()?;
            let mut source = FolderSource::open(path, spec.embedding.table)?.packed_by(scheme.clone());
            if spec.head.tied {
                // What is stored decides, as in transformers 5: two different matrices are not tied, whatever the
                // configuration says, and one alone serves as both.
                let [table, head] =
                    [spec.embedding.table, spec.head.name].map(|name| format!("{name}.weight"));
                if source.differ(&table, &head) {
                    families::untie(&mut config);
                    spec = families::read(&config)?;
                }
                source.stand_in(&table, &head);
            }
            Arc::new(source)
        }
    };
    Ok(ModelFiles { path: path.to_owned(), config, spec, weights, gguf: None, scheme })
}

fn merge(decoder: &mut Decoder, adapters: &[Adapter]) -> Result<()> {
    for adapter in adapters {
        adapter.check_against(decoder)?;
        adapter.prepare(decoder)?;
        decoder.merge(|linear| adapter.update(linear))?;
    }
    Ok(())
}

/// How a model is to be generated with.
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";

/// `eos_token_id`: one id or several.
fn ends(config: &Config) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match config.get("eos_token_id") {
        Some(Value::Array(ids)) => ids.iter().filter_map(id).collect(),
        one => one.and_then(id).into_iter().collect(),
    }
}

impl ModelFiles {
    /// The tokenizer that comes with the model.
    ///
    /// # Errors
    /// If there is none, or its files cannot be read.
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

    /// The type that the model says it is stored in.
    pub fn dtype(&self) -> DType {
        let name = self.config.get("torch_dtype").or(self.config.get("dtype"));
        match name.and_then(Value::as_str) {
            Some("bfloat16") => DType::BF16,
            Some("float16") => DType::F16,
            _ => DType::F32,
        }
    }

    /// Whether this is a folder of quantised weights.
    pub fn is_quantised(&self) -> bool {
        self.scheme.is_some()
    }

    /// # Errors
    /// If this is a folder of quantised weights, which can neither train nor be written as a whole: LLaMA-Factory
    /// refuses these, too.
    pub fn check_dense(&self) -> Result<()> {
        let Some(scheme) = &self.scheme else { return Ok(()) };
        let message = format!(
            "must be lora: the weights of {} are quantised ({scheme}), and stay so; to train them, use the model in \
             f32, f16 or bf16",
            self.path.display()
        );
        Err(Error::recipe("finetuning_type", message))
    }

    /// The model as it is on disk.
    ///
    /// # Errors
    /// If a tensor is missing, or has another shape than the configuration says.
    pub fn build(&self, tuning: &Tuning) -> Result<Decoder> {
        self.build_with(tuning, &[])
    }

    /// The same, with what adapters put in place of the model's own weights.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or an adapter does not fit.
    pub fn build_with(&self, tuning: &Tuning, adapters: &[Adapter]) -> Result<Decoder> {
        let mut spec = self.spec.clone();
        // Adapters that were trained with a larger vocabulary bring its rows.
        for module in [spec.embedding.table, spec.head.name] {
            for adapter in adapters {
                spec.vocab = adapter.saved_rows(module)?.unwrap_or(spec.vocab);
            }
        }
        let source = WithAdapters { base: self.weights.as_ref(), adapters };
        let decoder = Decoder::build(spec, &source, tuning)?;
        source.check_read(&decoder.spec, &decoder.names())?;
        Ok(decoder)
    }

    /// The same with all adapters merged into the weights.
    ///
    /// # Errors
    /// Names the first tensor of an adapter that has no place in the model.
    pub fn merged(&self, tuning: &Tuning, adapters: &[Adapter]) -> Result<Decoder> {
        let mut decoder = self.build_with(tuning, adapters)?;
        merge(&mut decoder, adapters)?;
        Ok(decoder)
    }

    /// The same with the last adapter beside the weights, which keeps their stored type exact.
    ///
    /// # Errors
    /// As those of [`ModelFiles::merged`].
    pub fn adapted(&self, tuning: &Tuning, adapters: &[Adapter]) -> Result<Decoder> {
        let mut decoder = self.build_with(tuning, adapters)?;
        if let Some((last, others)) = adapters.split_last() {
            merge(&mut decoder, others)?;
            last.check_against(&decoder)?;
            last.prepare(&mut decoder)?;
            decoder.attach(|linear| last.update(linear), last.config.dropout as f32)?;
        }
        Ok(decoder)
    }

    /// Tokens after which the model ends what it writes: those of `generation_config.json`, or where that has none,
    /// as in transformers, those of `config.json`; of a GGUF file what its metadata and its vocabulary say.
    pub fn generation_ends(&self) -> Vec<u32> {
        if let Some(gguf) = &self.gguf {
            return gguf.end_ids();
        }
        let own = self.own_generation_config().map(|config| ends(&config)).filter(|ends| !ends.is_empty());
        own.unwrap_or_else(|| ends(&self.config))
    }

    fn own_generation_config(&self) -> Option<Config> {
        Config::read(&self.path.join(GENERATION_CONFIG)).ok()
    }

    /// The `generation_config.json` of a model that was tuned from this one, and ends with `more` tokens besides.
    pub fn generation_config(&self, more: &[u32]) -> Map<String, Value> {
        let mut all = self.generation_ends();
        all.extend(more);
        let mut seen = HashSet::new();
        all.retain(|id| seen.insert(*id));
        let mut values = self.own_generation_config().map(|config| config.values).unwrap_or_else(|| {
            let known = ["bos_token_id", "pad_token_id"].into_iter();
            known.filter_map(|key| Some((key.to_owned(), self.config.get(key)?.clone()))).collect()
        });
        match &all[..] {
            [] => {}
            [one] => _ = values.insert("eos_token_id".to_owned(), json!(one)),
            several => _ = values.insert("eos_token_id".to_owned(), json!(several)),
        }
        values
    }

    /// Gives the model rows for `tokens` tokens, rounded up to a multiple of 64, if it has fewer; answers with
    /// the new number of rows then.
    ///
    /// # Errors
    /// If the rows of the table cannot be read.
    pub fn grow_vocabulary(&mut self, tokens: usize, start: Growth) -> Result<Option<usize>> {
        let old = self.spec.vocab;
        if tokens <= old {
            return Ok(None);
        }
        let new = tokens.next_multiple_of(64);
        let modules = [self.spec.embedding.table, self.spec.head.name].map(str::to_owned);
        self.weights = Arc::new(GrownSource { base: self.weights.clone(), modules, old, new, start });
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
