//! Llama and its relatives: RMSNorm before, rotary positions, grouped queries, SwiGLU (Touvron et al. 2023).

use crate::Result;
use crate::kernel::activation::Activation;

use super::{Config, DecoderSpec, Names, RopeSpec};

const NAMES: Names = Names {
    embedding: "model.embed_tokens",
    block: "model.layers.{}",
    attention_norm: "input_layernorm",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    output: "self_attn.o_proj",
    mlp_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    final_norm: "model.norm",
    head: "lm_head",
};

/// Llama 1 to 3, Yi, SmolLM, TinyLlama, …
pub fn llama(config: &Config) -> Result<DecoderSpec> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let layers = config.size("num_hidden_layers")?;
    let head_dim = config.size_or("head_dim", hidden / heads)?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let max_positions = config.size_or("max_position_embeddings", 2048)?;
    let activation = config.get("hidden_act").and_then(|act| act.as_str()).unwrap_or("silu");
    if activation != "silu" && activation != "swish" {
        return Err(config.error("hidden_act", format!("is `{activation}`; supported is silu")));
    }
    Ok(DecoderSpec {
        vocab: config.size("vocab_size")?,
        hidden,
        mlp: config.size("intermediate_size")?,
        layers,
        heads,
        kv_heads: config.size_or("num_key_value_heads", heads)?,
        head_dim,
        activation: Activation::Silu,
        norm_eps: config.number_or("rms_norm_eps", 1e-6)?,
        qkv_bias: attention_bias,
        output_bias: attention_bias,
        mlp_bias: config.flag_or("mlp_bias", false)?,
        tied: config.flag_or("tie_word_embeddings", false)?,
        rope: RopeSpec::read(config, head_dim, max_positions)?,
        rotates: vec![true; layers],
        max_positions,
        initializer_range: config.number_or("initializer_range", 0.02)?,
        names: NAMES,
    })
}

/// SmolLM3: Llama whose every n-th layer has no rotary positions.
pub fn smollm3(config: &Config) -> Result<DecoderSpec> {
    let mut spec = llama(config)?;
    spec.tied = config.flag_or("tie_word_embeddings", true)?;
    if config.flag_or("use_sliding_window", false)? {
        return Err(config.error("use_sliding_window", "is true, which is not supported for this model type"));
    }
    spec.rotates = match config.get("no_rope_layers") {
        // Despite its name, 1 marks a layer that does rotate.
        Some(list) => {
            let flags: Option<Vec<bool>> =
                list.as_array().map(|list| list.iter().map(|flag| flag.as_u64() == Some(1)).collect());
            flags.ok_or_else(|| config.error("no_rope_layers", "must be a list of 0 and 1"))?
        }
        None => {
            let interval = config.size_or("no_rope_layer_interval", 4)?;
            (0..spec.layers).map(|layer| (layer + 1) % interval != 0).collect()
        }
    };
    Ok(spec)
}
