//! Baichuan and Baichuan 2: Llama with one map for queries, keys and values.

use crate::Result;

use super::common::llama_like;
use super::spec::*;
use super::{Config, DecoderSpec};

/// Baichuan 1 was published with this vocabulary; it has an ordinary head.
const FIRST_VOCAB: usize = 64_000;

/// The 7B models rotate; the 13B ones, whose configuration has no `max_position_embeddings`, have linear
/// position biases.
pub(super) fn baichuan(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    let first = config.texts("architectures")?.is_some_and(|names| names.contains(&"BaiChuanForCausalLM"));
    spec.head.unit_rows = !first && spec.vocab != FIRST_VOCAB;
    let alibi = config.get("max_position_embeddings").is_none();
    if alibi {
        spec.max_positions = config.size_or("model_max_length", 4096)?;
        spec.layers.iter_mut().for_each(|layer| layer.rope = None);
        spec.ropes.clear();
    }
    let map = LinearSpec::new("self_attn.W_pack", false);
    Ok(spec.with_heads(|heads| {
        *heads = heads.clone().joint(map, HeadOrder::Split, heads.output);
        heads.alibi = alibi.then_some(AlibiSpec::Scaled);
    }))
}
