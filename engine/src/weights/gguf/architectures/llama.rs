//! Llama and all that differ from it in few points.

use serde_json::{Value, json};

use super::{check_softmax, head_dim, layer_types, layers, refuse_window, rope, width, with};
use crate::Result;
use crate::weights::gguf::metadata::Metadata;

/// Sizes, under the keys that Llama's relatives share.
pub(super) fn sizes(metadata: &Metadata) -> Result<Value> {
    let heads = metadata.size("attention.head_count")?;
    Ok(json!({
        "hidden_size": metadata.size("embedding_length")?,
        "intermediate_size": width(metadata)?,
        "num_hidden_layers": layers(metadata)?,
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.size_or("attention.head_count_kv", heads)?,
        "max_position_embeddings": metadata.size("context_length")?,
    }))
}

/// The same with the width of a head, which families take to be another one where it is not said.
fn own_heads(metadata: &Metadata) -> Result<Value> {
    Ok(with(sizes(metadata)?, json!({"head_dim": head_dim(metadata)?})))
}

/// Sizes and RMSNorm, without positions.
fn unplaced(metadata: &Metadata) -> Result<Value> {
    let norm = json!({"rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon")?});
    Ok(with(own_heads(metadata)?, norm))
}

/// What is the same in all of them; they differ by `model_type`.
fn base(metadata: &Metadata) -> Result<Value> {
    let biases = json!({
        "attention_bias": metadata.has_qkv_bias(),
        "mlp_bias": metadata.has("ffn_down.bias"),
        "hidden_act": "silu",
    });
    Ok(with(with(unplaced(metadata)?, rope::whole(metadata)?), biases))
}

/// Those without keys of their own.
pub(super) fn plain(metadata: &Metadata) -> Result<Value> {
    refuse_window(metadata)?;
    base(metadata)
}

/// The architecture of Llama is also that of Mistral and Mixtral, and of whatever has their tensors.
pub(super) fn llama(metadata: &Metadata) -> Result<Value> {
    let base = base(metadata)?;
    let experts = metadata.size_or("expert_count", 0)?;
    let window = metadata.size_if("attention.sliding_window")?.filter(|window| *window > 0);
    let (model_type, class) = if experts > 0 {
        ("mixtral", "MixtralForCausalLM")
    } else if window.is_some() {
        ("mistral", "MistralForCausalLM")
    } else if metadata.has_qkv_bias() && !metadata.has("attn_output.bias") {
        ("qwen2", "Qwen2ForCausalLM")
    } else {
        return Ok(base);
    };
    let mut keys = json!({"model_type": model_type, "architectures": [class], "sliding_window": window});
    if experts > 0 {
        check_softmax(metadata)?;
        keys["num_local_experts"] = json!(experts);
        keys["num_experts_per_tok"] = json!(metadata.size("expert_used_count")?);
    }
    Ok(with(base, keys))
}

pub(super) fn qwen2_moe(metadata: &Metadata) -> Result<Value> {
    let width = metadata.size("feed_forward_length")?;
    let shared = metadata.size_or("expert_shared_feed_forward_length", width)?;
    let keys = json!({
        "qkv_bias": metadata.has_qkv_bias(),
        "shared_expert_intermediate_size": shared,
        "norm_topk_prob": metadata.flag_or("expert_weights_norm", false)?,
    });
    Ok(with(with(plain(metadata)?, mixture(metadata)?), keys))
}

pub(super) fn qwen3_moe(metadata: &Metadata) -> Result<Value> {
    let keys = json!({"norm_topk_prob": metadata.flag_or("expert_weights_norm", true)?});
    Ok(with(with(plain(metadata)?, mixture(metadata)?), keys))
}

/// Experts of Qwen. Without a width of their own they share that of the dense model among those that are used.
fn mixture(metadata: &Metadata) -> Result<Value> {
    check_softmax(metadata)?;
    let used = metadata.size("expert_used_count")?;
    let width = metadata.size("feed_forward_length")? / used.max(1);
    Ok(json!({
        "num_experts": metadata.size("expert_count")?,
        "num_experts_per_tok": used,
        "moe_intermediate_size": metadata.size_or("expert_feed_forward_length", width)?,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
    }))
}

