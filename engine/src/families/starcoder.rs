//! StarCoder 2: LayerNorm, biases, GELU, a sliding window.

use serde_json::json;

use crate::Result;

use super::common::{QKV, llama_like, window};
use super::spec::*;
use super::{Config, DecoderSpec};

pub(super) fn starcoder2(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({
        "num_key_value_heads": 2, "max_position_embeddings": 4096, "initializer_range": 0.018_042,
    }));
    let mut spec = llama_like(config)?.with_window(window(config)?, |_| true);
    let bias = config.flag_or("use_bias", true)?;
    let eps = config.number_or("norm_epsilon", 1e-5)?;
    let norm = |name| NormSpec::layer(name, eps);
    spec.block =
        BlockSpec::sequential("model.layers.{}", norm("input_layernorm"), norm("post_attention_layernorm"));
    spec.final_norm = norm("model.norm");
    spec.feed_forward = FeedForwardSpec::plain(
        spec.feed_forward.width,
        super::common::activation(config, "hidden_act", "gelu_pytorch_tanh")?,
        LinearSpec::new("mlp.c_fc", bias),
        LinearSpec::new("mlp.c_proj", bias),
    );
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    let output = LinearSpec::new("self_attn.o_proj", bias);
    Ok(spec.with_heads(|heads| *heads = heads.clone().separate(QKV, bias, output)))
}
