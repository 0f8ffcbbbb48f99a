//! What a decoder is made of.

use crate::Result;
use crate::kernel::activation::Activation;

use super::{Config, RopeSpec};

/// A decoder-only transformer: everything the forward pass needs to know.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    pub vocab: usize,
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub mlp: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub activation: Activation,
    pub norm_eps: f64,
    /// Biases on q, k, v and on the attention's output.
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub mlp_bias: bool,
    /// The output matrix is the token table.
    pub tied: bool,
    pub rope: RopeSpec,
    /// Layers that rotate queries and keys.
    pub rotates: Vec<bool>,
    pub max_positions: usize,
    /// Deviation of freshly initialised weights.
    pub initializer_range: f64,
    pub names: Names,
}

/// How a family names its modules.
#[derive(Clone, Debug)]
pub struct Names {
    pub embedding: &'static str,
    /// Prefix of a block; `{}` is its number.
    pub block: &'static str,
    pub attention_norm: &'static str,
    pub qkv: [&'static str; 3],
    pub output: &'static str,
    pub mlp_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub final_norm: &'static str,
    pub head: &'static str,
}

impl Names {
    /// Full module name of a part of block `layer`.
    pub fn in_block(&self, layer: usize, part: &str) -> String {
        format!("{}.{part}", self.block.replace("{}", &layer.to_string()))
    }
}

impl DecoderSpec {
    /// Whether the numbers fit each other.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let message =
                format!("is {}, which does not divide {} attention heads", self.kv_heads, self.heads);
            return Err(config.error("num_key_value_heads", message));
        }
        if !self.rope.rotary_dim.is_multiple_of(2) || self.rope.rotary_dim > self.head_dim {
            let message = format!("gives {} rotated of {} dimensions", self.rope.rotary_dim, self.head_dim);
            return Err(config.error("head_dim", message));
        }
        if self.rotates.len() != self.layers {
            let message = format!("has {} entries for {} layers", self.rotates.len(), self.layers);
            return Err(config.error("no_rope_layers", message));
        }
        Ok(())
    }
}
