//! DeepSeek's mixtures of experts.

use serde_json::{Value, json};

use super::llama::{plain, sizes};
use super::{SIGMOID, SOFTMAX, check_softmax, layers, refuse_window, rope, with};
use crate::Result;
use crate::weights::gguf::metadata::Metadata;

/// Experts of DeepSeek-V3, which older files leave to the reader to group.
const V3_EXPERTS: usize = 256;

pub(super) fn deepseek(metadata: &Metadata) -> Result<Value> {
    let scale = metadata.number_or("expert_weights_scale", 1.0)?;
    if scale != 1.0 {
        let message = format!("is {scale}; only 1 is supported for this architecture");
        return Err(metadata.error("expert_weights_scale", message));
    }
    check_softmax(metadata)?;
    Ok(with(plain(metadata)?, experts(metadata)?))
}

fn experts(metadata: &Metadata) -> Result<Value> {
    let shared = metadata.size_or("expert_shared_count", 0)?;
    Ok(json!({
        "first_k_dense_replace": metadata.size_or("leading_dense_block_count", 0)?,
        "moe_layer_freq": 1,
        "moe_intermediate_size": metadata.size("expert_feed_forward_length")?,
        "n_routed_experts": metadata.size("expert_count")?,
        "num_experts_per_tok": metadata.size("expert_used_count")?,
        "n_shared_experts": Some(shared).filter(|shared| *shared > 0),
        "norm_topk_prob": metadata.flag_or("expert_weights_norm", false)?,
    }))
}

/// The second generation and the third, whose scores are sigmoids.
pub(super) fn deepseek2(metadata: &Metadata) -> Result<Value> {
    refuse_window(metadata)?;
    let values =
        with(with(with(sizes(metadata)?, experts(metadata)?), latent(metadata)?), positions(metadata)?);
    let groups = metadata.size_if("expert_group_count")?;
    let used_groups = metadata.size_if("expert_group_used_count")?;
    let keys = match metadata.size_or("expert_gating_func", SOFTMAX)? {
        0 | SOFTMAX => {
            if metadata.flag_or("expert_weights_norm", false)? {
                let message = "is true, which is not supported with softmax scores";
                return Err(metadata.error("expert_weights_norm", message));
            }
            let grouped = groups.is_some_and(|groups| groups > 1);
            json!({"topk_method": if grouped { "group_limited_greedy" } else { "greedy" }})
        }
        SIGMOID => json!({"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"]}),
        other => {
            let message = format!("is {other}; supported are 1 (softmax), 2 (sigmoid)");
            return Err(metadata.error("expert_gating_func", message));
        }
    };
    let (default, default_used) = if values["n_routed_experts"] == V3_EXPERTS { (8, 4) } else { (1, 1) };
    let choice = json!({
        "n_group": groups.unwrap_or(default),
        "topk_group": used_groups.unwrap_or(default_used),
        "routed_scaling_factor": metadata.number_or("expert_weights_scale", 1.0)?,
    });
    Ok(with(with(values, choice), keys))
}

/// Sizes of the heads. Newer files call a head of keys what the latent has, and a head's own sizes with `_mla`.
fn latent(metadata: &Metadata) -> Result<Value> {
    let rotary = metadata.size("rope.dimension_count")?;
    let (key, value) = (metadata.size("attention.key_length")?, metadata.size("attention.value_length")?);
    let key = metadata.size_or("attention.key_length_mla", key)?;
    let heads = metadata.size("attention.head_count")?;
    // Of an architecture whose latent is one for all heads, the file says that there is one for all keys and values.
    metadata.get("attention.head_count_kv");
    Ok(json!({
        "num_hidden_layers": layers(metadata)?,
        "num_key_value_heads": heads,
        "q_lora_rank": metadata.size_if("attention.q_lora_rank")?.filter(|rank| *rank > 0),
        "kv_lora_rank": metadata.size("attention.kv_lora_rank")?,
        "qk_rope_head_dim": rotary,
        "qk_nope_head_dim": key.saturating_sub(rotary),
        "v_head_dim": metadata.size_or("attention.value_length_mla", value)?,
        "attention_bias": metadata.has("attn_q_a.bias") || metadata.has("attn_kv_a_mqa.bias"),
        "rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon")?,
        "hidden_act": "silu",
    }))
}

/// With YaRN the file has a tenth of `mscale_all_dim`; `mscale` is the same number in all published models.
fn positions(metadata: &Metadata) -> Result<Value> {
    let mut positions = rope::positions(metadata)?;
    if let Some(multiplier) = metadata.number_if("rope.scaling.yarn_log_multiplier")?
        && let Some(scaling) = positions.get_mut("rope_scaling")
    {
        let all = (multiplier * 1e7).round() / 1e6;
        (scaling["mscale"], scaling["mscale_all_dim"]) = (json!(all), json!(all));
    }
    Ok(positions)
}
