//! What a decoder is made of.

use crate::Result;
use crate::kernel::activation::{Activation, GateOrder};
use crate::ops::{BalanceKind, Routing};

use super::{Config, RopeSpec};

/// A module's name in the checkpoint; within a block, relative to it.
pub type Name = &'static str;

/// A decoder-only transformer: everything the forward pass needs to know.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    pub vocab: usize,
    pub hidden: usize,
    pub max_positions: usize,
    /// Deviation of freshly initialised weights.
    pub initializer_range: f64,
    pub embedding: EmbeddingSpec,
    pub block: BlockSpec,
    pub attention: AttentionKind,
    pub feed_forward: FeedForwardSpec,
    /// The feed-forward part of layers that have experts.
    pub experts: Option<ExpertsSpec>,
    pub layers: Vec<LayerSpec>,
    pub ropes: Vec<RopeSpec>,
    pub final_norm: NormSpec,
    pub head: HeadSpec,
}

/// What differs from layer to layer.
#[derive(Clone, Copy, Debug, Default)]
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
    pub table: Name,
    /// Factor on the rows.
    pub scale: f32,
    /// Table of learned positions.
    pub positions: Option<Name>,
    pub norm: Option<NormSpec>,
}

impl EmbeddingSpec {
    pub fn new(table: Name) -> Self {
        EmbeddingSpec { table, scale: 1.0, positions: None, norm: None }
    }
}

/// A norm and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct NormSpec {
    pub name: Name,
    /// LayerNorm instead of RMSNorm.
    pub center: bool,
    pub weight: bool,
    pub bias: bool,
    /// The weight is stored as its difference from one.
    pub one_plus: bool,
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

    pub fn named(self, name: Name) -> Self {
        NormSpec { name, ..self }
    }
}

/// How a block's parts are wired.
#[derive(Clone, Debug)]
pub struct BlockSpec {
    /// Prefix of a block; `{}` is its number.
    pub prefix: Name,
    pub attention_norm: Option<NormSpec>,
    /// On the output of attention, before it is added.
    pub attention_post_norm: Option<NormSpec>,
    /// The same name as `attention_norm` means the same norm.
    pub feed_forward_norm: Option<NormSpec>,
    pub feed_forward_post_norm: Option<NormSpec>,
    /// Attention and feed-forward both read the block's input.
    pub parallel: bool,
    /// Factor on what is added to the residual.
    pub residual_scale: f32,
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
        }
    }

    /// Full module name of a part of block `layer`.
    pub fn name(&self, layer: usize, part: &str) -> String {
        format!("{}.{part}", self.prefix.replace("{}", &layer.to_string()))
    }
}

/// A linear map's module.
#[derive(Clone, Copy, Debug)]
pub struct LinearSpec {
    pub name: Name,
    pub bias: bool,
    /// The weight is stored as [in, out].
    pub transposed: bool,
}

impl LinearSpec {
    pub fn new(name: Name, bias: bool) -> Self {
        LinearSpec { name, bias, transposed: false }
    }

    pub fn transposed(name: Name) -> Self {
        LinearSpec { name, bias: true, transposed: true }
    }
}

#[derive(Clone, Debug)]
pub enum AttentionKind {
    Heads(HeadsSpec),
    Latent(LatentSpec),
}

/// Grouped-query attention.
#[derive(Clone, Debug)]
pub struct HeadsSpec {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// The factor is divided by the layer's number, counted from one.
    pub scaled_by_depth: bool,
    /// Maps to queries, keys and values; one if they are joint.
    pub maps: Vec<LinearSpec>,
    pub order: HeadOrder,
    pub output: LinearSpec,
    /// Queries, keys and values are cut off at ± this.
    pub clip: Option<f32>,
    /// Cap on the scores.
    pub cap: Option<f32>,
    /// Linear position biases.
    pub alibi: Option<AlibiSpec>,
    pub norm: Option<HeadNormSpec>,
    /// Queries and keys read the input through a filter over the two positions before.
    pub filter: Option<FilterSpec>,
    /// Queries beyond this position are scaled by the logarithm of theirs to this base, outside of
    /// training (Qwen 1).
    pub log_n: Option<usize>,
}

impl HeadsSpec {
    /// Attention scaled by 1/√head_dim, without any extras.
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize) -> Self {
        HeadsSpec {
            heads,
            kv_heads,
            head_dim,
            scale: 1.0 / (head_dim as f32).sqrt(),
            scaled_by_depth: false,
            maps: Vec::new(),
            order: HeadOrder::Split,
            output: LinearSpec::new("", false),
            clip: None,
            cap: None,
            alibi: None,
            norm: None,
            filter: None,
            log_n: None,
        }
    }

    /// Separate maps.
    pub fn separate(mut self, [q, k, v]: [Name; 3], bias: bool, output: LinearSpec) -> Self {
        self.maps = [q, k, v].map(|name| LinearSpec::new(name, bias)).into();
        self.output = output;
        self
    }

    /// One joint map.
    pub fn joint(mut self, map: LinearSpec, order: HeadOrder, output: LinearSpec) -> Self {
        self.maps = vec![map];
        self.order = order;
        self.output = output;
        self
    }
}

/// Linear position biases of the heads (Press et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlibiSpec {
    /// Added to the scaled scores.
    Scaled,
    /// Rounded to bf16 and added before scores are scaled (Falcon).
    Unscaled,
}

