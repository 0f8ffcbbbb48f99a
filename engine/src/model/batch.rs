//! Ragged batches: sequences end to end, without padding.

use std::ops::Range;
use std::sync::Arc;

use super::feed_forward::RouterLogits;
use super::shifted::ShiftedSpans;
use crate::kernel::attention::Span;
use crate::ops::head::Label;
use crate::ops::{Balance, Mode, Rotation};

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
    /// So many sequences, one after the other, belong together and are never divided; 0 says the same as 1.
    pub together: usize,
    /// Of judged answers: which groups of what belongs together were found bad. Of whole batches.
    pub unwanted: Vec<bool>,
    /// Of a part of a batch: how many of the batch's sequences are before it.
    pub first: usize,
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

    /// About so many parts, of whole sequences and about as many tokens each.
    pub fn parts(&self, count: usize) -> Vec<Batch> {
        let mut parts = Vec::with_capacity(count);
        let mut first = 0;
        for (index, span) in self.spans.iter().enumerate().step_by(self.together.max(1)).skip(1) {
            // Whether this part ends nearer to where it should without this sequence than with it.
            let target = self.tokens() * (parts.len() + 1);
            if 2 * target <= (2 * span.start + span.len) * count {
                parts.push(self.part(first, index));
                first = index;
            }
        }
        parts.push(self.part(first, self.spans.len()));
        parts
    }

    /// The sequences from one to before another.
    fn part(&self, first: usize, last: usize) -> Batch {
        let row = |index: usize| self.spans.get(index).map_or(self.tokens(), |span| span.start);
        let rows = row(first)..row(last);
        let label = |row: usize| self.labels.partition_point(|label| (label.row as usize) < row);
        let mut labels = self.labels[label(rows.start)..label(rows.end)].to_vec();
        labels.iter_mut().for_each(|label| label.row -= rows.start as u32);
        let mut spans = self.spans[first..last].to_vec();
        spans.iter_mut().for_each(|span| span.start -= rows.start);
        Batch {
            ids: self.ids[rows.clone()].to_vec(),
            positions: self.positions[rows].to_vec(),
            spans: Arc::new(spans),
            labels,
            together: self.together,
            first: self.first + first,
            unwanted: Vec::new(),
        }
    }

    /// The sequence at `place` of each group of what belongs together, as a batch of single ones.
    pub fn of_each_group(&self, place: usize) -> Batch {
        let mut batch = Batch { unwanted: self.unwanted.clone(), ..Batch::default() };
        for index in (place..self.spans.len()).step_by(self.together.max(1)) {
            let one = self.part(index, index + 1);
            let start = batch.ids.len();
            batch
                .labels
                .extend(one.labels.iter().map(|label| Label { row: label.row + start as u32, ..*label }));
            let spans = Arc::make_mut(&mut batch.spans);
            spans.extend(one.spans.iter().map(|span| Span { start: start + span.start, ..*span }));
            batch.ids.extend(one.ids);
            batch.positions.extend(one.positions);
        }
        batch
    }

    /// The labels of each sequence, as ranges of [`Batch::labels`].
    pub fn labels_by_sequence(&self) -> impl Iterator<Item = Range<usize>> {
        let before = |row: usize| self.labels.partition_point(|label| (label.row as usize) < row);
        self.spans.iter().map(move |span| before(span.start)..before(span.start + span.len))
    }

    /// What the labels of each sequence come to, given a number for each.
    pub fn sums(&self, of_label: impl Fn(usize) -> f64) -> Vec<f64> {
        self.labels_by_sequence().map(|labels| labels.map(&of_label).sum()).collect()
    }

    /// Rows, padding included.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
}

/// What every block needs of a pass.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Of each of the model's rotations; the last one rotates nothing.
    pub rotations: Vec<Rotation>,
    /// The batch's sequences.
    pub spans: Arc<Vec<Span>>,
    /// Groups within the spans, where attention is sparse.
    pub groups: Option<ShiftedSpans>,
    /// The adapter beside the weights, and the masks of dropout.
    pub mode: Mode,
    /// Collects the routers' auxiliary loss, if it is wanted.
    pub balance: Option<Arc<Balance>>,
    /// Collects the routers' logits, if they are wanted.
    pub router_logits: Option<Arc<RouterLogits>>,
}
