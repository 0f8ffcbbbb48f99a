//! StarCoder 2: LayerNorm, biases, GELU, a sliding window.

use crate::Result;

use super::common::{QKV, llama_like, window};
use super::spec::*;
use super::{Config, DecoderSpec};

pub fn starcoder2(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?.with_window(window(config, "sliding_window")?, |_| true);
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
