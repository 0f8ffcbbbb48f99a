//! Gemma, Gemma 2 and the text part of Gemma 3.

use crate::Result;
use crate::kernel::activation::Activation;

use super::common::{activation, llama_like, window};
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// Gemma: norms around one, scaled embeddings, GeGLU.
pub fn gemma(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama_like(config)?;
    let one_plus = |norm: NormSpec| NormSpec { one_plus: true, ..norm };
    spec.block.attention_norm = spec.block.attention_norm.map(one_plus);
    spec.block.feed_forward_norm = spec.block.feed_forward_norm.map(one_plus);
    spec.final_norm = one_plus(spec.final_norm);
    spec.embedding.scale = (spec.hidden as f32).sqrt();
    // `hidden_act: gelu` of the first configurations means the approximation, too.
    spec.feed_forward.activation = match config.get("hidden_activation") {
        Some(_) => activation(config, "hidden_activation", "")?,
        None => Activation::GeluTanh,
    };
    spec.head.tied = config.flag_or("tie_word_embeddings", true)?;
    Ok(spec)
}

/// Norms on both sides, capped scores and logits, a window in every second layer.
pub fn gemma2(config: &Config) -> Result<DecoderSpec> {
    let mut spec = sandwiched(config)?;
    let cap = |key: &str| config.get(key).map(|_| config.number(key)).transpose();
    spec.head.cap = cap("final_logit_softcapping")?.map(|cap| cap as f32);
    let scores = cap("attn_logit_softcapping")?.map(|cap| cap as f32);
    let slides = sliding(config, 2)?;
    Ok(spec.with_heads(|heads| heads.cap = scores).with_window(window(config, "sliding_window")?, slides))
}

/// Norms of queries and keys, local layers with frequencies of their own.
pub fn gemma3(config: &Config) -> Result<DecoderSpec> {
    let mut spec = gemma2(config)?;
    let pattern = config.size_or("sliding_window_pattern", 6)?;
    let slides = sliding(config, pattern)?;
    let (head_dim, positions) = (config.size_or("head_dim", 256)?, spec.max_positions);
    let global = match config.get("rope_theta").or(config.get("rope_parameters")) {
        Some(_) => RopeSpec::read(config, head_dim, positions)?,
        None => RopeSpec { theta: 1e6, ..RopeSpec::read(config, head_dim, positions)? },
    };
    let local = RopeSpec::plain(config.number_or("rope_local_base_freq", 10_000.0)?, head_dim);
    spec.ropes = vec![global, local];
    for (layer, place) in spec.layers.iter_mut().enumerate() {
        place.rope = Some(usize::from(slides(layer)));
    }
    let norm = |name| -> Result<NormSpec> {
        let norm = NormSpec::rms(name, config.number_or("rms_norm_eps", 1e-6)?);
        Ok(NormSpec { one_plus: true, ..norm })
    };
    let span = HeadNormSpan::Head;
    let norms = HeadNormSpec { q: norm("self_attn.q_norm")?, k: norm("self_attn.k_norm")?, span };
    Ok(spec
        .with_heads(|heads| heads.norm = Some(norms))
        .with_window(window(config, "sliding_window")?, slides))
}

fn sandwiched(config: &Config) -> Result<DecoderSpec> {
    let mut spec = gemma(config)?;
    let names = ["post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
    let [post, before, after] = names.map(|name| spec.final_norm.named(name));
    spec.block.attention_post_norm = Some(post);
    spec.block.feed_forward_norm = Some(before);
    spec.block.feed_forward_post_norm = Some(after);
    let scale = 1.0 / config.number_or("query_pre_attn_scalar", 256.0)?.sqrt();
    Ok(spec.with_heads(|heads| heads.scale = scale as f32))
}

/// Which layers have a window: as `layer_types` says, or all but every `pattern`-th.
fn sliding(config: &Config, pattern: usize) -> Result<impl Fn(usize) -> bool + use<>> {
    let types = config.texts("layer_types")?;
    let types: Option<Vec<bool>> =
        types.map(|types| types.iter().map(|kind| *kind == "sliding_attention").collect());
    Ok(move |layer: usize| match &types {
        Some(types) => types.get(layer).copied().unwrap_or(false),
        None => !(layer + 1).is_multiple_of(pattern),
    })
}
