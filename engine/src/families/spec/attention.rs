//! How a block attends: grouped heads, or heads that share a latent.

use super::{LinearSpec, Name, NormSpec};

/// How queries, keys and values come about.
#[derive(Clone, Debug)]
pub enum AttentionKind {
    /// Of the hidden states, for grouped heads.
    Heads(HeadsSpec),
    /// Of latents, for heads that share one.
    Latent(LatentSpec),
}

/// Grouped-query attention.
#[derive(Clone, Debug)]
pub struct HeadsSpec {
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Dimensions of a head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// The factor is divided by the layer's number, counted from one.
    pub scaled_by_depth: bool,
    /// Maps to queries, keys and values; one if they are joint.
    pub maps: Vec<LinearSpec>,
    /// How the columns of a joint map lie.
    pub order: HeadOrder,
    /// From the mixed values to the hidden state.
    pub output: LinearSpec,
    /// Queries, keys and values are cut off at ± this.
    pub clip: Option<f32>,
    /// Cap on the scores.
    pub cap: Option<f32>,
    /// Linear position biases.
    pub alibi: Option<AlibiSpec>,
    /// Of queries and keys.
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
    /// Of queries.
    pub q: NormSpec,
    /// Of keys.
    pub k: NormSpec,
    /// What is normalised as one vector.
    pub span: HeadNormSpan,
}

/// What the norms of queries and keys take as one vector.
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
    /// The convolution that reads the input.
    pub first: Name,
    /// The one that reads the first one's output.
    pub second: Name,
    /// Of the filter's output.
    pub norm: NormSpec,
}

/// Multi-head latent attention (DeepSeek-V2).
#[derive(Clone, Debug)]
pub struct LatentSpec {
    /// Heads of queries, keys and values.
    pub heads: usize,
    /// Dimensions of a head without positions.
    pub plain: usize,
    /// Dimensions of a head that turn with the position.
    pub rotary: usize,
    /// Dimensions of a head's values.
    pub value: usize,
    /// Rank of the queries' latent; none if they are projected directly.
    pub q_rank: Option<usize>,
    /// Rank of the latent of keys and values.
    pub kv_rank: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// The maps into latents, and the output, add a bias.
    pub bias: bool,
    /// Of the latents' norms.
    pub eps: f64,
}
