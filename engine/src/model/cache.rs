//! Keys and values of a sequence that is being generated.

/// The past of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub layers: Vec<LayerCache>,
    /// Tokens in the cache.
    pub len: usize,
}

/// Rows of rotated keys and of values of one layer.
#[derive(Clone, Debug, Default)]
pub struct LayerCache {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}
