//! `adapter_config.json`.

use regex::Regex;
use serde_json::{Value, json};

use crate::Result;
use crate::families::Config;

/// What an adapter is, without its weights.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AdapterConfig {
    pub base: String,
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub rank_stabilised: bool,
    /// Weights are split into direction and magnitude (DoRA, Liu et al. 2024).
    pub dora: bool,
    /// Ends of names of the modules with low-rank matrices.
    pub targets: Vec<String>,
    /// Modules that are trained whole.
    pub saved_modules: Vec<String>,
    /// Modules with a rank of their own.
    pub ranks: Patterns<usize>,
    /// Modules with an alpha of their own.
    pub alphas: Patterns<f64>,
}

/// Values for modules whose name ends with a pattern (a regular expression); the first that fits counts.
#[derive(Clone, Debug, Default)]
pub struct Patterns<T>(Vec<(String, Regex, T)>);

impl<T: PartialEq> PartialEq for Patterns<T> {
    fn eq(&self, other: &Self) -> bool {
        let pairs = |all: &Self| all.0.len();
        pairs(self) == pairs(other) && self.0.iter().zip(&other.0).all(|(a, b)| a.0 == b.0 && a.2 == b.2)
    }
}

impl<T: Copy> Patterns<T> {
    fn get(&self, module: &str) -> Option<T> {
        self.0.iter().find(|(_, pattern, _)| pattern.is_match(module)).map(|(_, _, value)| *value)
    }

    fn read(json: &Config, key: &str, value: impl Fn(&Value) -> Option<T>) -> Result<Self> {
        let Some(map) = json.object(key)? else { return Ok(Patterns(Vec::new())) };
        let mut patterns = Vec::new();
        for (pattern, given) in &map.values {
            let number = value(given).ok_or_else(|| {
                json.error(key, format!("has `{pattern}`: {given}, which is no positive number"))
            })?;
            // PEFT matches `(.*\.)?(pattern)$` from the start of the name.
            let regex = Regex::new(&format!(r"^(.*\.)?({pattern})$"))
                .map_err(|error| json.error(key, format!("has `{pattern}`, which is no pattern: {error}")))?;
            patterns.push((pattern.clone(), regex, number));
        }
        Ok(Patterns(patterns))
    }
}

impl<T: Copy + Into<Value>> Patterns<T> {
    fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(pattern, _, value)| (pattern.clone(), (*value).into())).collect())
    }
}

impl AdapterConfig {
    pub(super) fn rank_of(&self, module: &str) -> usize {
        self.ranks.get(module).unwrap_or(self.rank)
    }

    /// What multiplies a module's B·A: alpha / rank, or alpha / √rank when rank-stabilised (Kalajdzievski 2023).
    pub fn scale_of(&self, module: &str) -> f64 {
        let rank = self.rank_of(module) as f64;
        let alpha = self.alphas.get(module).unwrap_or(self.alpha);
        alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }

    pub(super) fn read(json: &Config) -> Result<AdapterConfig> {
        let kind = json.text("peft_type")?;
        if kind != "LORA" {
            return Err(json.error("peft_type", format!("is `{kind}`; supported is LORA")));
        }
        for key in ["fan_in_fan_out", "lora_bias", "use_qalora"] {
            if json.flag_or(key, false)? {
                return Err(json.error(key, "is true, which is not supported"));
            }
        }
        for key in
            ["layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens"]
        {
            if json.get(key).is_some_and(|value| !is_empty(value)) {
                return Err(json.error(key, "is set, which is not supported"));
            }
        }
        let positive = |value: &Value| value.as_u64().filter(|rank| *rank > 0).map(|rank| rank as usize);
        Ok(AdapterConfig {
            base: json.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or_default().to_owned(),
            rank: json.size("r")?,
            alpha: json.number("lora_alpha")?,
            dropout: json.number_or("lora_dropout", 0.0)?,
            rank_stabilised: json.flag_or("use_rslora", false)?,
            dora: json.flag_or("use_dora", false)?,
            targets: names(json, "target_modules")?,
            saved_modules: names(json, "modules_to_save")?,
            ranks: Patterns::read(json, "rank_pattern", positive)?,
            alphas: Patterns::read(json, "alpha_pattern", |value| {
                value.as_f64().filter(|alpha| *alpha > 0.0)
            })?,
        })
    }

    pub(super) fn to_json(&self) -> Value {
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
            "use_dora": self.dora,
            "layers_to_transform": null,
            "layers_pattern": null,
            "rank_pattern": self.ranks.to_json(),
            "alpha_pattern": self.alphas.to_json(),
            "loftq_config": {},
            "auto_mapping": null,
            "revision": null,
        })
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A list of names; one name may stand alone.
fn names(json: &Config, key: &str) -> Result<Vec<String>> {
    match json.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(value) => {
            let names = value.as_array().map(|list| list.iter().map(|x| x.as_str().map(str::to_owned)));
            let names = names.and_then(Iterator::collect::<Option<_>>);
            names.ok_or_else(|| json.error(key, format!("must be a list of names, found {value}")))
        }
    }
}
