//! InternLM 2: Llama under other names, with queries, keys and values in one map.

use crate::Result;

use super::common::llama_like;
use super::spec::*;
use super::{Config, DecoderSpec};

pub(super) fn internlm2(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    let bias = config.flag_or("bias", true)?;
    let norm = spec.final_norm;
    spec.embedding.table = "model.tok_embeddings";
    spec.block =
        BlockSpec::sequential("model.layers.{}", norm.named("attention_norm"), norm.named("ffn_norm"));
    let names = ["feed_forward.w1", "feed_forward.w3", "feed_forward.w2"];
    spec.feed_forward = FeedForwardSpec::gated(spec.feed_forward.width, spec.feed_forward.activation, names);
    spec.head.name = "output";
    let (map, output) = (LinearSpec::new("attention.wqkv", bias), LinearSpec::new("attention.wo", bias));
    Ok(spec.with_heads(|heads| *heads = heads.clone().joint(map, HeadOrder::Grouped, output)))
}
