//! Qwen 1.5, 2 and 2.5, Qwen 3, and their mixtures of experts.

use crate::Result;
use crate::ops::Routing;

use super::common::{EXPERT, activation, llama_like, window};
use super::llama::llama;
use super::spec::*;
use super::{Config, DecoderSpec};

/// Llama with biases on queries, keys and values.
pub fn qwen2(config: &Config) -> Result<DecoderSpec> {
    windowed(config, llama_like(config)?.with_qkv_bias(true))
}

/// Without biases, with norms of queries and keys.
pub fn qwen3(config: &Config) -> Result<DecoderSpec> {
    let eps = config.number_or("rms_norm_eps", 1e-6)?;
    let norm = HeadNormSpec {
        q: NormSpec::rms("self_attn.q_norm", eps),
        k: NormSpec::rms("self_attn.k_norm", eps),
        span: HeadNormSpan::Head,
    };
    windowed(config, llama(config)?.with_heads(|heads| heads.norm = Some(norm)))
}

pub fn qwen2_moe(config: &Config) -> Result<DecoderSpec> {
    let bias = config.flag_or("qkv_bias", true)?;
    let mut spec = mixture(config, windowed(config, llama_like(config)?.with_qkv_bias(bias))?)?;
    let names = ["mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj"];
    if let Some(experts) = &mut spec.experts {
        let width = config.size("shared_expert_intermediate_size")?;
        experts.shared = Some(FeedForwardSpec::gated(width, experts.expert.activation, names));
        experts.shared_gate = Some("mlp.shared_expert_gate");
    }
    Ok(spec)
}

pub fn qwen3_moe(config: &Config) -> Result<DecoderSpec> {
    mixture(config, qwen3(config)?)
}

/// A window in the layers from `max_window_layers` on, where it is switched on.
fn windowed(config: &Config, spec: DecoderSpec) -> Result<DecoderSpec> {
    if !config.flag_or("use_sliding_window", false)? {
        return Ok(spec);
    }
    let first = config.number_or("max_window_layers", 28.0)? as usize;
    Ok(spec.with_window(window(config, "sliding_window")?, |layer| layer >= first))
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
        ..Routing::softmax(count, config.size_or("num_experts_per_tok", 4)?)
    };
    let expert = FeedForwardSpec::gated(width, act, EXPERT);
    let experts = ExpertsSpec::new(routing, "mlp.gate", "mlp.experts.{}", expert);
    spec.experts = Some(experts.with_batch_balance(config)?);
    Ok(spec)
}
