//! Command-R and Command R7B: parallel blocks, LayerNorm without bias, interleaved rotation, scaled logits.

use serde_json::json;

use crate::Result;

use super::common::{sliding, window};
use super::llama::llama;
use super::spec::*;
use super::{Config, DecoderSpec};

pub(super) fn cohere(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({"rope_theta": 5e5, "max_position_embeddings": 8192}));
    let mut spec = llama(config)?;
    let eps = config.number_or("layer_norm_eps", 1e-5)?;
    let norm = |name| NormSpec { bias: false, ..NormSpec::layer(name, eps) };
    spec.block = BlockSpec {
        parallel: true,
        ..BlockSpec::sequential("model.layers.{}", norm("input_layernorm"), norm("input_layernorm"))
    };
    spec.final_norm = norm("model.norm");
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    spec.head.scale = config.number_or("logit_scale", 0.0625)? as f32;
    spec.ropes.iter_mut().for_each(|rope| rope.interleaved = true);
    let norms = HeadNormSpec {
        q: norm("self_attn.q_norm"),
        k: norm("self_attn.k_norm"),
        span: HeadNormSpan::OwnHead,
    };
    let normed = config.flag_or("use_qk_norm", false)?;
    Ok(spec.with_heads(|heads| heads.norm = normed.then_some(norms)))
}

/// Command R7B: three layers with a window, then one that sees everything and has no positions.
pub(super) fn cohere2(config: &Config) -> Result<DecoderSpec> {
    let config = &config.with_defaults(json!({"rope_theta": 1e4, "sliding_window": 4096}));
    let mut spec = cohere(config)?;
    let pattern = config.size_or("sliding_window_pattern", 4)?;
    let slides = sliding(config, spec.layers.len(), |layer| !(layer + 1).is_multiple_of(pattern))?;
    for (layer, slides) in spec.layers.iter_mut().zip(&slides) {
        layer.rope = layer.rope.filter(|_| *slides);
    }
    Ok(spec.with_window(window(config)?, |layer| slides[layer]))
}
