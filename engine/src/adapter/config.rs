//! `adapter_config.json`.
//!
//! A key that changes what an adapter computes is read, or refused by its name; the keys are those of `LoraConfig` in
//! PEFT 0.18. Keys that say how an adapter began, or where it came from, are kept as they were.

use recipe::FinetuningType;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::modules::{Layers, Modules, names};
use super::oft;
use crate::Result;
use crate::families::Config;
use crate::ops::Blocks;
use crate::svd::Accuracy;

/// What an adapter is, without its weights.
#[derive(Clone, Debug, Default)]
pub struct AdapterConfig {
    /// The model that it was trained beside, as a path or a name on a hub.
    pub base: String,
    /// Inner size of the updates.
    pub rank: usize,
    /// The update's scale, times the rank; with `rank_stabilised`, times its root.
    pub alpha: f64,
    /// Probability with which an input is dropped while training.
    pub dropout: f64,
    /// The scale is alpha / √rank in place of alpha / rank.
    pub rank_stabilised: bool,
    /// Blocks of what modules read are rotated (OFT) in place of low-rank matrices.
    pub rotation: Option<Blocks>,
    /// Weights are split into direction and magnitude (DoRA, Liu et al. 2024).
    pub dora: bool,
    /// The matrices began with the principal part of the weights, which these lack since (PiSSA): PEFT takes it out of
    /// them again when it loads such an adapter.
    pub principal: Option<Accuracy>,
    /// Biases of the model are part of the adapter.
    pub biases: bool,
    /// Modules with low-rank matrices; none leaves it to the file.
    pub targets: Option<Modules>,
    /// Modules that are trained whole, by the ends of their names.
    pub saved_modules: Vec<String>,
    /// Modules with a rank of their own.
    pub ranks: Patterns<usize>,
    /// Modules with an alpha of their own.
    pub alphas: Patterns<f64>,
    /// Modules that get none although they are among the targets.
    pub(crate) excluded: Option<Modules>,
    /// Layers whose modules get some, if not all.
    pub(crate) layers: Option<Layers>,
    /// All keys of the file, where the adapter was read from one.
    pub(crate) kept: Map<String, Value>,
}

/// Values for modules whose name ends with a pattern (a regular expression); the first that fits counts.
#[derive(Clone, Debug, Default)]
pub struct Patterns<T>(Vec<(String, Regex, T)>);

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

impl<T: Copy> Patterns<T> {
    fn to_json(&self, number: impl Fn(T) -> Value) -> Value {
        Value::Object(self.0.iter().map(|(pattern, _, value)| (pattern.clone(), number(*value))).collect())
    }
}

