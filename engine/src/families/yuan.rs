//! Yuan 2.0: Llama whose queries and keys read the input through a local filter.

use crate::Result;

use super::common::llama_like;
use super::spec::*;
use super::{Config, DecoderSpec};

pub(super) fn yuan(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    let filter = FilterSpec {
        first: "self_attn.lf_gate.conv1",
        second: "self_attn.lf_gate.conv2",
        norm: spec.final_norm.named("self_attn.lf_gate.output_layernorm"),
    };
    // The activation is on what is called `up`.
    let names = ["mlp.up_proj", "mlp.gate_proj", "mlp.down_proj"];
    spec.feed_forward = FeedForwardSpec::gated(spec.feed_forward.width, spec.feed_forward.activation, names);
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    Ok(spec.with_heads(|heads| {
        heads.filter = Some(filter);
        heads.order = HeadOrder::QueryKeyPairs;
    }))
}
