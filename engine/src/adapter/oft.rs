//! `adapter_config.json` of rotations; the keys are those of `OFTConfig` in PEFT 0.18.

use serde_json::{Value, json};

use super::config::{AdapterConfig, base, biases};
use super::modules::{Layers, Modules, names};
use crate::Result;
use crate::families::Config;
use crate::ops::Blocks;

/// Terms of the Neumann series, the only number there is.
const TERMS: usize = 5;

pub(super) fn read(json: &Config) -> Result<AdapterConfig> {
    // Other ways to turn, which are not built.
    for key in ["coft", "block_share"] {
        if json.flag_or(key, false)? {
            return Err(json.error(key, "is true, which is not supported"));
        }
    }
    if !json.flag_or("use_cayley_neumann", true)? {
        return Err(json.error("use_cayley_neumann", "is false, which is not supported"));
    }
    let terms = json.size_or("num_cayley_neumann_terms", TERMS)?;
    if terms != TERMS {
        return Err(json.error("num_cayley_neumann_terms", format!("is {terms}; supported is {TERMS}")));
    }
    let count = |key: &str, default: u64| {
        let given = json.get(key).map_or(Some(default), Value::as_u64);
        let given = given.and_then(|count| usize::try_from(count).ok());
        given.ok_or_else(|| json.error(key, "must be a whole number, at least 0"))
    };
    let blocks = match (count("r", 0)?, count("oft_block_size", 32)?) {
        (count, 0) if count > 0 => Blocks::Count(count),
        (0, columns) if columns > 0 => Blocks::Columns(columns),
        (count, columns) => {
            let message = format!("is {count} and oft_block_size is {columns}; one of them must be 0");
            return Err(json.error("r", message));
        }
    };
    Ok(AdapterConfig {
        base: base(json),
        rotation: Some(blocks),
        dropout: json.number_or("module_dropout", 0.0)?,
        biases: biases(json)?,
        targets: Modules::read(json, "target_modules")?,
        saved_modules: names(json, "modules_to_save")?,
        excluded: Modules::read(json, "exclude_modules")?,
        layers: Layers::read(json)?,
        kept: json.values.clone(),
        ..AdapterConfig::default()
    })
}

pub(super) fn to_json(config: &AdapterConfig, blocks: Blocks, transposed: bool) -> Value {
    let (count, columns) = match blocks {
        Blocks::Count(count) => (count, 0),
        Blocks::Columns(columns) => (0, columns),
    };
    json!({
        "peft_type": "OFT",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config.base,
        "r": count,
        "oft_block_size": columns,
        "module_dropout": config.dropout,
        "target_modules": config.targets.as_ref().map(Modules::to_json),
        "modules_to_save": config.saved(),
        "bias": "none",
        "fan_in_fan_out": transposed,
        "inference_mode": true,
        "init_weights": true,
        "coft": false,
        "eps": 6e-5,
        "block_share": false,
        "use_cayley_neumann": true,
        "num_cayley_neumann_terms": TERMS,
        "exclude_modules": null,
        "layers_to_transform": null,
        "layers_pattern": null,
        "auto_mapping": null,
        "revision": null,
    })
}
