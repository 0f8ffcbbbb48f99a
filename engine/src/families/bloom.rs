//! BLOOM: LayerNorm, linear position biases, GELU (BigScience 2022).

use crate::Result;
use crate::kernel::activation::Activation;

use super::common::refuse;
use super::spec::*;
use super::{Config, DecoderSpec};

pub(super) fn bloom(config: &Config) -> Result<DecoderSpec> {
    refuse(config, "apply_residual_connection_post_layernorm")?;
    let key = |new, old| if config.get(new).is_some() { new } else { old };
    let hidden = config.size(key("hidden_size", "n_embed"))?;
    let heads = config.size(key("n_head", "num_attention_heads"))?;
    let norm = |name| -> Result<NormSpec> {
        Ok(NormSpec::layer(name, config.number_or("layer_norm_epsilon", 1e-5)?))
    };
    let mut attention = HeadsSpec::new(heads, heads, hidden / heads).joint(
        LinearSpec::new("self_attention.query_key_value", true),
        HeadOrder::Grouped,
        LinearSpec::new("self_attention.dense", true),
    );
    attention.alibi = Some(AlibiSpec::Scaled);
    let embedding = EmbeddingSpec::new("transformer.word_embeddings");
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        max_positions: config.size_or("seq_length", 2048)?,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec { norm: Some(norm("transformer.word_embeddings_layernorm")?), ..embedding },
        block: BlockSpec::sequential(
            "transformer.h.{}",
            norm("input_layernorm")?,
            norm("post_attention_layernorm")?,
        ),
        attention: AttentionKind::Heads(attention),
        feed_forward: FeedForwardSpec::plain(
            4 * hidden,
            Activation::GeluTanh,
            LinearSpec::new("mlp.dense_h_to_4h", true),
            LinearSpec::new("mlp.dense_4h_to_h", true),
        ),
        experts: None,
        layers: vec![LayerSpec::default(); config.size(key("n_layer", "num_hidden_layers"))?],
        ropes: Vec::new(),
        final_norm: norm("transformer.ln_f")?,
        head: HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", true)?),
    })
}
