//! From records to token ids and labels, for each stage.
//!
//! The rules are LLaMA-Factory's: what is cut when an example is too long ([`seqlen`]), which tokens count in the loss
//! ([`supervised`]), and how short examples share a sequence ([`packing`]).

mod answers;
mod marked;
mod packing;
mod pretrain;
mod record;
mod seqlen;
mod supervised;

pub use answers::{Feedback, Pair, Prompted, feedback, judged, pairwise, prompted};
pub(crate) use packing::join;
pub use packing::{Packing, pack};
pub use pretrain::{PlainText, plain_text};
pub use record::RecordEncoder;
pub use seqlen::share_budget;
pub use supervised::{Masking, supervised};

/// The label of a token that does not count in the loss.
pub const IGNORE_INDEX: i64 = -100;

/// One training sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub ids: Vec<u32>,
    /// One per id, not shifted: the label of a token is the token itself or [`IGNORE_INDEX`].
    pub labels: Vec<i64>,
    /// Set if the sequence holds several records end to end.
    pub packed: Option<Packed>,
    /// Of a judged answer: it was found bad.
    pub unwanted: bool,
}

/// How the records of a packed sequence lie in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Lengths of the records in their order; positions start at 0 in each. What of the sequence is left behind them
    /// is padding, without labels.
    pub lengths: Vec<usize>,
    /// The records do not see each other (neat packing). Otherwise attention runs over all of them.
    pub isolated: bool,
}

impl Example {
    /// A sequence of one record.
    pub fn new(ids: Vec<u32>, labels: Vec<i64>) -> Self {
        Self { ids, labels, ..Self::default() }
    }

    /// `prompt`, which does not count, and `answer`, which does.
    fn of_turn(prompt: &[u32], answer: &[u32]) -> Self {
        let ids = [prompt, answer].concat();
        let mut labels = vec![IGNORE_INDEX; prompt.len()];
        labels.extend(answer.iter().map(|id| i64::from(*id)));
        Self::new(ids, labels)
    }

    /// Number of ids without padding.
    pub fn real_len(&self) -> usize {
        self.packed.as_ref().map_or(self.ids.len(), |packed| packed.lengths.iter().sum())
    }

    /// Position of every id in its record; 0 for padding.
    pub fn positions(&self) -> Vec<u32> {
        let Some(packed) = &self.packed else { return (0..self.ids.len() as u32).collect() };
        let mut positions: Vec<u32> = packed.lengths.iter().flat_map(|length| 0..*length as u32).collect();
        positions.resize(self.ids.len(), 0);
        positions
    }

    /// Number of labels that count.
    pub fn trained_tokens(&self) -> usize {
        self.labels.iter().filter(|label| **label != IGNORE_INDEX).count()
    }
}
