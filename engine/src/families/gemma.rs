//! Gemma, Gemma 2 and the text part of Gemma 3.

use serde_json::json;

use crate::Result;
use crate::kernel::activation::Activation;

use super::common::{activation, sliding, window};
use super::llama::llama;
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// Gemma: norms around one, scaled embeddings, GeGLU.
pub(super) fn gemma(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 16, "head_dim": 256, "max_position_embeddings": 8192,
        "hidden_act": "gelu_pytorch_tanh",
    }));
    let mut spec = llama(config)?;
    let one_plus = |norm: NormSpec| NormSpec { one_plus: true, ..norm };
    spec.block.attention_norm = spec.block.attention_norm.map(one_plus);
    spec.block.feed_forward_norm = spec.block.feed_forward_norm.map(one_plus);
    spec.final_norm = one_plus(spec.final_norm);
    spec.embedding.scale = (spec.hidden as f32).sqrt();
    // `hidden_act: gelu` of the first configurations means the approximation, too.
    let key = if config.get("hidden_activation").is_some() { "hidden_activation" } else { "hidden_act" };
    spec.feed_forward.activation = match activation(config, key, "gelu_pytorch_tanh")? {
        Activation::Gelu if key == "hidden_act" => Activation::GeluTanh,
        other => other,
    };
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    Ok(spec)
}

/// Norms on both sides, capped scores and logits, a window in every second layer.
pub(super) fn gemma2(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 4, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 4096,
        "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0,
    }));
    let spec = sandwiched(config)?;
    let slides = sliding(config, spec.layers.len(), |layer| layer.is_multiple_of(2))?;
    let cap = cap(config, "attn_logit_softcapping")?;
    Ok(spec.with_heads(|heads| heads.cap = cap).with_window(window(config)?, |layer| slides[layer]))
}

/// Norms of queries and keys, local layers with frequencies of their own.
pub(super) fn gemma3(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131_072,
        "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 4096,
    }));
    let mut spec = sandwiched(config)?;
    let pattern = config.size_or("sliding_window_pattern", 6)?;
    let slides = sliding(config, spec.layers.len(), |layer| !(layer + 1).is_multiple_of(pattern))?;
    spec.ropes = vec![
        rope(config, &spec, "full_attention", ("rope_theta", 1e6))?,
        rope(config, &spec, "sliding_attention", ("rope_local_base_freq", 1e4))?,
    ];
    for (layer, slides) in spec.layers.iter_mut().zip(&slides) {
        layer.rope = Some(usize::from(*slides));
    }
    let norm = |name| spec.final_norm.named(name);
    let (q, k) = (norm("self_attn.q_norm"), norm("self_attn.k_norm"));
    let norms = HeadNormSpec { q, k, span: HeadNormSpan::Head };
    Ok(spec.with_heads(|heads| heads.norm = Some(norms)).with_window(window(config)?, |layer| slides[layer]))
}

/// Frequencies of one type of layer, of which `rope_parameters` has an object each; `rope_scaling` is for the
/// global ones.
fn rope(config: &Config, spec: &DecoderSpec, layers: &str, (key, theta): (&str, f64)) -> Result<RopeSpec> {
    let own = config.object("rope_parameters")?.map(|types| types.object(layers)).transpose()?.flatten();
    let scaling = config.object("rope_scaling")?.filter(|_| layers == "full_attention");
    let mut values = own.map(|own| own.values).unwrap_or_default();
    values.extend(scaling.into_iter().flat_map(|scaling| scaling.values));
    let parameters = Config { path: config.path.clone(), values };
    let parameters = parameters.with_defaults(json!({"rope_theta": config.number_or(key, theta)?}));
    RopeSpec::of(&parameters, config, spec.head_sizes().2, spec.max_positions)
}

/// What the later generations share: norms on both sides, scores scaled by a number of their own.
fn sandwiched(config: &Config) -> Result<DecoderSpec> {
    let mut spec = gemma(config)?;
    let names = ["post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
    let [post, before, after] = names.map(|name| spec.final_norm.named(name));
    spec.block.attention_post_norm = Some(post);
    spec.block.feed_forward_norm = Some(before);
    spec.block.feed_forward_post_norm = Some(after);
    spec.head.cap = cap(config, "final_logit_softcapping")?;
    let scale = 1.0 / config.number_or("query_pre_attn_scalar", 256.0)?.sqrt();
    Ok(spec.with_heads(|heads| heads.scale = scale as f32))
}

fn cap(config: &Config, key: &str) -> Result<Option<f32>> {
    config.get(key).map(|_| Ok(config.number(key)? as f32)).transpose()
}
