//! Phi-1.5 and 2; Phi-3 and 4.

use serde_json::json;

use crate::Result;
use crate::kernel::activation::GateOrder;

use super::common::{QKV, Sizes, activation, llama_partly_rotated, rotating, window};
use super::rope::rotary_dim;
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// Parallel blocks with one LayerNorm, biases everywhere, a part of each head rotated.
pub(super) fn phi(config: &Config) -> Result<DecoderSpec> {
    let sizes = Sizes::read(config)?;
    let eps = config.number_or("layer_norm_eps", 1e-5)?;
    let norm = |name| NormSpec::layer(name, eps);
    let rotary = rotary_dim(config, sizes.head_dim, 0.5)?;
    let mut attention = HeadsSpec::new(sizes.heads, sizes.kv_heads, sizes.head_dim).separate(
        QKV,
        true,
        LinearSpec::new("self_attn.dense", true),
    );
    if config.flag_or("qk_layernorm", false)? {
        attention.norm = Some(HeadNormSpec {
            q: norm("self_attn.q_layernorm"),
            k: norm("self_attn.k_layernorm"),
            span: HeadNormSpan::Head,
        });
    }
    let block = BlockSpec::sequential("model.layers.{}", norm("input_layernorm"), norm("input_layernorm"));
    let head = HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", false)?);
    Ok(DecoderSpec {
        vocab: sizes.vocab,
        hidden: sizes.hidden,
        max_positions: sizes.max_positions,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec::new("model.embed_tokens"),
        block: BlockSpec { parallel: true, ..block },
        attention: AttentionKind::Heads(attention),
        feed_forward: FeedForwardSpec::plain(
            config.size_or("intermediate_size", 4 * sizes.hidden)?,
            activation(config, "hidden_act", "gelu_new")?,
            LinearSpec::new("mlp.fc1", true),
            LinearSpec::new("mlp.fc2", true),
        ),
        experts: None,
        layers: rotating(sizes.layers),
        ropes: vec![RopeSpec::read(config, rotary, sizes.max_positions)?],
        final_norm: norm("model.final_layernorm"),
        head: HeadSpec { bias: true, ..head },
    })
}

/// Llama with joint maps, a window and LongRoPE.
pub(super) fn phi3(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({"rms_norm_eps": 1e-5, "max_position_embeddings": 4096}));
    let mut spec = llama_partly_rotated(config)?.with_window(window(config)?, |_| true);
    spec.feed_forward.input = InputMaps::Joint(LinearSpec::new("mlp.gate_up_proj", false), GateOrder::GateUp);
    let map = LinearSpec::new("self_attn.qkv_proj", false);
    Ok(spec.with_heads(|heads| *heads = heads.clone().joint(map, HeadOrder::Split, heads.output)))
}
