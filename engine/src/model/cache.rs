//! What is kept of a sequence that is being generated.

/// The past of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub layers: Vec<LayerCache>,
    /// Tokens in the cache.
    pub len: usize,
    /// Tokens of the first extension, the prompt.
    pub prompt: usize,
}

/// One layer's past.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    /// Rows of rotated keys.
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
    /// The last row that went into each convolution of a local filter.
    pub filter: [Option<Vec<f32>>; 2],
}
