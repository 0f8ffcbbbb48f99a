//! Mistral: Llama with a sliding window (Jiang et al. 2023); Mixtral: the same with experts.

use serde_json::json;

use crate::Result;
use crate::ops::Routing;

use super::common::{llama_like, window};
use super::spec::{ExpertsSpec, FeedForwardSpec};
use super::{Config, DecoderSpec};

pub(super) fn mistral(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 8, "max_position_embeddings": 131_072, "sliding_window": 4096,
    }));
    Ok(llama_like(config)?.with_window(window(config)?, |_| true))
}

pub(super) fn mixtral(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 8, "max_position_embeddings": 131_072, "rope_theta": 1e6, "rms_norm_eps": 1e-5,
    }));
    let mut spec = llama_like(config)?.with_window(window(config)?, |_| true);
    spec.layers.iter_mut().for_each(|layer| layer.experts = true);
    let experts = config.size_or("num_local_experts", 8)?;
    let top_k = config.size_or("num_experts_per_tok", 2)?;
    let routing = Routing { normalise: true, ..Routing::softmax(experts, top_k) };
    let FeedForwardSpec { width, activation, .. } = spec.feed_forward;
    let expert = FeedForwardSpec::gated(width, activation, ["w1", "w3", "w2"]);
    let (router, prefix) = ("block_sparse_moe.gate", "block_sparse_moe.experts.{}");
    spec.experts = Some(ExpertsSpec::new(routing, router, prefix, expert).with_batch_balance(config)?);
    Ok(spec)
}