/// In which order the columns of queries, keys and values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadOrder {
    /// All queries, all keys, all values.
    Split,
    /// Per key/value head: its queries, its key, its value.
    Grouped,
    /// Per head its query and its key; then all values (Yuan).
    QueryKeyPairs,
}

/// Norms of queries and keys.
#[derive(Clone, Copy, Debug)]
pub struct HeadNormSpec {
    pub q: NormSpec,
    pub k: NormSpec,
    pub span: HeadNormSpan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNormSpan {
    /// Each head, with the same weights.
    Head,
    /// Each head, with weights of its own.
    OwnHead,
    /// All heads as one vector.
    All,
}

/// Localised filtering-based attention (Yuan 2.0): two causal convolutions of width two, and a norm.
#[derive(Clone, Copy, Debug)]
pub struct FilterSpec {
    pub first: Name,
    pub second: Name,
    pub norm: NormSpec,
}

/// Multi-head latent attention (DeepSeek-V2).
#[derive(Clone, Debug)]
pub struct LatentSpec {
    pub heads: usize,
    /// Dimensions of a head without and with positions, and of its values.
    pub plain: usize,
    pub rotary: usize,
    pub value: usize,
    /// Rank of the queries' latent; none if they are projected directly.
    pub q_rank: Option<usize>,
    pub kv_rank: usize,
    pub scale: f32,
    pub bias: bool,
    pub eps: f64,
}

#[derive(Clone, Debug)]
pub struct FeedForwardSpec {
    /// Width of the inner layer.
    pub width: usize,
    pub activation: Activation,
    pub input: InputMaps,
    pub down: LinearSpec,
}

#[derive(Clone, Debug)]
pub enum InputMaps {
    /// act(up x)
    Plain(LinearSpec),
    /// act(gate x) · up x, by separate maps.
    Gated(LinearSpec, LinearSpec),
    /// The same by one map.
    Joint(LinearSpec, GateOrder),
}

impl FeedForwardSpec {
    /// act(gate x) · up x, then down; without biases.
    pub fn gated(width: usize, activation: Activation, [gate, up, down]: [Name; 3]) -> Self {
        let input = InputMaps::Gated(LinearSpec::new(gate, false), LinearSpec::new(up, false));
        FeedForwardSpec { width, activation, input, down: LinearSpec::new(down, false) }
    }

    /// Every map with a bias.
    pub fn with_bias(mut self) -> Self {
        match &mut self.input {
            InputMaps::Plain(map) | InputMaps::Joint(map, _) => map.bias = true,
            InputMaps::Gated(gate, up) => (gate.bias, up.bias) = (true, true),
        }
        self.down.bias = true;
        self
    }

    /// act(up x), then down.
    pub fn plain(width: usize, activation: Activation, up: LinearSpec, down: LinearSpec) -> Self {
        FeedForwardSpec { width, activation, input: InputMaps::Plain(up), down }
    }
}

/// A mixture of experts.
#[derive(Clone, Debug)]
pub struct ExpertsSpec {
    pub routing: Routing,
    pub router: Name,
    /// Tensor that is added to the scores for the choice alone.
    pub correction: Option<Name>,
    /// Prefix of an expert within a block; `{}` is its number.
    pub prefix: Name,
    pub expert: FeedForwardSpec,
    /// What every token goes through besides.
    pub shared: Option<FeedForwardSpec>,
    /// A sigmoid gate on the shared part.
    pub shared_gate: Option<Name>,
    /// How the auxiliary loss is averaged, and its coefficient.
    pub balance: BalanceKind,
    pub balance_coefficient: f32,
    /// The auxiliary loss is part of training even where nobody asks for it.
    pub always_balanced: bool,
    /// The auxiliary loss is part of the reported loss.
    pub balance_reported: bool,
    /// `all` linear maps include the router, and those of the experts.
    pub adaptable_router: bool,
    pub adaptable_experts: bool,
}

impl ExpertsSpec {
    /// Experts alone, without an auxiliary loss; neither they nor the router are among `all`.
    pub fn new(routing: Routing, router: Name, prefix: Name, expert: FeedForwardSpec) -> Self {
        ExpertsSpec {
            routing,
            router,
            correction: None,
            prefix,
            expert,
            shared: None,
            shared_gate: None,
            balance: BalanceKind::Batch,
            balance_coefficient: 0.0,
            always_balanced: false,
            balance_reported: false,
            adaptable_router: false,
            adaptable_experts: false,
        }
    }

    /// The auxiliary loss over the batch of transformers' Switch-like models.
    pub fn with_batch_balance(mut self, config: &Config) -> Result<Self> {
        self.balance_coefficient = config.number_or("router_aux_loss_coef", 0.001)? as f32;
        self.always_balanced = config.flag_or("output_router_logits", false)?;
        self.balance_reported = true;
        Ok(self)
    }
}

#[derive(Clone, Debug)]
pub struct HeadSpec {
    pub name: Name,
    /// The output matrix is the token table.
    pub tied: bool,
    pub bias: bool,
    /// Factor on the logits.
    pub scale: f32,
    pub cap: Option<f32>,
    /// Rows of the matrix are scaled to length one.
    pub unit_rows: bool,
    /// Tokens there are, if fewer than the matrix has rows.
    pub tokens: Option<usize>,
    /// `all` linear maps include this one.
    pub adaptable: bool,
}

impl HeadSpec {
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