/// The first Qwen; the width it names is that of gate and up together.
pub(super) fn qwen(metadata: &Metadata) -> Result<Value> {
    let (heads, context) = (metadata.size("attention.head_count")?, metadata.size("context_length")?);
    // Newer files name the epsilon as if it were one of LayerNorm.
    let eps = match metadata.number_if("attention.layer_norm_rms_epsilon")? {
        Some(eps) => eps,
        None => metadata.number("attention.layer_norm_epsilon")?,
    };
    rope::whole(metadata)?;
    Ok(json!({
        "hidden_size": metadata.size("embedding_length")?,
        "intermediate_size": metadata.size("feed_forward_length")?,
        "num_hidden_layers": layers(metadata)?,
        "num_attention_heads": heads,
        "kv_channels": head_dim(metadata)?,
        "layer_norm_epsilon": eps,
        "rotary_emb_base": rope::theta(metadata)?,
        "max_position_embeddings": context,
        // The context that the model was trained on is not written; llama.cpp stretches nothing either.
        "seq_length": context,
        "use_dynamic_ntk": false,
        "use_logn_attn": false,
    }))
}

pub(super) fn gemma(metadata: &Metadata) -> Result<Value> {
    Ok(with(plain(metadata)?, json!({"hidden_activation": "gelu_pytorch_tanh"})))
}

pub(super) fn gemma2(metadata: &Metadata) -> Result<Value> {
    let keys = json!({
        "sliding_window": metadata.size_or("attention.sliding_window", 4096)?,
        "layer_types": layer_types(metadata, 2)?,
        "attn_logit_softcapping": cap(metadata, "attn_logit_softcapping", 50.0)?,
        "final_logit_softcapping": cap(metadata, "final_logit_softcapping", 30.0)?,
        "query_pre_attn_scalar": query_scalar(metadata, 46)?,
        "hidden_activation": "gelu_pytorch_tanh",
    });
    Ok(with(base(metadata)?, keys))
}

pub(super) fn gemma3(metadata: &Metadata) -> Result<Value> {
    let window = metadata.size_if("attention.sliding_window")?.filter(|window| *window > 0);
    let mut keys = json!({
        "sliding_window": window,
        "rope_local_base_freq": metadata.number_or("rope.freq_base_swa", 10_000.0)?,
        "final_logit_softcapping": cap(metadata, "final_logit_softcapping", 0.0)?,
        "query_pre_attn_scalar": query_scalar(metadata, 62)?,
        "hidden_activation": "gelu_pytorch_tanh",
    });
    // Without a window every layer rotates as the global ones do.
    keys["layer_types"] = match window {
        Some(_) => json!(layer_types(metadata, 6)?),
        None => json!(vec!["full_attention"; layers(metadata)?]),
    };
    Ok(with(base(metadata)?, keys))
}

/// A cap on logits; 0 means none.
fn cap(metadata: &Metadata, key: &str, default: f64) -> Result<Option<f64>> {
    Ok(Some(metadata.number_or(key, default)?).filter(|cap| *cap != 0.0))
}

/// The inverse square of the factor on the scores, which is not written as a rule: the dimensions of a head, but in the
/// 27B models, which are known by their layers, the width shared among the heads.
fn query_scalar(metadata: &Metadata, largest: usize) -> Result<Value> {
    if let Some(scale) = metadata.number_if("attention.scale")? {
        return Ok(json!(1.0 / (scale * scale)));
    }
    if layers(metadata)? == largest {
        return Ok(json!(metadata.size("embedding_length")? / metadata.size("attention.head_count")?.max(1)));
    }
    Ok(json!(head_dim(metadata)?))
}

/// A window of 0 marks Phi-4, which has none.
pub(super) fn phi3(metadata: &Metadata) -> Result<Value> {
    let positions = rope::partial(metadata)?;
    let context = metadata.size("context_length")?;
    let keys = json!({
        "sliding_window": metadata.size_if("attention.sliding_window")?.filter(|window| *window > 0),
        "original_max_position_embeddings": metadata.size_or("rope.scaling.original_context_length", context)?,
    });
    Ok(with(with(unplaced(metadata)?, positions), keys))
}

pub(super) fn starcoder2(metadata: &Metadata) -> Result<Value> {
    let keys = json!({
        "norm_epsilon": metadata.number("attention.layer_norm_epsilon")?,
        "use_bias": metadata.has_qkv_bias(),
        "sliding_window": metadata.size_if("attention.sliding_window")?.filter(|window| *window > 0),
        "hidden_act": "gelu_pytorch_tanh",
    });
    Ok(with(with(own_heads(metadata)?, rope::whole(metadata)?), keys))
}

