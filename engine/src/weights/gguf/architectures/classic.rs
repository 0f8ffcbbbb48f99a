//! Architectures that are no relatives of Llama: GPT-2, GPT-NeoX, BLOOM, Falcon, Phi-2.

use serde_json::{Value, json};

use super::llama::sizes;
use super::{head_dim, layers, rope, width, with};
use crate::Result;
use crate::weights::gguf::metadata::Metadata;

pub(super) fn gpt2(metadata: &Metadata) -> Result<Value> {
    metadata.get("attention.head_count_kv");
    Ok(json!({
        "n_embd": metadata.size("embedding_length")?,
        "n_inner": width(metadata)?,
        "n_layer": layers(metadata)?,
        "n_head": metadata.size("attention.head_count")?,
        "n_positions": metadata.size("context_length")?,
        "layer_norm_epsilon": metadata.number("attention.layer_norm_epsilon")?,
        "activation_function": "gelu_new",
    }))
}

pub(super) fn gpt_neox(metadata: &Metadata) -> Result<Value> {
    let keys = json!({
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon")?,
        "use_parallel_residual": metadata.flag_or("use_parallel_residual", true)?,
        "attention_bias": metadata.has_qkv_bias(),
        "hidden_act": "gelu",
    });
    Ok(with(with(sizes(metadata)?, rope::partial(metadata)?), keys))
}

/// The inner layers are four times as wide as the outer ones.
pub(super) fn bloom(metadata: &Metadata) -> Result<Value> {
    let (hidden, width) = (metadata.size("embedding_length")?, width(metadata)?);
    if width != 4 * hidden {
        let message = format!("is {width}; only four times the embedding_length ({hidden}) is supported");
        return Err(metadata.error("feed_forward_length", message));
    }
    metadata.get("attention.head_count_kv");
    Ok(json!({
        "hidden_size": hidden,
        "n_layer": layers(metadata)?,
        "n_head": metadata.size("attention.head_count")?,
        "seq_length": metadata.size("context_length")?,
        "layer_norm_epsilon": metadata.number("attention.layer_norm_epsilon")?,
    }))
}

/// The newer models have groups of queries, or a norm for each half of the block.
pub(super) fn falcon(metadata: &Metadata) -> Result<Value> {
    let heads = metadata.size("attention.head_count")?;
    let kv_heads = metadata.size_or("attention.head_count_kv", heads)?;
    let two_norms = metadata.has("attn_norm_2.weight");
    let keys = json!({
        "hidden_size": metadata.size("embedding_length")?,
        "ffn_hidden_size": width(metadata)?,
        "num_hidden_layers": layers(metadata)?,
        "num_attention_heads": heads,
        "num_kv_heads": kv_heads,
        "max_position_embeddings": metadata.size("context_length")?,
        "layer_norm_epsilon": metadata.number("attention.layer_norm_epsilon")?,
        "new_decoder_architecture": two_norms || kv_heads > 1,
        "num_ln_in_parallel_attn": if two_norms { 2 } else { 1 },
        "multi_query": kv_heads == 1,
        "parallel_attn": true,
        "alibi": false,
        "bias": metadata.has_qkv_bias(),
        "activation": "gelu",
    });
    Ok(with(rope::whole(metadata)?, keys))
}

pub(super) fn phi2(metadata: &Metadata) -> Result<Value> {
    let keys = json!({
        "head_dim": head_dim(metadata)?,
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon")?,
        "hidden_act": "gelu_new",
    });
    Ok(with(with(sizes(metadata)?, rope::partial(metadata)?), keys))
}
