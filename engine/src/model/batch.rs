//! Ragged batches: sequences end to end, without padding.

use std::sync::Arc;

use super::feed_forward::RouterLogits;
use crate::kernel::attention::Span;
use crate::ops::head::Label;
use crate::ops::{Balance, Dropout, Rotation};

/// Sequences that are computed together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Token ids of all sequences, end to end.
    pub ids: Vec<u32>,
    /// Position of each token in its sequence.
    pub positions: Vec<u32>,
    /// Rows that see each other.
    pub spans: Arc<Vec<Span>>,
    /// Where the next token counts in the loss, in order of rows.
    pub labels: Vec<Label>,
}

impl Batch {
    /// Appends a sequence; `labels[i]` says whether token i counts when it is predicted (−100 does not).
    pub fn push(&mut self, ids: &[u32], labels: &[i64]) {
        self.push_padded(ids, labels, (0, 0));
    }

    /// The same for a sequence whose first and last tokens, as many as `padding` says, only fill it up: real
    /// tokens do not attend to them, and positions count from the first real one. What padding is still
    /// matters to a filter over neighbours and to averages over all tokens.
    pub fn push_padded(&mut self, ids: &[u32], labels: &[i64], (padding, trailing): (usize, usize)) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.positions.extend((0..ids.len()).map(|i| i.saturating_sub(padding) as u32));
        Arc::make_mut(&mut self.spans).push(Span { start, len: ids.len(), padding, trailing });
        for (i, label) in labels.iter().enumerate().skip(1) {
            if let Ok(token) = u32::try_from(*label) {
                self.labels.push(Label { row: (start + i - 1) as u32, token });
            }
        }
    }

    /// One sequence without labels.
    pub fn of(ids: &[u32]) -> Batch {
        let mut batch = Batch::default();
        batch.push(ids, &[]);
        batch
    }

    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// What every block needs of a pass.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Of each of the model's rotations; the last one rotates nothing.
    pub rotations: Vec<Rotation>,
    pub spans: Arc<Vec<Span>>,
    pub dropout: Dropout,
    pub balance: Option<Arc<Balance>>,
    pub router_logits: Option<Arc<RouterLogits>>,
}
