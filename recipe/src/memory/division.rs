//! How the engine divides a batch: constants and rules that the estimate shares with it.

/// Floats of logits that the cross-entropy holds at a time, about; their gradient takes their place. The output matrix is
/// packed anew for each block of rows, which few rows do not repay.
const LOGIT_FLOATS: usize = 24 << 20;
/// Rows of a block of logits, at least and at most.
const LOGIT_ROWS: (usize, usize) = (64, 1024);

/// Tokens of a part, at least: reading a block's weights is then little beside multiplying by them.
const TOKENS: usize = 256;
/// Where a block's weights stay in a core's cache.
const TOKENS_OF_SMALL: usize = 64;
/// Weights of such a block, at most.
const SMALL: usize = 256 * 1024;

/// Bytes of free memory that activations may fill before they are computed again instead of kept: a third.
pub fn activation_budget(free: u64) -> u64 {
    free / 3
}

/// Rows whose logits over `vocab` tokens exist at a time, of so many labels, which are divided into blocks alike.
pub fn logit_rows(labels: usize, vocab: usize) -> usize {
    let most = (LOGIT_FLOATS / vocab.max(1)).clamp(LOGIT_ROWS.0, LOGIT_ROWS.1);
    labels.div_ceil(labels.div_ceil(most).max(1)).max(1)
}

/// Numbers of a batch and of the model that trains on it, which decide how it is divided.
#[derive(Clone, Copy, Debug)]
pub struct Division {
    /// Tokens of all sequences.
    pub tokens: usize,
    /// Sequences, none of which is divided.
    pub sequences: usize,
    /// Weights of a block of the model.
    pub block: usize,
    /// Parameters that train.
    pub trainable: usize,
    /// Floats per token that the forward pass keeps.
    pub activation_floats: usize,
}

impl Division {
    /// Parts that threads take side by side; 1 for a batch that they share.
    pub fn parts(&self) -> usize {
        let least = if self.block <= SMALL { TOKENS_OF_SMALL } else { TOKENS };
        let count = (self.tokens / least).min(self.sequences);
        // Each part has gradients of its own, which should be little beside its activations.
        if count < 2 || self.trainable > self.tokens / count * self.activation_floats / 2 { 1 } else { count }
    }
}
