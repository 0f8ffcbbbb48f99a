//! ChatGLM 2 and 3, GLM-4.

use serde_json::json;

use crate::Result;
use crate::kernel::activation::{Activation, GateOrder};

use super::common::{QKV, llama_partly_rotated, refuse};
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// ChatGLM 2 and 3, and GLM-4 in its first layout.
pub(super) fn chatglm(config: &Config) -> Result<DecoderSpec> {
    refuse(config, "apply_residual_connection_post_layernorm")?;
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let head_dim = config.size_or("kv_channels", hidden / heads)?;
    let shares = config.flag_or("multi_query_attention", false)?;
    let kv_heads = if shares { config.size("multi_query_group_num")? } else { heads };
    let bias = config.flag_or("add_bias_linear", false)?;
    let qkv_bias = bias || config.flag_or("add_qkv_bias", false)?;
    let (eps, rms) = (config.number_or("layernorm_epsilon", 1e-5)?, config.flag_or("rmsnorm", true)?);
    let norm = |name| if rms { NormSpec::rms(name, eps) } else { NormSpec::layer(name, eps) };
    let theta = 10_000.0 * config.number_or("rope_ratio", 1.0)?;
    let joint = LinearSpec::new("mlp.dense_h_to_4h", bias);
    let heads = HeadsSpec::new(heads, kv_heads, head_dim).joint(
        LinearSpec::new("self_attention.query_key_value", qkv_bias),
        HeadOrder::Split,
        LinearSpec::new("self_attention.dense", bias),
    );
    Ok(DecoderSpec {
        vocab: config.size("padded_vocab_size")?,
        hidden,
        max_positions: config.size_or("seq_length", 2048)?,
        initializer_range: 0.02,
        embedding: EmbeddingSpec::new("transformer.embedding.word_embeddings"),
        block: BlockSpec::sequential(
            "transformer.encoder.layers.{}",
            norm("input_layernorm"),
            norm("post_attention_layernorm"),
        ),
        attention: AttentionKind::Heads(heads),
        feed_forward: FeedForwardSpec {
            width: config.size("ffn_hidden_size")?,
            activation: Activation::Silu,
            input: InputMaps::Joint(joint, GateOrder::GateUp),
            down: LinearSpec::new("mlp.dense_4h_to_h", bias),
        },
        experts: None,
        layers: super::common::rotating(config.size("num_layers")?),
        ropes: vec![RopeSpec::plain(theta, head_dim / 2).interleaved()],
        final_norm: norm("transformer.encoder.final_layernorm"),
        head: HeadSpec::new("transformer.output_layer", config.flag_or("tie_word_embeddings", false)?),
    })
}

/// GLM-4 (9B): half of each head rotated, one map for gate and up.
pub(super) fn glm(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 2, "head_dim": 128, "partial_rotary_factor": 0.5, "rms_norm_eps": 1.5625e-7,
        "max_position_embeddings": 131_072,
    }));
    let mut spec = llama_partly_rotated(config)?;
    spec.ropes.iter_mut().for_each(|rope| rope.interleaved = true);
    spec.feed_forward.input = InputMaps::Joint(LinearSpec::new("mlp.gate_up_proj", false), GateOrder::GateUp);
    let bias = config.flag_or("attention_bias", true)?;
    let output = LinearSpec::new("self_attn.o_proj", false);
    Ok(spec.with_heads(|heads| *heads = heads.clone().separate(QKV, bias, output)))
}

/// GLM-4-0414: norms on both sides.
pub(super) fn glm4(config: &Config) -> Result<DecoderSpec> {
    let mut spec = glm(config)?;
    let after = ["post_self_attn_layernorm", "post_mlp_layernorm"].map(|name| spec.final_norm.named(name));
    spec.block.attention_post_norm = Some(after[0]);
    spec.block.feed_forward_post_norm = Some(after[1]);
    Ok(spec)
}
