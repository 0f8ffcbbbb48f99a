//! Falcon: 7B, 40B and 180B in parallel blocks, RefinedWeb with linear position biases.

use crate::Result;

use super::common::{activation, refuse};
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

pub(super) fn falcon(config: &Config) -> Result<DecoderSpec> {
    refuse(config, "apply_residual_connection_post_layernorm")?;
    let key = |new, old| if config.get(new).is_some() { new } else { old };
    let hidden = config.size(key("hidden_size", "n_embed"))?;
    let heads = config.size(key("num_attention_heads", "n_head"))?;
    let head_dim = hidden / heads;
    let newer = config.flag_or("new_decoder_architecture", false)?;
    let alibi = config.flag_or("alibi", false)?;
    let bias = config.flag_or("bias", false)?;
    let (kv_heads, order) = match (newer, config.flag_or("multi_query", true)?) {
        (true, _) => (config.size_or("num_kv_heads", heads)?, HeadOrder::Grouped),
        (false, true) => (1, HeadOrder::Split),
        (false, false) => (heads, HeadOrder::Grouped),
    };
    let mut attention = HeadsSpec::new(heads, kv_heads, head_dim).joint(
        LinearSpec::new("self_attention.query_key_value", bias),
        order,
        LinearSpec::new("self_attention.dense", bias),
    );
    attention.alibi = alibi.then_some(AlibiSpec::Unscaled);
    let layers = config.size(key("num_hidden_layers", "n_layer"))?;
    let positions = config.size_or("max_position_embeddings", 2048)?;
    let (layers, ropes) = if alibi {
        (vec![LayerSpec::default(); layers], Vec::new())
    } else {
        (super::common::rotating(layers), vec![RopeSpec::read(config, head_dim, positions)?])
    };
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        max_positions: positions,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec::new("transformer.word_embeddings"),
        block: block(config, newer)?,
        attention: AttentionKind::Heads(attention),
        feed_forward: FeedForwardSpec::plain(
            config.size_or("ffn_hidden_size", 4 * hidden)?,
            activation(config, "activation", "gelu")?,
            LinearSpec::new("mlp.dense_h_to_4h", bias),
            LinearSpec::new("mlp.dense_4h_to_h", bias),
        ),
        experts: None,
        layers,
        ropes,
        final_norm: NormSpec::layer("transformer.ln_f", config.number_or("layer_norm_epsilon", 1e-5)?),
        head: HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", true)?),
    })
}

/// Two norms of the block's input, or one, or one after the other.
fn block(config: &Config, newer: bool) -> Result<BlockSpec> {
    let eps = config.number_or("layer_norm_epsilon", 1e-5)?;
    let parallel = newer || config.flag_or("parallel_attn", true)?;
    let norms = config.size_or("num_ln_in_parallel_attn", if newer { 2 } else { 1 })?;
    let names = match (parallel, norms) {
        (true, 2) => ["ln_attn", "ln_mlp"],
        (true, _) => ["input_layernorm", "input_layernorm"],
        (false, _) => ["input_layernorm", "post_attention_layernorm"],
    };
    let [first, second] = names.map(|name| NormSpec::layer(name, eps));
    Ok(BlockSpec { parallel, ..BlockSpec::sequential("transformer.h.{}", first, second) })
}
