//! OLMo in transformers' and in its original layout, OLMo 2.

use serde_json::json;

use crate::Result;
use crate::kernel::activation::{Activation, GateOrder};

use super::common::refuse;
use super::llama::llama;
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// OLMo: Llama with norms that have no parameters, and clipped queries, keys and values.
pub(super) fn olmo(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama(config)?;
    let norm = |name| NormSpec { weight: false, bias: false, ..NormSpec::layer(name, 1e-5) };
    spec.block.attention_norm = Some(norm("input_layernorm"));
    spec.block.feed_forward_norm = Some(norm("post_attention_layernorm"));
    spec.final_norm = norm("model.norm");
    let clip = clip(config)?;
    Ok(spec.with_heads(|heads| heads.clip = clip))
}

/// OLMo 2: norms after attention and feed-forward, and of all queries and all keys.
pub(super) fn olmo2(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama(&config.with_defaults(json!({"rms_norm_eps": 1e-5})))?;
    let norm = spec.final_norm;
    spec.block.attention_norm = None;
    spec.block.attention_post_norm = Some(norm.named("post_attention_layernorm"));
    spec.block.feed_forward_norm = None;
    spec.block.feed_forward_post_norm = Some(norm.named("post_feedforward_layernorm"));
    let norms = HeadNormSpec {
        q: norm.named("self_attn.q_norm"),
        k: norm.named("self_attn.k_norm"),
        span: HeadNormSpan::All,
    };
    Ok(spec.with_heads(|heads| heads.norm = Some(norms)))
}

/// OLMo as first published.
pub(super) fn hf_olmo(config: &Config) -> Result<DecoderSpec> {
    for key in ["alibi", "attention_layer_norm", "scale_emb_init"] {
        refuse(config, key)?;
    }
    if !config.flag_or("rope", false)? {
        return Err(config.error("rope", "must be true: other positions are not supported"));
    }
    let (hidden, heads) = (config.size("d_model")?, config.size("n_heads")?);
    let kv_heads = if config.flag_or("multi_query_attention", false)? { 1 } else { heads };
    let kv_heads = config.size_or("n_kv_heads", kv_heads)?;
    let bias = config.flag_or("include_bias", false)?;
    let width = match config.get("mlp_hidden_size") {
        Some(_) => config.size("mlp_hidden_size")?,
        None => config.size_or("mlp_ratio", 4)? * hidden,
    };
    let (up, down) = (LinearSpec::new("ff_proj", bias), LinearSpec::new("ff_out", bias));
    let feed_forward = match config.text("activation_type")? {
        "swiglu" => FeedForwardSpec {
            width: width / 2,
            activation: Activation::Silu,
            input: InputMaps::Joint(up, GateOrder::UpGate),
            down,
        },
        "gelu" => FeedForwardSpec::plain(width, Activation::Gelu, up, down),
        "relu" => FeedForwardSpec::plain(width, Activation::Relu, up, down),
        other => {
            let message = format!("is `{other}`; supported are swiglu, gelu, relu");
            return Err(config.error("activation_type", message));
        }
    };
    let mut attention = HeadsSpec::new(heads, kv_heads, hidden / heads).joint(
        LinearSpec::new("att_proj", bias),
        HeadOrder::Split,
        LinearSpec::new("attn_out", bias),
    );
    attention.clip = clip(config)?;
    let positions = config.size_or("max_sequence_length", 1024)?;
    let tied = config.flag_or("weight_tying", true)?;
    let mut head = HeadSpec::new("model.transformer.ff_out", tied);
    if config.flag_or("scale_logits", false)? {
        head.scale = 1.0 / (hidden as f32).sqrt();
    }
    let vocab = config.size("vocab_size")?;
    head.tokens = Some(vocab);
    Ok(DecoderSpec {
        vocab: config.size_or("embedding_size", vocab)?,
        hidden,
        max_positions: positions,
        initializer_range: config.number_or("init_std", 0.02)?,
        embedding: EmbeddingSpec::new("model.transformer.wte"),
        block: BlockSpec::sequential(
            "model.transformer.blocks.{}",
            norm(config, "attn_norm")?,
            norm(config, "ff_norm")?,
        ),
        attention: AttentionKind::Heads(attention),
        feed_forward,
        experts: None,
        layers: super::common::rotating(config.size("n_layers")?),
        ropes: vec![RopeSpec::read(config, hidden / heads, positions)?],
        final_norm: norm(config, "model.transformer.ln_f")?,
        head,
    })
}

fn norm(config: &Config, name: Name) -> Result<NormSpec> {
    let affine = config.flag_or("layer_norm_with_affine", true)?;
    let bias = affine && config.flag_or("bias_for_layer_norm", config.flag_or("include_bias", false)?)?;
    let spec = match config.text("layer_norm_type")? {
        "default" | "low_precision" => NormSpec { bias, ..NormSpec::layer(name, 1e-5) },
        "rms" => NormSpec { bias, ..NormSpec::rms(name, 1e-5) },
        other => {
            let message = format!("is `{other}`; supported are default, low_precision, rms");
            return Err(config.error("layer_norm_type", message));
        }
    };
    Ok(NormSpec { weight: affine, ..spec })
}

fn clip(config: &Config) -> Result<Option<f32>> {
    config.get("clip_qkv").map(|_| Ok(config.number("clip_qkv")? as f32)).transpose()
}
