//! ChatGLM and GLM-4.

use serde_json::{Value, json};

use super::llama::sizes;
use super::{head_dim, layers, refuse_window, rope, with};
use crate::Result;
use crate::weights::gguf::metadata::Metadata;

/// ChatGLM, whose queries, keys and values have one map; where they have three it is GLM-4 in transformers' layout.
pub(super) fn chatglm(metadata: &Metadata) -> Result<Value> {
    if !metadata.has("attn_qkv.weight") {
        return glm4(metadata);
    }
    let heads = metadata.size("attention.head_count")?;
    let (dim, positions) = (head_dim(metadata)?, rope::partial(metadata)?);
    if positions["partial_rotary_factor"] != 0.5 {
        let message = format!("must be half of the {dim} dimensions of a head");
        return Err(metadata.error("rope.dimension_count", message));
    }
    let bias = metadata.has("attn_output.bias");
    Ok(json!({
        "model_type": "chatglm",
        "architectures": ["ChatGLMModel"],
        "hidden_size": metadata.size("embedding_length")?,
        "ffn_hidden_size": metadata.size("feed_forward_length")?,
        "num_layers": layers(metadata)?,
        "num_attention_heads": heads,
        "multi_query_attention": true,
        "multi_query_group_num": metadata.size_or("attention.head_count_kv", heads)?,
        "kv_channels": dim,
        "layernorm_epsilon": metadata.number("attention.layer_norm_rms_epsilon")?,
        "seq_length": metadata.size("context_length")?,
        "rope_ratio": rope::theta(metadata)? / 10_000.0,
        "add_qkv_bias": metadata.has_qkv_bias(),
        "add_bias_linear": bias,
        "padded_vocab_size": metadata.file.shape("token_embd.weight").and_then(|shape| shape.first()),
    }))
}

pub(super) fn glm4(metadata: &Metadata) -> Result<Value> {
    refuse_window(metadata)?;
    let keys = json!({
        "head_dim": head_dim(metadata)?,
        "rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon")?,
        "attention_bias": metadata.has_qkv_bias(),
        "hidden_act": "silu",
    });
    Ok(with(with(sizes(metadata)?, rope::partial(metadata)?), keys))
}
