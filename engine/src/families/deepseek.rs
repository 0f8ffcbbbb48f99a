//! DeepSeekMoE (Dai et al. 2024), and DeepSeek-V2 and V3 with latent attention.

use serde_json::json;

use crate::Result;
use crate::ops::{BalanceKind, GroupScore, Groups, Routing, Scoring};

use super::common::{EXPERT, activation, llama_like};
use super::llama::llama;
use super::rope::rope_parameters;
use super::spec::*;
use super::{Config, DecoderSpec, RopeScaling, RopeSpec};

/// The first generation: Llama's attention, fine-grained and shared experts.
pub(super) fn deepseek(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama(config)?;
    let mut experts = experts(config)?;
    experts.routing.normalise = config.flag_or("norm_topk_prob", false)?;
    let sequence = config.flag_or("seq_aux", true)?;
    experts.balance = if sequence { BalanceKind::Sequence } else { BalanceKind::Layer };
    experts.balance_coefficient = config.number_or("aux_loss_alpha", 0.001)? as f32;
    experts.always_balanced = experts.balance_coefficient > 0.0;
    experts.balance_reported = false;
    experts.adaptable_experts = true;
    place(config, &mut spec, experts)?;
    Ok(spec)
}

pub(super) fn deepseek_v2(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "n_routed_experts": 64, "n_shared_experts": 2, "moe_intermediate_size": 1407,
    }));
    let mut experts = experts(config)?;
    let method = if config.get("topk_method").is_some() { config.text("topk_method")? } else { "greedy" };
    experts.routing.scale = config.number_or("routed_scaling_factor", 1.0)? as f32;
    experts.adaptable_router = true;
    match method {
        "greedy" => {}
        "group_limited_greedy" => experts.routing.groups = Some(groups(config, GroupScore::Best)?),
        other => {
            let message = format!("is `{other}`; supported are greedy, group_limited_greedy");
            return Err(config.error("topk_method", message));
        }
    }
    latent(config, experts)
}

/// Sigmoid scores, chosen with a correction that balances without a loss.
pub(super) fn deepseek_v3(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
        "v_head_dim": 128, "n_routed_experts": 256, "n_shared_experts": 1, "moe_intermediate_size": 2048,
        "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3,
        "max_position_embeddings": 4096,
    }));
    let mut experts = experts(config)?;
    experts.routing = Routing {
        scoring: Scoring::Sigmoid,
        normalise: config.flag_or("norm_topk_prob", true)?,
        scale: config.number_or("routed_scaling_factor", 2.5)? as f32,
        groups: Some(groups(config, GroupScore::TwoBest)?),
        ..experts.routing
    };
    experts.correction = Some("mlp.gate.e_score_correction_bias");
    latent(config, experts)
}

fn groups(config: &Config, score: GroupScore) -> Result<Groups> {
    Ok(Groups { count: config.size_or("n_group", 1)?, top: config.size_or("topk_group", 1)?, score })
}

fn experts(config: &Config) -> Result<ExpertsSpec> {
    let width = config.size("moe_intermediate_size")?;
    let act = activation(config, "hidden_act", "silu")?;
    let shared = config.size_or("n_shared_experts", 1)?;
    let names =
        ["mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj", "mlp.shared_experts.down_proj"];
    let routing = Routing::softmax(config.size("n_routed_experts")?, config.size("num_experts_per_tok")?);
    let expert = FeedForwardSpec::gated(width, act, EXPERT);
    Ok(ExpertsSpec {
        shared: config.get("n_shared_experts").map(|_| FeedForwardSpec::gated(shared * width, act, names)),
        balance: BalanceKind::Sequence,
        ..ExpertsSpec::new(routing, "mlp.gate", "mlp.experts.{}", expert)
    })
}

/// Which layers have the experts.
fn place(config: &Config, spec: &mut DecoderSpec, experts: ExpertsSpec) -> Result<()> {
    let dense = config.number_or("first_k_dense_replace", 0.0)? as usize;
    let every = config.size_or("moe_layer_freq", 1)?;
    for (layer, place) in spec.layers.iter_mut().enumerate() {
        place.experts = layer >= dense && layer.is_multiple_of(every);
    }
    spec.experts = Some(experts);
    Ok(())
}

fn latent(config: &Config, mut experts: ExpertsSpec) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    if config.flag_or("mlp_bias", false)? {
        spec.feed_forward = spec.feed_forward.with_bias();
        experts.shared = experts.shared.map(FeedForwardSpec::with_bias);
    }
    let (plain, rotary) = (config.size("qk_nope_head_dim")?, config.size("qk_rope_head_dim")?);
    let rope = RopeSpec::read(config, rotary, spec.max_positions)?;
    let mut scale = 1.0 / ((plain + rotary) as f64).sqrt();
    // YaRN changes attention's temperature here, too: in the models as published, though not in transformers'
    // own class for V2.
    if let RopeScaling::Yarn { factor, .. } = rope.scaling {
        let all = rope_parameters(config)?.number_or("mscale_all_dim", 0.0)?;
        if all != 0.0 && factor > 1.0 {
            scale *= (0.1 * all * factor.ln() + 1.0).powi(2);
        }
    }
    spec.ropes = vec![if config.flag_or("rope_interleave", true)? { rope.interleaved() } else { rope }];
    spec.attention = AttentionKind::Latent(LatentSpec {
        heads: config.size("num_attention_heads")?,
        plain,
        rotary,
        value: config.size("v_head_dim")?,
        q_rank: config.get("q_lora_rank").map(|_| config.size("q_lora_rank")).transpose()?,
        kv_rank: config.size("kv_lora_rank")?,
        scale: scale as f32,
        bias: config.flag_or("attention_bias", false)?,
        // Of the latents' norms, whatever `rms_norm_eps` says of the others.
        eps: 1e-6,
    });
    place(config, &mut spec, experts)?;
    Ok(spec)
}
