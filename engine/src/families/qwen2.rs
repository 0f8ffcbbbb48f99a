//! Qwen 1.5, 2 and 2.5, Qwen 3, and their mixtures of experts.

use serde_json::json;

use crate::Result;
use crate::ops::Routing;

use super::common::{EXPERT, activation, llama_like, sliding, switched_window};
use super::llama::llama;
use super::spec::*;
use super::{Config, DecoderSpec};

/// Llama with biases on queries, keys and values.
pub(super) fn qwen2(config: &Config) -> Result<DecoderSpec> {
    let config = &dense_defaults(config);
    windowed(config, llama_like(config)?.with_qkv_bias(true), |layer, first| layer >= first)
}

/// Without biases, with norms of queries and keys.
pub(super) fn qwen3(config: &Config) -> Result<DecoderSpec> {
    let config = &dense_defaults(config).with_defaults(json!({"head_dim": 128}));
    windowed(config, normed(config)?, |layer, first| layer >= first)
}

pub(super) fn qwen2_moe(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "max_position_embeddings": 32_768, "num_key_value_heads": 16, "sliding_window": 4096, "num_experts": 60,
        "num_experts_per_tok": 4, "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632,
    }));
    let spec = llama_like(config)?.with_qkv_bias(config.flag_or("qkv_bias", true)?);
    let spec = windowed(config, spec, |layer, first| layer.is_multiple_of(2) && layer < first)?;
    let mut spec = mixture(config, spec)?;
    let names = ["mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj"];
    if let Some(experts) = &mut spec.experts {
        let width = config.size("shared_expert_intermediate_size")?;
        experts.shared = Some(FeedForwardSpec::gated(width, experts.expert.activation, names));
        experts.shared_gate = Some("mlp.shared_expert_gate");
    }
    Ok(spec)
}

/// A window, where it is switched on, is in every layer.
pub(super) fn qwen3_moe(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "max_position_embeddings": 32_768, "num_key_value_heads": 4, "sliding_window": 4096,
        "num_experts_per_tok": 8, "moe_intermediate_size": 768,
        "num_experts": config.get("num_local_experts").cloned().unwrap_or(json!(128)),
    }));
    mixture(config, normed(config)?.with_window(switched_window(config)?, |_| true))
}

fn dense_defaults(config: &Config) -> Config {
    config.with_defaults(json!({
        "max_position_embeddings": 32_768, "num_key_value_heads": 32, "sliding_window": 4096,
    }))
}

fn normed(config: &Config) -> Result<DecoderSpec> {
    let eps = config.number_or("rms_norm_eps", 1e-6)?;
    let norm = HeadNormSpec {
        q: NormSpec::rms("self_attn.q_norm", eps),
        k: NormSpec::rms("self_attn.k_norm", eps),
        span: HeadNormSpan::Head,
    };
    Ok(llama(config)?.with_heads(|heads| heads.norm = Some(norm)))
}

/// A window in the layers that `layer_types` says, else those that `rule` says of layer and
/// `max_window_layers`.
fn windowed(config: &Config, spec: DecoderSpec, rule: fn(usize, usize) -> bool) -> Result<DecoderSpec> {
    let first = config.number_or("max_window_layers", 28.0)? as usize;
    let slides = sliding(config, spec.layers.len(), |layer| rule(layer, first))?;
    Ok(spec.with_window(switched_window(config)?, |layer| slides[layer]))
}

fn mixture(config: &Config, mut spec: DecoderSpec) -> Result<DecoderSpec> {
    let count = config.size("num_experts")?;
    let step = config.size_or("decoder_sparse_step", 1)?;
    let dense =
        if config.get("mlp_only_layers").is_some() { config.numbers("mlp_only_layers")? } else { Vec::new() };
    for (layer, place) in spec.layers.iter_mut().enumerate() {
        place.experts = (layer + 1) % step == 0 && !dense.contains(&(layer as f64));
    }
    let width = config.size("moe_intermediate_size")?;
    let act = activation(config, "hidden_act", "silu")?;
    let routing = Routing {
        normalise: config.flag_or("norm_topk_prob", false)?,
        ..Routing::softmax(count, config.size("num_experts_per_tok")?)
    };
    let expert = FeedForwardSpec::gated(width, act, EXPERT);
    let experts = ExpertsSpec::new(routing, "mlp.gate", "mlp.experts.{}", expert);
    spec.experts = Some(experts.with_batch_balance(config)?);
    Ok(spec)
}