/// A whole number without a point.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 { json!(x as i64) } else { json!(x) }
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

    /// Whether a module is one that gets low-rank matrices.
    pub(super) fn adapts(&self, module: &str) -> bool {
        let Some(targets) = &self.targets else { return true };
        if self.excluded.as_ref().is_some_and(|excluded| excluded.contain(module)) {
            return false;
        }
        // A regular expression has a say on layers itself.
        let chosen = matches!(targets, Modules::Pattern(..))
            || self.layers.as_ref().is_none_or(|layers| layers.contain(module));
        chosen && targets.contain(module)
    }

    pub(super) fn read(json: &Config) -> Result<AdapterConfig> {
        let kind = json.text("peft_type")?;
        if kind == "OFT" {
            return oft::read(json);
        }
        if kind != "LORA" {
            return Err(json.error("peft_type", format!("is `{kind}`; supported are LORA and OFT")));
        }
        refuse_unsupported(json)?;
        let positive = |value: &Value| value.as_u64().filter(|rank| *rank > 0).map(|rank| rank as usize);
        Ok(AdapterConfig {
            base: base(json),
            rank: json.size("r")?,
            rotation: None,
            alpha: json.number("lora_alpha")?,
            dropout: json.number_or("lora_dropout", 0.0)?,
            rank_stabilised: json.flag_or("use_rslora", false)?,
            dora: json.flag_or("use_dora", false)?,
            principal: principal(json)?,
            biases: biases(json)?,
            targets: Modules::read(json, "target_modules")?,
            saved_modules: names(json, "modules_to_save")?,
            ranks: Patterns::read(json, "rank_pattern", positive)?,
            alphas: Patterns::read(json, "alpha_pattern", |value| {
                value.as_f64().filter(|alpha| *alpha > 0.0)
            })?,
            excluded: Modules::read(json, "exclude_modules")?,
            layers: Layers::read(json)?,
            kept: json.values.clone(),
        })
    }

    /// How PEFT is to prepare the weights for the matrices.
    fn start(&self) -> Value {
        match self.principal {
            None => json!(true),
            Some(Accuracy::Exact) => json!("pissa"),
            Some(Accuracy::Iterations(count)) => json!(format!("pissa_niter_{count}")),
        }
    }

    /// The keys of PEFT's file; `transposed` says that weights are stored as [in, out].
    pub(super) fn to_json(&self, transposed: bool) -> Value {
        let own = match self.rotation {
            Some(blocks) => oft::to_json(self, blocks, transposed),
            None => self.low_rank_to_json(transposed),
        };
        let Value::Object(mut all) = own else { return own };
        // Which modules are meant is said as it was.
        for key in ["exclude_modules", "layers_to_transform", "layers_pattern"] {
            if let Some(value) = self.kept.get(key) {
                all.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(all)
    }

    /// `modules_to_save`
    pub(super) fn saved(&self) -> Option<&Vec<String>> {
        (!self.saved_modules.is_empty()).then_some(&self.saved_modules)
    }

    fn low_rank_to_json(&self, transposed: bool) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.base,
            "r": self.rank,
            "lora_alpha": number(self.alpha),
            "lora_dropout": self.dropout,
            "target_modules": self.targets.as_ref().map(Modules::to_json),
            "modules_to_save": self.saved(),
            "bias": "none",
            "fan_in_fan_out": transposed,
            "inference_mode": true,
            "init_lora_weights": self.start(),
            "use_rslora": self.rank_stabilised,
            "use_dora": self.dora,
            "rank_pattern": self.ranks.to_json(Value::from),
            "alpha_pattern": self.alphas.to_json(number),
            "exclude_modules": null,
            "layers_to_transform": null,
            "layers_pattern": null,
            "loftq_config": {},
            "auto_mapping": null,
            "revision": null,
        })
    }

    /// How large its updates are, in words.
    pub(crate) fn size(&self) -> String {
        match self.rotation {
            None => format!("rank {}", self.rank),
            Some(Blocks::Count(count)) => format!("{count} blocks a module"),
            Some(Blocks::Columns(columns)) => format!("blocks of {columns} columns"),
        }
    }

    /// The method that trains such an adapter.
    pub(crate) fn method(&self) -> FinetuningType {
        if self.rotation.is_some() { FinetuningType::Oft } else { FinetuningType::Lora }
    }
}

pub(super) fn base(json: &Config) -> String {
    json.get("base_model_name_or_path").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What computes something else than W + s·B·A, and is not built.
fn refuse_unsupported(json: &Config) -> Result<()> {
    const KEYS: [&str; 8] = [
        "layer_replication",
        "target_parameters",
        "trainable_token_indices",
        "alora_invocation_tokens",
        "arrow_config",
        "megatron_config",
        "lora_bias",
        "use_qalora",
    ];
    if let Some(key) = KEYS.into_iter().find(|key| json.get(key).is_some_and(is_set)) {
        return Err(json.error(key, "is set, which is not supported"));
    }
    if json.get("ensure_weight_tying").is_some_and(is_set) && json.get("modules_to_save").is_some_and(is_set)
    {
        let message =
            "is true and modules_to_save is set: modules that are trained whole and tied are not supported";
        return Err(json.error("ensure_weight_tying", message));
    }
    Ok(())
}

/// Whether the matrices began with the principal part of the weights. Other ways to begin that took something away from
/// the weights are refused: A and B alone say nothing.
fn principal(json: &Config) -> Result<Option<Accuracy>> {
    let way = match json.get("init_lora_weights") {
        None | Some(Value::Bool(_)) => return Ok(None),
        Some(way) => way,
    };
    let name = way.as_str().unwrap_or_default();
    if ["gaussian", "orthogonal", "eva"].contains(&name) {
        return Ok(None);
    }
    let iterations = name.strip_prefix("pissa_niter_").and_then(|count| count.parse().ok());
    let found = if name == "pissa" { Some(Accuracy::Exact) } else { iterations.map(Accuracy::Iterations) };
    found.map(Some).ok_or_else(|| {
        let message = format!(
            "is {way}, which changes the base model's weights and is not supported; allowed are true, false, \
             \"gaussian\", \"orthogonal\", \"eva\", \"pissa\" and \"pissa_niter_N\". PEFT turns such an adapter into a \
             usual one: save_pretrained(folder, path_initial_model_for_weight_conversion=…)"
        );
        json.error("init_lora_weights", message)
    })
}

pub(super) fn biases(json: &Config) -> Result<bool> {
    match json.get("bias").map(|_| json.text("bias")).transpose()? {
        None | Some("none") => Ok(false),
        Some("all" | "lora_only" | "oft_only") => Ok(true),
        Some(other) => {
            let message = format!("is `{other}`; allowed are `none`, `all` and `lora_only` or `oft_only`");
            Err(json.error("bias", message))
        }
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(flag) => *flag,
        _ => true,
    }
}
