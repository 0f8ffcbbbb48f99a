//! What a decoder is made of.

mod attention;
mod feed_forward;

use super::RopeSpec;

pub use attention::{
    AlibiSpec, AttentionKind, FilterSpec, HeadNormSpan, HeadNormSpec, HeadOrder, HeadsSpec, LatentSpec,
};
pub use feed_forward::{ExpertsSpec, FeedForwardSpec, InputMaps};

/// A module's name in the checkpoint; within a block, relative to it.
pub type Name = &'static str;

/// A decoder-only transformer: everything the forward pass needs to know.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    /// Rows of the token table.
    pub vocab: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Tokens of the context.
    pub max_positions: usize,
    /// Deviation of freshly initialised weights.
    pub initializer_range: f64,
    /// The token table.
    pub embedding: EmbeddingSpec,
    /// How a block's parts are wired.
    pub block: BlockSpec,
    /// How blocks attend.
    pub attention: AttentionKind,
    /// What blocks do with each token by itself, in layers without experts.
    pub feed_forward: FeedForwardSpec,
    /// The feed-forward part of layers that have experts.
    pub experts: Option<ExpertsSpec>,
    /// What is a layer's own, one each.
    pub layers: Vec<LayerSpec>,
    /// Rotations that layers choose from.
    pub ropes: Vec<RopeSpec>,
    /// Before the head.
    pub final_norm: NormSpec,
    /// The output matrix.
    pub head: HeadSpec,
}

/// What differs from layer to layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSpec {
    /// Which of the spec's rotations; none for a layer without.
    pub rope: Option<usize>,
    /// Positions that are visible, if not all.
    pub window: Option<usize>,
    /// Whether the feed-forward part is one of experts.
    pub experts: bool,
}

/// Token table, and what is done with its rows.
#[derive(Clone, Debug)]
pub struct EmbeddingSpec {
    /// The module of the table.
    pub table: Name,
    /// Factor on the rows.
    pub scale: f32,
    /// Table of learned positions.
    pub positions: Option<Name>,
    /// Of the looked-up rows.
    pub norm: Option<NormSpec>,
}

impl EmbeddingSpec {
    /// A table and nothing else.
    pub fn new(table: Name) -> Self {
        EmbeddingSpec { table, scale: 1.0, positions: None, norm: None }
    }
}

/// A norm and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct NormSpec {
    /// Its module.
    pub name: Name,
    /// LayerNorm instead of RMSNorm.
    pub center: bool,
    /// It has a factor for each column.
    pub weight: bool,
    /// Something is added to each column.
    pub bias: bool,
    /// The weight is stored as its difference from one.
    pub one_plus: bool,
    /// Added to the variance.
    pub eps: f64,
}

impl NormSpec {
    /// RMSNorm with a weight.
    pub fn rms(name: Name, eps: f64) -> Self {
        NormSpec { name, center: false, weight: true, bias: false, one_plus: false, eps }
    }

    /// LayerNorm with weight and bias.
    pub fn layer(name: Name, eps: f64) -> Self {
        NormSpec { name, center: true, weight: true, bias: true, one_plus: false, eps }
    }

    /// The same in another module.
    pub fn named(self, name: Name) -> Self {
        NormSpec { name, ..self }
    }
}

/// A block with a router, within its layer, as the package `mixture-of-depth` names it.
pub const ROUTED: &str = "block.";
/// The router's map, within its layer.
pub const ROUTER: &str = "router.weight_predictor";

/// How a block's parts are wired.
#[derive(Clone, Debug)]
pub struct BlockSpec {
    /// Prefix of a block; `{}` is its number.
    pub prefix: Name,
    /// On the input of attention.
    pub attention_norm: Option<NormSpec>,
    /// On the output of attention, before it is added.
    pub attention_post_norm: Option<NormSpec>,
    /// The same name as `attention_norm` means the same norm.
    pub feed_forward_norm: Option<NormSpec>,
    /// On the output of the feed-forward part, before it is added.
    pub feed_forward_post_norm: Option<NormSpec>,
    /// Attention and feed-forward both read the block's input.
    pub parallel: bool,
    /// Factor on what is added to the residual.
    pub residual_scale: f32,
    /// Every second block is gone through by some tokens alone.
    pub depths: Option<DepthsSpec>,
}

/// Mixture-of-Depths (Raposo et al. 2024): blocks 1, 3, … have a router, which chooses the tokens that go through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthsSpec {
    /// The share of a sequence's tokens that go through.
    pub capacity: f64,
}

impl BlockSpec {
    /// Norm, attention, add; norm, feed-forward, add.
    pub fn sequential(prefix: Name, attention_norm: NormSpec, feed_forward_norm: NormSpec) -> Self {
        BlockSpec {
            prefix,
            attention_norm: Some(attention_norm),
            attention_post_norm: None,
            feed_forward_norm: Some(feed_forward_norm),
            feed_forward_post_norm: None,
            parallel: false,
            residual_scale: 1.0,
            depths: None,
        }
    }

    /// Full module name of a part of block `layer`; a block with a router is a module beside that.
    pub fn name(&self, layer: usize, part: &str) -> String {
        let within = if self.routing(layer).is_some() { ROUTED } else { "" };
        format!("{}.{within}{part}", self.number(layer))
    }

    /// Full module name of the map from hidden states to what block `layer`'s router says of them.
    pub fn router(&self, layer: usize) -> String {
        format!("{}.{ROUTER}", self.number(layer))
    }

    /// By what block `layer` chooses its tokens, if it does.
    pub fn routing(&self, layer: usize) -> Option<DepthsSpec> {
        self.depths.filter(|_| layer % 2 == 1)
    }

    fn number(&self, layer: usize) -> String {
        self.prefix.replace("{}", &layer.to_string())
    }
}

/// A linear map's module.
#[derive(Clone, Copy, Debug)]
pub struct LinearSpec {
    /// The module.
    pub name: Name,
    /// It adds a bias.
    pub bias: bool,
    /// The weight is stored as [in, out].
    pub transposed: bool,
}

impl LinearSpec {
    /// A weight [out, in].
    pub fn new(name: Name, bias: bool) -> Self {
        LinearSpec { name, bias, transposed: false }
    }

    /// A weight [in, out], with a bias (GPT-2).
    pub fn transposed(name: Name) -> Self {
        LinearSpec { name, bias: true, transposed: true }
    }
}

/// The output matrix, and what becomes of the logits.
#[derive(Clone, Debug)]
pub struct HeadSpec {
    /// Its module.
    pub name: Name,
    /// The output matrix is the token table.
    pub tied: bool,
    /// It adds a bias.
    pub bias: bool,
    /// Factor on the logits.
    pub scale: f32,
    /// Logits are squeezed into (−cap, cap).
    pub cap: Option<f32>,
    /// Rows of the matrix are scaled to length one.
    pub unit_rows: bool,
    /// Tokens there are, if fewer than the matrix has rows.
    pub tokens: Option<usize>,
    /// `all` linear maps include this one.
    pub adaptable: bool,
}

impl HeadSpec {
    /// A matrix without anything else.
    pub fn new(name: Name, tied: bool) -> Self {
        HeadSpec {
            name,
            tied,
            bias: false,
            scale: 1.0,
            cap: None,
            unit_rows: false,
            tokens: None,
            adaptable: false,
        }
    }
}
