//! Mixture-of-Depths (Raposo et al. 2024) in a `config.json`: which models have routers, and which can get them.

use serde_json::{Value, json};

use super::Config;
use super::spec::{AttentionKind, DecoderSpec, DepthsSpec};
use crate::Result;

/// Of a model with routers: an object with the `capacity` of its blocks.
const KEY: &str = "mixture_of_depths";
/// What the names of such models' classes have before `ForCausalLM`, as the package `mixture-of-depth` calls them.
const MARK: &str = "MoD";
/// The share of tokens that the paper found best.
const CAPACITY: f64 = 0.125;

/// Model types that may have routers, those of LLaMA-Factory but for BLOOM: its positions are distances of rows, which
/// are others among chosen tokens.
pub const FAMILIES: [&str; 7] = ["falcon", "gemma", "llama", "mistral", "mixtral", "phi", "starcoder2"];

/// What a configuration says of routers.
///
/// # Errors
/// With file and key, if the model's type cannot have them, the capacity is no share, or the routers are those of the
/// package `mixture-of-depth`, which weigh all that leaves a block, what came in included.
pub fn read(config: &Config, spec: &DecoderSpec) -> Result<Option<DepthsSpec>> {
    let Some(depths) = config.object(KEY)? else {
        return match class(config) {
            Some(name) if name.contains(MARK) => {
                let message = format!(
                    "is {name}, but there is no `{KEY}`: its routers are those of another program, whose blocks replace a \
                     token by its weight times their result, where the paper adds to it; convert the model it was made of"
                );
                Err(config.error("architectures", message))
            }
            _ => Ok(None),
        };
    };
    check(config, spec)?;
    let capacity = depths.number("capacity")?;
    if !(capacity > 0.0 && capacity <= 1.0) {
        return Err(depths.error("capacity", format!("must be above 0 and at most 1, found {capacity}")));
    }
    Ok(Some(DepthsSpec { capacity }))
}

/// The same configuration of a model that has routers.
///
/// # Errors
/// If it has some already, or cannot have them.
pub fn convert(config: &Config, spec: &DecoderSpec) -> Result<Config> {
    if spec.block.depths.is_some() {
        return Err(
            config.error(KEY, "is there: the model has routers already; use `mixture_of_depths: load`")
        );
    }
    check(config, spec)?;
    let mut routed = config.clone();
    routed.values.insert(KEY.to_owned(), json!({"capacity": CAPACITY}));
    if let Some((model, task)) = class(config).and_then(|name| name.split_once("For")) {
        routed.values.insert("architectures".to_owned(), json!([format!("{model}{MARK}For{task}")]));
    }
    Ok(routed)
}

/// The model's class in transformers.
fn class(config: &Config) -> Option<&str> {
    config.get("architectures").and_then(|names| names.get(0)).and_then(Value::as_str)
}

/// Whether a model's blocks can be gone through by some of the tokens.
fn check(config: &Config, spec: &DecoderSpec) -> Result<()> {
    let family = config.text("model_type")?;
    if !FAMILIES.contains(&family) {
        let message = format!("is `{family}`; routers of `{KEY}` can be had by {}", FAMILIES.join(", "));
        return Err(config.error("model_type", message));
    }
    if matches!(&spec.attention, AttentionKind::Heads(heads) if heads.alibi.is_some()) {
        let message = format!(
            "is true: linear position biases count rows, which are others among the chosen tokens of `{KEY}`; use a model \
             with rotary positions"
        );
        return Err(config.error("alibi", message));
    }
    if spec.layers.len() < 2 {
        let message = format!("is 1: `{KEY}` gives routers to every second layer, and there is none");
        return Err(config.error("num_hidden_layers", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::tests::config;

    #[test]
    fn a_converted_configuration_says_what_it_is() {
        let plain = config("llama", json!({"architectures": ["LlamaForCausalLM"]}));
        let routed = convert(&plain, &crate::families::read(&plain).unwrap()).unwrap();
        assert_eq!(routed.values["architectures"], json!(["LlamaMoDForCausalLM"]));
        let spec = crate::families::read(&routed).unwrap();
        assert_eq!(spec.block.depths, Some(DepthsSpec { capacity: 0.125 }));
        assert_eq!(spec.block.name(0, "mlp"), "model.layers.0.mlp");
        assert_eq!(spec.block.name(1, "mlp"), "model.layers.1.block.mlp");
        assert_eq!(spec.block.router(1), "model.layers.1.router.weight_predictor");
        let error = convert(&routed, &spec).unwrap_err().to_string();
        assert!(error.contains("routers already"), "{error}");
    }

    #[test]
    fn what_cannot_be_routed_is_refused_by_name() {
        let depths = json!({"capacity": 0.125});
        for (family, more, why) in [
            ("qwen2", json!({KEY: depths, "num_key_value_heads": 16}), "`model_type` is `qwen2`"),
            ("falcon", json!({KEY: depths, "alibi": true}), "`alibi` is true"),
            ("llama", json!({KEY: {"capacity": 0.0}}), "`capacity` must be above 0"),
            ("llama", json!({KEY: depths, "num_hidden_layers": 1}), "`num_hidden_layers` is 1"),
            ("llama", json!({"architectures": ["LlamaMoDForCausalLM"]}), "another program"),
        ] {
            let error = crate::families::read(&config(family, more)).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let rotary = config("falcon", json!({KEY: depths, "alibi": false}));
        assert!(crate::families::read(&rotary).unwrap().block.depths.is_some());
    }
}
