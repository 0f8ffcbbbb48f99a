//! LoRA adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde_json::{Value, json};

use crate::families::Config;
use crate::model::{Decoder, WeightSource};
use crate::ops::Linear;
use crate::weights::{FolderSource, save_tensors, write_json};
use crate::{Error, Result};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// What an adapter is, without its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    pub base: String,
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub rank_stabilised: bool,
    /// Ends of names of the modules with low-rank matrices.
    pub targets: Vec<String>,
    /// Modules that are trained whole.
    pub saved_modules: Vec<String>,
}

impl AdapterConfig {
    /// What multiplies B·A: alpha / rank, or alpha / √rank when rank-stabilised (Kalajdzievski 2023).
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// An adapter on disk.
pub struct Adapter {
    pub folder: PathBuf,
    pub config: AdapterConfig,
    weights: FolderSource,
}

impl Adapter {
    /// Opens an adapter folder.
    ///
    /// # Errors
    /// If it is no LoRA adapter, or of a kind (DoRA, per-layer ranks, …) that is not supported.
    pub fn open(folder: &Path) -> Result<Adapter> {
        let path = folder.join(CONFIG);
        if !path.exists() {
            return Err(Error::file(folder, format!("is not an adapter folder: it has no {CONFIG}")));
        }
        let json = Config::read(&path)?;
        let config = read_config(&json)?;
        let weights = folder.join(WEIGHTS);
        if !weights.exists() && folder.join("adapter_model.bin").exists() {
            let message =
                "is a pickle, which can run any code when it is read; save the adapter as safetensors";
            return Err(Error::file(folder.join("adapter_model.bin"), message));
        }
        Ok(Adapter { folder: folder.to_owned(), config, weights: FolderSource::file(&weights)? })
    }

    /// (A, B, scale) of a linear map, if the adapter has an update for it.
    pub fn update(&self, linear: &Linear) -> Result<Option<(Tensor, Tensor, f32)>> {
        let name = |part: &str| format!("{PREFIX}{}.lora_{part}.weight", linear.name);
        if !self.weights.has(&name("A")) {
            return Ok(None);
        }
        let rank = self.config.rank;
        let a = self.weights.tensor(&name("A"), &[rank, linear.in_dim()])?.to_dtype(DType::F32)?;
        let b = self.weights.tensor(&name("B"), &[linear.out_dim(), rank])?.to_dtype(DType::F32)?;
        Ok(Some((a, b, self.config.scale() as f32)))
    }

    /// Checks that every tensor of the file has found its place in a model.
    ///
    /// # Errors
    /// Names the first tensor that has not.
    pub fn check_against(&self, decoder: &Decoder) -> Result<()> {
        let mut known = BTreeSet::new();
        for linear in decoder.linears() {
            known.extend(["A", "B"].map(|part| format!("{PREFIX}{}.lora_{part}.weight", linear.name)));
        }
        known.extend(decoder.params().iter().map(|param| format!("{PREFIX}{}", param.name)));
        match self.weights.names().into_iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "tensor `{name}` belongs to no module of this model; is it another base model's?"
                );
                Err(Error::file(self.folder.join(WEIGHTS), message))
            }
        }
    }
}

/// The weights of a base model, with whole modules replaced by an adapter's.
pub struct WithSavedModules<'a> {
    pub base: &'a dyn WeightSource,
    pub adapters: &'a [Adapter],
}

impl WeightSource for WithSavedModules<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let saved = format!("{PREFIX}{name}");
        match self.adapters.iter().rev().find(|adapter| adapter.weights.has(&saved)) {
            Some(adapter) => adapter.weights.tensor(&saved, shape),
            None => self.base.tensor(name, shape),
        }
    }
}

fn read_config(json: &Config) -> Result<AdapterConfig> {
    let kind = json.text("peft_type")?;
    if kind != "LORA" {
        return Err(json.error("peft_type", format!("is `{kind}`; supported is LORA")));
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        if json.flag_or(key, false)? {
            return Err(json.error(key, "is true, which is not supported yet"));
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if json.object(key)?.is_some_and(|map| !map.values.is_empty()) {
            return Err(json.error(key, "is not empty, which is not supported yet"));
        }
    }
    let list = |key: &str| -> Result<Vec<String>> {
        match json.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(value) => {
                let names =
                    value.as_array().map(|list| list.iter().filter_map(|x| x.as_str().map(str::to_owned)));
                names.map(Iterator::collect).ok_or_else(|| json.error(key, "must be a list of names"))
            }
        }
    };
    Ok(AdapterConfig {
        base: json.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or_default().to_owned(),
        rank: json.size("r")?,
        alpha: json.number("lora_alpha")?,
        dropout: json.number_or("lora_dropout", 0.0)?,
        rank_stabilised: json.flag_or("use_rslora", false)?,
        targets: list("target_modules")?,
        saved_modules: list("modules_to_save")?,
    })
}

/// Writes a decoder's adapter: all low-rank matrices, and modules that are trained whole.
pub fn save_adapter(decoder: &Decoder, config: &AdapterConfig, folder: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for linear in decoder.linears() {
        if let Some(lora) = &linear.lora {
            tensors.push((format!("{PREFIX}{}.lora_A.weight", linear.name), lora.a.tensor.clone()));
            tensors.push((format!("{PREFIX}{}.lora_B.weight", linear.name), lora.b.tensor.clone()));
        }
    }
    let low_rank: BTreeSet<_> = decoder
        .linears()
        .filter_map(|linear| linear.lora.as_ref())
        .flat_map(|lora| [lora.a.id, lora.b.id])
        .collect();
    for param in decoder.trainable() {
        if !low_rank.contains(&param.id) {
            tensors.push((format!("{PREFIX}{}", param.name), param.tensor.clone()));
        }
    }
    save_tensors(&tensors, &folder.join(WEIGHTS))?;
    write_json(&folder.join(CONFIG), &config.to_json())
}

impl AdapterConfig {
    fn to_json(&self) -> Value {
        let saved = (!self.saved_modules.is_empty()).then_some(&self.saved_modules);
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.base,
            "r": self.rank,
            "lora_alpha": if self.alpha.fract() == 0.0 { json!(self.alpha as u64) } else { json!(self.alpha) },
            "lora_dropout": self.dropout,
            "target_modules": self.targets,
            "modules_to_save": saved,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "use_rslora": self.rank_stabilised,
            "use_dora": false,
            "layers_to_transform": null,
            "layers_pattern": null,
            "rank_pattern": {},
            "alpha_pattern": {},
            "loftq_config": {},
            "auto_mapping": null,
            "revision": null,
        })
    }
}

/// Whether a folder holds an adapter.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists()
}
