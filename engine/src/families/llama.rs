//! Llama 1 to 3, Yi, SmolLM, TinyLlama, XVERSE, DeepSeek LLM, Granite, SmolLM3.

use serde_json::json;

use crate::Result;

use super::common::{llama_like, sliding, switched_window};
use super::spec::LinearSpec;
use super::{Config, DecoderSpec};

/// Llama, also with biases.
pub(super) fn llama(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    if config.flag_or("mlp_bias", false)? {
        spec.feed_forward = spec.feed_forward.with_bias();
    }
    let bias = config.flag_or("attention_bias", false)?;
    Ok(spec.with_qkv_bias(bias).with_heads(|heads| {
        heads.output = LinearSpec::new("self_attn.o_proj", bias);
    }))
}

/// XVERSE is Llama without any options.
pub(super) fn xverse(config: &Config) -> Result<DecoderSpec> {
    llama_like(config)
}

/// Yi as first published: Llama with names of its own for the norms.
pub(super) fn yi(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(&config.with_defaults(json!({"rope_theta": 5e6})))?;
    spec.block.attention_norm = Some(spec.final_norm.named("ln1"));
    spec.block.feed_forward_norm = Some(spec.final_norm.named("ln2"));
    Ok(spec)
}

/// Granite: Llama with factors on embeddings, residuals, scores and logits.
pub(super) fn granite(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama(config)?;
    spec.embedding.scale = config.number_or("embedding_multiplier", 1.0)? as f32;
    spec.block.residual_scale = config.number_or("residual_multiplier", 1.0)? as f32;
    spec.head.scale = 1.0 / config.number_or("logits_scaling", 1.0)? as f32;
    let scale = config.number_or("attention_multiplier", 1.0)? as f32;
    Ok(spec.with_heads(|heads| heads.scale = scale))
}

/// SmolLM3: Llama whose every n-th layer has no rotary positions, and only those a window, if there is one.
pub(super) fn smollm3(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "rope_theta": 2e6, "num_key_value_heads": 4, "max_position_embeddings": 32_768,
    }));
    let mut spec = llama(config)?;
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    let count = spec.layers.len();
    let rotates: Vec<bool> = match config.get("no_rope_layers") {
        // Despite its name, 1 marks a layer that does rotate.
        Some(_) => config.numbers("no_rope_layers")?.iter().map(|flag| *flag == 1.0).collect(),
        None => {
            let interval = config.size_or("no_rope_layer_interval", 4)?;
            (0..count).map(|layer| (layer + 1) % interval != 0).collect()
        }
    };
    if rotates.len() != count {
        let message = format!("has {} entries for {count} layers", rotates.len());
        return Err(config.error("no_rope_layers", message));
    }
    for (layer, rotates) in spec.layers.iter_mut().zip(&rotates) {
        layer.rope = layer.rope.filter(|_| *rotates);
    }
    let slides = sliding(config, count, |layer| !rotates[layer])?;
    Ok(spec.with_window(switched_window(config)?, |layer| slides[layer]))
}
