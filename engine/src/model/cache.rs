//! What is kept of a sequence that is being generated.

use candle_core::Tensor;

use crate::ops::attention::KeyValues;

/// The past of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub layers: Vec<LayerCache>,
    /// Tokens in the cache.
    pub ids: Vec<u32>,
    /// Number of tokens of the first extension, the prompt.
    pub prompt: usize,
}

/// One layer's past.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    pub past: KeyValues,
    /// The last row [1, dim] that went into each convolution of a local filter.
    pub filter: [Option<Tensor>; 2],
}
