//! GPT-2 (Radford et al. 2019) and GPT-NeoX with Pythia.

use serde_json::json;

use crate::Result;

use super::common::activation;
use super::rope::rotary_dim;
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// Learned positions; weights stored as [in, out].
pub(super) fn gpt2(config: &Config) -> Result<DecoderSpec> {
    let (hidden, heads) = (config.size("n_embd")?, config.size("n_head")?);
    let eps = config.number_or("layer_norm_epsilon", 1e-5)?;
    let norm = |name| NormSpec::layer(name, eps);
    let mut attention = HeadsSpec::new(heads, heads, hidden / heads).joint(
        LinearSpec::transposed("attn.c_attn"),
        HeadOrder::Split,
        LinearSpec::transposed("attn.c_proj"),
    );
    if !config.flag_or("scale_attn_weights", true)? {
        attention.scale = 1.0;
    }
    attention.scaled_by_depth = config.flag_or("scale_attn_by_inverse_layer_idx", false)?;
    let embedding = EmbeddingSpec::new("transformer.wte");
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        max_positions: config.size_or("n_positions", 1024)?,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec { positions: Some("transformer.wpe"), ..embedding },
        block: BlockSpec::sequential("transformer.h.{}", norm("ln_1"), norm("ln_2")),
        attention: AttentionKind::Heads(attention),
        feed_forward: FeedForwardSpec::plain(
            config.size_or("n_inner", 4 * hidden)?,
            activation(config, "activation_function", "gelu_new")?,
            LinearSpec::transposed("mlp.c_fc"),
            LinearSpec::transposed("mlp.c_proj"),
        ),
        experts: None,
        layers: vec![LayerSpec::default(); config.size("n_layer")?],
        ropes: Vec::new(),
        final_norm: norm("transformer.ln_f"),
        head: HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", true)?),
    })
}

/// A part of each head rotated, usually in parallel blocks with two norms.
pub(super) fn gpt_neox(config: &Config) -> Result<DecoderSpec> {
    let named = |key, default: f64| config.get(key).cloned().unwrap_or(json!(default));
    let config = &config.with_defaults(json!({
        "rope_theta": named("rotary_emb_base", 10_000.0), "partial_rotary_factor": named("rotary_pct", 0.25),
    }));
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let head_dim = hidden / heads;
    let eps = config.number_or("layer_norm_eps", 1e-5)?;
    let norm = |name| NormSpec::layer(name, eps);
    let bias = config.flag_or("attention_bias", true)?;
    let positions = config.size_or("max_position_embeddings", 2048)?;
    let rotary = rotary_dim(config, head_dim, 0.25)?;
    let rope = RopeSpec::read(config, rotary, positions)?;
    let attention = HeadsSpec::new(heads, heads, head_dim).joint(
        LinearSpec::new("attention.query_key_value", bias),
        HeadOrder::Grouped,
        LinearSpec::new("attention.dense", bias),
    );
    let prefix = "gpt_neox.layers.{}";
    let block = BlockSpec::sequential(prefix, norm("input_layernorm"), norm("post_attention_layernorm"));
    let tied = config.flag_or("tie_word_embeddings", false)?;
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        max_positions: positions,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec::new("gpt_neox.embed_in"),
        block: BlockSpec { parallel: config.flag_or("use_parallel_residual", true)?, ..block },
        attention: AttentionKind::Heads(attention),
        feed_forward: FeedForwardSpec::plain(
            config.size("intermediate_size")?,
            activation(config, "hidden_act", "gelu")?,
            LinearSpec::new("mlp.dense_h_to_4h", true),
            LinearSpec::new("mlp.dense_4h_to_h", true),
        ),
        experts: None,
        layers: super::common::rotating(config.size("num_hidden_layers")?),
        ropes: vec![rope],
        final_norm: norm("gpt_neox.final_layer_norm"),
        head: HeadSpec { adaptable: true, ..HeadSpec::new("embed_out", tied) },
    })
}
