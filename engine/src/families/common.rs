//! What many families' configurations share.

use crate::Result;
use crate::kernel::activation::Activation;

use super::rope::rotary_dim;
use super::spec::*;
use super::{Config, DecoderSpec, RopeSpec};

/// Names of the modules that Llama's relatives share.
pub(super) const QKV: [Name; 3] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
pub(super) const GATED: [Name; 3] = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
/// Of an expert, within it.
pub(super) const EXPERT: [Name; 3] = ["gate_proj", "up_proj", "down_proj"];

/// Sizes under their usual keys.
pub(super) struct Sizes {
    pub vocab: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub max_positions: usize,
}

impl Sizes {
    pub(super) fn read(config: &Config) -> Result<Sizes> {
        let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
        Ok(Sizes {
            vocab: config.size("vocab_size")?,
            hidden,
            layers: config.size("num_hidden_layers")?,
            heads,
            kv_heads: config.size_or("num_key_value_heads", heads)?,
            head_dim: config.size_or("head_dim", hidden / heads)?,
            max_positions: config.size_or("max_position_embeddings", 2048)?,
        })
    }
}

/// The activation under `key`.
pub(super) fn activation(config: &Config, key: &str, default: &str) -> Result<Activation> {
    let name = if config.get(key).is_some() { config.text(key)? } else { default };
    Ok(match name {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        other => {
            let message =
                format!("is `{other}`; supported are silu, swish, gelu, gelu_new, gelu_pytorch_tanh, relu");
            return Err(config.error(key, message));
        }
    })
}

/// Refuses a setting that changes the model in a way that is not built.
pub(super) fn refuse(config: &Config, key: &str) -> Result<()> {
    if config.flag_or(key, false)? {
        return Err(config.error(key, "is true, which is not supported for this model type"));
    }
    Ok(())
}

/// `layers` layers that all rotate by the first of the spec's rotations.
pub(super) fn rotating(layers: usize) -> Vec<LayerSpec> {
    vec![LayerSpec { rope: Some(0), ..LayerSpec::default() }; layers]
}

/// Llama and all that differ from it in few points: RMSNorm before, rotary positions, grouped queries,
/// SwiGLU (Touvron et al. 2023).
pub(super) fn llama_like(config: &Config) -> Result<DecoderSpec> {
    let sizes = Sizes::read(config)?;
    llama_rotating(config, sizes.head_dim)
}

/// The same with `partial_rotary_factor` of each head rotated.
pub(super) fn llama_partly_rotated(config: &Config) -> Result<DecoderSpec> {
    let head_dim = Sizes::read(config)?.head_dim;
    llama_rotating(config, rotary_dim(config, head_dim, 1.0)?)
}

fn llama_rotating(config: &Config, rotary_dim: usize) -> Result<DecoderSpec> {
    let sizes = Sizes::read(config)?;
    let eps = config.number_or("rms_norm_eps", 1e-6)?;
    let norm = |name| NormSpec::rms(name, eps);
    let output = LinearSpec::new("self_attn.o_proj", false);
    let heads = HeadsSpec::new(sizes.heads, sizes.kv_heads, sizes.head_dim);
    Ok(DecoderSpec {
        vocab: sizes.vocab,
        hidden: sizes.hidden,
        max_positions: sizes.max_positions,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        embedding: EmbeddingSpec::new("model.embed_tokens"),
        block: BlockSpec::sequential(
            "model.layers.{}",
            norm("input_layernorm"),
            norm("post_attention_layernorm"),
        ),
        attention: AttentionKind::Heads(heads.separate(QKV, false, output)),
        feed_forward: FeedForwardSpec::gated(
            config.size("intermediate_size")?,
            activation(config, "hidden_act", "silu")?,
            GATED,
        ),
        experts: None,
        layers: rotating(sizes.layers),
        ropes: vec![RopeSpec::read(config, rotary_dim, sizes.max_positions)?],
        final_norm: norm("model.norm"),
        head: HeadSpec::new("lm_head", config.flag_or("tie_word_embeddings", false)?),
    })
}

impl DecoderSpec {
    /// The attention of a family that was built with heads.
    pub(super) fn heads_mut(&mut self) -> Option<&mut HeadsSpec> {
        match &mut self.attention {
            AttentionKind::Heads(heads) => Some(heads),
            AttentionKind::Latent(_) => None,
        }
    }

    /// Changes the heads.
    pub(super) fn with_heads(mut self, change: impl FnOnce(&mut HeadsSpec)) -> Self {
        if let Some(heads) = self.heads_mut() {
            change(heads);
        }
        self
    }

    /// Biases on queries, keys and values.
    pub(super) fn with_qkv_bias(self, bias: bool) -> Self {
        self.with_heads(|heads| heads.maps.iter_mut().for_each(|map| map.bias = bias))
    }

    /// The same window in every layer that `slides` says.
    pub(super) fn with_window(mut self, window: Option<usize>, slides: impl Fn(usize) -> bool) -> Self {
        for (layer, spec) in self.layers.iter_mut().enumerate() {
            spec.window = window.filter(|_| slides(layer));
        }
        self
    }
}

/// The size of the sliding window, if it is set.
pub(super) fn window(config: &Config) -> Result<Option<usize>> {
    config.get("sliding_window").map(|_| config.size("sliding_window")).transpose()
}

/// The same where a window must also be switched on.
pub(super) fn switched_window(config: &Config) -> Result<Option<usize>> {
    if config.flag_or("use_sliding_window", false)? { window(config) } else { Ok(None) }
}

/// Which of `layers` layers have a window: as `layer_types` says, else by `rule`.
pub(super) fn sliding(config: &Config, layers: usize, rule: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
    let Some(types) = config.texts("layer_types")? else { return Ok((0..layers).map(rule).collect()) };
    if types.len() != layers {
        let message = format!("has {} entries for {layers} layers", types.len());
        return Err(config.error("layer_types", message));
    }
    let slides = types.iter().map(|kind| match *kind {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => {
            let message = format!("has `{other}`; supported are full_attention, sliding_attention");
            Err(config.error("layer_types", message))
        }
    });
    slides.collect()
}
