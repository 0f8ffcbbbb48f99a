//! Qwen 1: joint projections, NTK-aware base and log-n scaling beyond the trained length.

use crate::Result;
use crate::kernel::activation::Activation;

use super::spec::*;
use super::{Config, DecoderSpec, RopeScaling, RopeSpec};

pub(super) fn qwen(config: &Config) -> Result<DecoderSpec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let head_dim = config.size_or("kv_channels", hidden / heads)?;
    let bias = !config.flag_or("no_bias", true)?;
    let trained = config.size_or("seq_length", 2048)?;
    let norm =
        |name| -> Result<NormSpec> { Ok(NormSpec::rms(name, config.number_or("layer_norm_epsilon", 1e-6)?)) };
    let rotary = (head_dim as f64 * config.number_or("rotary_pct", 1.0)?) as usize;
    let mut rope = RopeSpec::plain(config.number_or("rotary_emb_base", 10_000.0)?, rotary);
    if config.flag_or("use_dynamic_ntk", true)? {
        rope.scaling = RopeScaling::Doubling { original: trained };
    }
    let mut attention = HeadsSpec::new(heads, heads, head_dim).joint(
        LinearSpec::new("attn.c_attn", true),
        HeadOrder::Split,
        LinearSpec::new("attn.c_proj", bias),
    );
    attention.log_n = config.flag_or("use_logn_attn", true)?.then_some(trained);
    let mut feed_forward = FeedForwardSpec::gated(
        config.size("intermediate_size")? / 2,
        Activation::Silu,
        ["mlp.w2", "mlp.w1", "mlp.c_proj"],
    );
    if bias {
        feed_forward = feed_forward.with_bias();
    }
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        max_positions: config.size_or("max_position_embeddings", 8192)?,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec::new("transformer.wte"),
        block: BlockSpec::sequential("transformer.h.{}", norm("ln_1")?, norm("ln_2")?),
        attention: AttentionKind::Heads(attention),
        feed_forward,
        experts: None,
        layers: super::common::rotating(config.size("num_hidden_layers")?),
        ropes: vec![rope],
        final_norm: norm("transformer.ln_f")?,
        head: HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", false)?),
    })
}
