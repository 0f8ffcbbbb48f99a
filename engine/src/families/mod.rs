//! Model families as data.
//!
//! A family reads its `config.json` into a [`DecoderSpec`], which also says how its tensors are named. The
//! forward pass is the one in [`crate::model`]; what a family needs of it is a field of the spec.

mod baichuan;
mod bloom;
mod cohere;
mod common;
mod config;
mod deepseek;
pub mod depths;
mod falcon;
mod gemma;
mod glm;
mod gpt;
mod internlm;
mod llama;
mod mistral;
mod olmo;
mod phi;
mod qwen;
mod qwen2;
mod rope;
mod sizes;
pub mod spec;
mod starcoder;
#[cfg(test)]
mod tests;
mod yuan;

pub use config::Config;
pub(crate) use config::LARGEST;
pub use rope::{RopeScaling, RopeSpec};
pub use spec::DecoderSpec;

use crate::Result;

/// Reads a family's configuration.
type Family = fn(&Config) -> Result<DecoderSpec>;

/// Families by `model_type`.
const FAMILIES: &[(&str, Family)] = &[
    ("baichuan", baichuan::baichuan),
    ("bloom", bloom::bloom),
    ("chatglm", glm::chatglm),
    ("cohere", cohere::cohere),
    ("cohere2", cohere::cohere2),
    ("deepseek", deepseek::deepseek),
    ("deepseek_v2", deepseek::deepseek_v2),
    ("deepseek_v3", deepseek::deepseek_v3),
    ("falcon", falcon::falcon),
    ("gemma", gemma::gemma),
    ("gemma2", gemma::gemma2),
    ("gemma3_text", gemma::gemma3),
    ("glm", glm::glm),
    ("glm4", glm::glm4),
    ("gpt2", gpt::gpt2),
    ("gpt_neox", gpt::gpt_neox),
    ("granite", llama::granite),
    ("hf_olmo", olmo::hf_olmo),
    ("internlm2", internlm::internlm2),
    ("llama", llama::llama),
    ("mistral", mistral::mistral),
    ("mixtral", mistral::mixtral),
    ("olmo", olmo::olmo),
    ("olmo2", olmo::olmo2),
    ("phi", phi::phi),
    ("phi3", phi::phi3),
    ("qwen", qwen::qwen),
    ("qwen2", qwen2::qwen2),
    ("qwen2_moe", qwen2::qwen2_moe),
    ("qwen3", qwen2::qwen3),
    ("qwen3_moe", qwen2::qwen3_moe),
    ("smollm3", llama::smollm3),
    ("starcoder2", starcoder::starcoder2),
    ("xverse", llama::xverse),
    ("Yi", llama::yi),
    ("yuan", yuan::yuan),
];

/// Models of several modalities whose part for text is one of the families; the rest is left out.
const WITH_TEXT_PART: &[&str] = &["gemma3"];

/// The configuration of a model's part for text, where it has others; else the configuration itself.
///
/// # Errors
/// With file and key, if the part is no object.
pub fn text_part(config: Config) -> Result<Config> {
    let name = config.get("model_type").and_then(|name| name.as_str());
    let has_parts = name.is_some_and(|name| WITH_TEXT_PART.contains(&name));
    let Some(mut text) = config.object("text_config")?.filter(|_| has_parts) else { return Ok(config) };
    for key in ["bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype", "quantization_config"]
    {
        if let (None, Some(value)) = (text.get(key), config.get(key)) {
            text.values.insert(key.to_owned(), value.clone());
        }
    }
    Ok(text)
}

/// Lets a configuration say that the output matrix is one of its own.
pub fn untie(config: &mut Config) {
    for key in ["tie_word_embeddings", "weight_tying"] {
        if key == "tie_word_embeddings" || config.get(key).is_some() {
            config.values.insert(key.to_owned(), false.into());
        }
    }
}

/// Reads a configuration.
///
/// # Errors
/// Names the key that is missing or wrong, or the model types that are known.
pub fn read(config: &Config) -> Result<DecoderSpec> {
    let model_type = config.text("model_type")?;
    match FAMILIES.iter().find(|(name, _)| *name == model_type) {
        Some((_, family)) => {
            check_layers(config)?;
            let mut spec = family(config)?;
            spec.check(config)?;
            spec.block.depths = depths::read(config, &spec)?;
            Ok(spec)
        }
        None => {
            let known = FAMILIES.iter().map(|(name, _)| *name);
            let known: Vec<&str> = known.chain(WITH_TEXT_PART.iter().copied()).collect();
            Err(config.error("model_type", format!("is `{model_type}`; supported are {}", known.join(", "))))
        }
    }
}

/// Layers of a model, at most.
pub(crate) const LAYERS: usize = 10_000;

/// The kinds of layers that transformers 5.6 knows (`ALLOWED_LAYER_TYPES`).
const LAYER_TYPES: [&str; 11] = [
    "full_attention",
    "sliding_attention",
    "chunked_attention",
    "linear_attention",
    "conv",
    "mamba",
    "attention",
    "sparse",
    "dense",
    "hybrid",
    "moe",
];

/// Refuses layers without number, and kinds of them that nobody knows, also where a family has no use for them.
fn check_layers(config: &Config) -> Result<()> {
    for key in ["num_hidden_layers", "n_layer", "num_layers", "n_layers"] {
        if let Some(layers) =
            config.get(key).and_then(serde_json::Value::as_u64).filter(|n| *n > LAYERS as u64)
        {
            return Err(config.error(key, format!("is {layers}; at most {LAYERS} layers are allowed")));
        }
    }
    let types = config.texts("layer_types")?.unwrap_or_default();
    if types.len() > LAYERS {
        return Err(config.error(
            "layer_types",
            format!("has {} entries; at most {LAYERS} layers are allowed", types.len()),
        ));
    }
    match types.iter().find(|kind| !LAYER_TYPES.contains(kind)) {
        Some(kind) => {
            let kind: String = kind.chars().take(60).collect();
            Err(config.error("layer_types", format!("has `{kind}`; known are {}", LAYER_TYPES.join(", "))))
        }
        None => Ok(()),
    }
}