pub(super) fn cohere(metadata: &Metadata) -> Result<Value> {
    refuse_window(metadata)?;
    let keys = json!({
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon")?,
        // Without a factor the logits stay as they are.
        "logit_scale": Some(metadata.number_or("logit_scale", 0.0)?).filter(|scale| *scale != 0.0).unwrap_or(1.0),
        "use_qk_norm": metadata.has("attn_q_norm.weight"),
        "attention_bias": metadata.has_qkv_bias(),
        "hidden_act": "silu",
    });
    Ok(with(with(own_heads(metadata)?, rope::whole(metadata)?), keys))
}

pub(super) fn cohere2(metadata: &Metadata) -> Result<Value> {
    let keys = json!({
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon")?,
        "logit_scale": metadata.number("logit_scale")?,
        "sliding_window": metadata.size("attention.sliding_window")?,
        "layer_types": layer_types(metadata, 4)?,
        "attention_bias": metadata.has_qkv_bias(),
        "hidden_act": "silu",
    });
    Ok(with(with(own_heads(metadata)?, rope::whole(metadata)?), keys))
}

/// A factor of 0 means none.
pub(super) fn granite(metadata: &Metadata) -> Result<Value> {
    let factor = |key: &str, none: f64| -> Result<f64> {
        let factor = metadata.number_or(key, 0.0)?;
        Ok(if factor == 0.0 { none } else { factor })
    };
    let keys = json!({
        "embedding_multiplier": factor("embedding_scale", 1.0)?,
        "residual_multiplier": factor("residual_scale", 1.0)?,
        "attention_multiplier": factor("attention.scale", 1.0 / (head_dim(metadata)? as f64).sqrt())?,
        "logits_scaling": factor("logit_scale", 1.0)?,
    });
    Ok(with(plain(metadata)?, keys))
}

/// MiniCPM computes as Granite does, whose factors have names of their own; older files leave them out.
pub(super) fn minicpm(metadata: &Metadata) -> Result<Value> {
    let (hidden, depth) = (metadata.size("embedding_length")? as f64, layers(metadata)? as f64);
    let keys = json!({
        "embedding_multiplier": metadata.number_or("embedding_scale", 12.0)?,
        "residual_multiplier": metadata.number_or("residual_scale", 1.4 / depth.sqrt())?,
        "attention_multiplier": 1.0 / (head_dim(metadata)? as f64).sqrt(),
        "logits_scaling": metadata.number_or("logit_scale", hidden / 256.0)?,
    });
    Ok(with(plain(metadata)?, keys))
}

pub(super) fn internlm2(metadata: &Metadata) -> Result<Value> {
    Ok(with(plain(metadata)?, json!({"bias": metadata.has_qkv_bias()})))
}

/// The 13B models have linear position biases instead of rotation, which no key says; they are known by their layers,
/// as in llama.cpp.
pub(super) fn baichuan(metadata: &Metadata) -> Result<Value> {
    let alibi = metadata.number_or("attention.max_alibi_bias", 0.0)? > 0.0 || layers(metadata)? == 40;
    let mut values = plain(metadata)?;
    if alibi {
        values["model_max_length"] = values["max_position_embeddings"].take();
    }
    Ok(values)
}

/// Norms have no parameters, and the epsilon that the engine knows.
pub(super) fn olmo(metadata: &Metadata) -> Result<Value> {
    let eps = metadata.number("attention.layer_norm_epsilon")?;
    if eps != 1e-5 {
        return Err(
            metadata.error("attention.layer_norm_epsilon", format!("is {eps}; only 1e-5 is supported"))
        );
    }
    let keys = json!({
        "clip_qkv": metadata.number_if("attention.clamp_kqv")?.filter(|clip| *clip > 0.0),
        "hidden_act": "silu",
    });
    refuse_window(metadata)?;
    Ok(with(with(own_heads(metadata)?, rope::whole(metadata)?), keys))
}

/// Every fourth layer does not rotate, which no key says.
pub(super) fn smollm3(metadata: &Metadata) -> Result<Value> {
    Ok(with(plain(metadata)?, json!({"no_rope_layer_interval": 4})))
}
