//! Mistral: Llama with a sliding window (Jiang et al. 2023); Mixtral: the same with experts.

use crate::Result;
use crate::kernel::activation::Activation;
use crate::ops::{BalanceKind, Routing, Scoring};

use super::common::{llama_like, window};
use super::spec::{ExpertsSpec, FeedForwardSpec};
use super::{Config, DecoderSpec};

pub fn mistral(config: &Config) -> Result<DecoderSpec> {
    Ok(llama_like(config)?.with_window(window(config, "sliding_window")?, |_| true))
}

pub fn mixtral(config: &Config) -> Result<DecoderSpec> {
    let mut spec = mistral(config)?;
    spec.layers.iter_mut().for_each(|layer| layer.experts = true);
    let width = spec.feed_forward.width;
    spec.experts = Some(ExpertsSpec {
        routing: Routing {
            experts: config.size_or("num_local_experts", 8)?,
            top_k: config.size_or("num_experts_per_tok", 2)?,
            scoring: Scoring::Softmax,
            normalise: true,
            scale: 1.0,
            groups: None,
        },
        router: "block_sparse_moe.gate",
        correction: None,
        prefix: "block_sparse_moe.experts.{}",
        expert: FeedForwardSpec::gated(width, Activation::Silu, ["w1", "w3", "w2"]),
        shared: None,
        shared_gate: None,
        balance: BalanceKind::Batch,
        balance_coefficient: config.number_or("router_aux_loss_coef", 0.001)? as f32,
        always_balanced: config.flag_or("output_router_logits", false)?,
        balance_reported: true,
        adaptable_router: false,
        adaptable_experts: false,
    });
    Ok(spec)
}
