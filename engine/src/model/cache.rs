//! The sequences that are being generated, and what is kept of them: pages of keys and values, and slots of recurrent
//! state.
//!
//! Memory grows by pages as sequences do, and what one leaves behind is the next one's. A page has the same number in
//! every layer, so that one list says where a sequence is.

use std::collections::BTreeMap;

use super::depths::Routed;
use crate::families::RopeSpec;
use crate::kernel::attention::{AttentionShape, PAGE};
use crate::ops::{Extension, Pages, Slots};
use crate::{Error, Result};

/// A sequence in a [`Cache`]. No other one gets its number, there or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub u64);

/// The past of several sequences, which join and leave at any time.
#[derive(Debug)]
pub struct Cache {
    pub(super) layers: Vec<LayerCache>,
    ropes: Vec<RopeSpec>,
    /// Bytes of a page in all layers together.
    page_bytes: usize,
    sequences: BTreeMap<SequenceId, Sequence>,
    pages: Numbers,
    slots: Numbers,
    /// The number of the next sequence.
    next: u64,
}

/// One layer's past of all sequences.
#[derive(Debug, Default)]
pub struct LayerCache {
    pub pages: Pages,
    /// The last row that went into each convolution of a local filter.
    pub filter: [Slots; 2],
    /// Of a block that some tokens go through, by slots: what its router has said.
    pub routed: Vec<Routed>,
}

#[derive(Debug)]
struct Sequence {
    /// All tokens, of which the first `computed` are in the layers.
    ids: Vec<u32>,
    computed: usize,
    /// Tokens that there were when the first of them was computed.
    prompt: usize,
    pages: Vec<usize>,
    slot: usize,
}

/// Numbers that are lent and given back.
#[derive(Debug, Default)]
struct Numbers {
    free: Vec<usize>,
    /// How many there are, lent ones included.
    count: usize,
}

impl Numbers {
    fn lend(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

/// The rows of a pass over the next tokens of several sequences.
pub(super) struct NewRows {
    pub ids: Vec<u32>,
    pub positions: Vec<u32>,
    pub extensions: Vec<Extension>,
    /// Of each sequence: the length of its prompt, and that of all its tokens.
    pub lengths: Vec<(usize, usize)>,
}

impl Cache {
    /// For a model with layers of these shapes, and with these rotations.
    pub(super) fn new(layers: &[AttentionShape], ropes: Vec<RopeSpec>) -> Cache {
        Cache {
            layers: layers.iter().map(|_| LayerCache::default()).collect(),
            ropes,
            page_bytes: layers.iter().map(|shape| shape.page_len() * size_of::<f32>()).sum(),
            sequences: BTreeMap::new(),
            pages: Numbers::default(),
            slots: Numbers::default(),
            next: 0,
        }
    }

    /// Takes in a sequence; all its tokens wait to be computed.
    pub fn join(&mut self, prompt: &[u32]) -> SequenceId {
        let id = SequenceId(self.next);
        self.next += 1;
        let slot = self.slots.lend();
        let sequence = Sequence { ids: prompt.to_vec(), computed: 0, prompt: 0, pages: Vec::new(), slot };
        self.sequences.insert(id, sequence);
        id
    }

    /// Gives back all that a sequence has; of one that has left, nothing.
    pub fn leave(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences.remove(&id) {
            self.pages.free.extend(sequence.pages);
            self.slots.free.push(sequence.slot);
        }
    }

    /// Puts a token at the end of a sequence, where it waits to be computed.
    ///
    /// # Errors
    /// If the sequence has left.
    pub fn append(&mut self, id: SequenceId, token: u32) -> Result<()> {
        let sequence = self.sequences.get_mut(&id).ok_or_else(|| absent(id))?;
        let length = sequence.ids.len();
        sequence.ids.push(token);
        if self.ropes.iter().any(|rope| rope.switches(length, length + 1)) {
            // What is cached was rotated by the frequencies for short texts: it is computed again, as in Phi-3.
            sequence.computed = 0;
        }
        Ok(())
    }

    /// Tokens of a sequence.
    pub fn length(&self, id: SequenceId) -> usize {
        self.sequences.get(&id).map_or(0, |sequence| sequence.ids.len())
    }

    /// Tokens of a sequence that wait to be computed.
    pub fn waiting(&self, id: SequenceId) -> usize {
        self.sequences.get(&id).map_or(0, |sequence| sequence.ids.len() - sequence.computed)
    }

    /// Pages that sequences have, and pages that there are.
    pub fn pages(&self) -> (usize, usize) {
        (self.pages.count - self.pages.free.len(), self.pages.count)
    }

    /// Bytes of a page in all layers together, its numbers being f32; on an accelerator that holds bf16, half of them.
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// The next rows of these sequences, so many of each; their pages are there then.
    pub(super) fn prepare(&mut self, parts: &[(SequenceId, usize)]) -> Result<NewRows> {
        let mut rows =
            NewRows { ids: Vec::new(), positions: Vec::new(), extensions: Vec::new(), lengths: Vec::new() };
        for (index, (id, count)) in parts.iter().enumerate() {
            let waiting = self.waiting(*id);
            let sequence = self.sequences.get_mut(id).ok_or_else(|| absent(*id))?;
            if parts[..index].iter().any(|(other, _)| other == id) {
                return Err(Error::Generation(format!("sequence {} was given twice", id.0)));
            }
            if !(1..=waiting).contains(count) {
                let message = format!("{count} tokens of sequence {} were asked for; {waiting} wait", id.0);
                return Err(Error::Generation(message));
            }
            let (past, total) = (sequence.computed, sequence.computed + count);
            if past == 0 {
                sequence.prompt = sequence.ids.len();
            }
            while sequence.pages.len() * PAGE < total {
                sequence.pages.push(self.pages.lend());
            }
            rows.extensions.push(Extension {
                start: rows.ids.len(),
                len: *count,
                past,
                pages: sequence.pages[..total.div_ceil(PAGE)].to_vec(),
                slot: sequence.slot,
            });
            rows.ids.extend_from_slice(&sequence.ids[past..total]);
            rows.positions.extend(past as u32..total as u32);
            rows.lengths.push((sequence.prompt, sequence.ids.len()));
        }
        Ok(rows)
    }

    /// Notes that these rows are computed.
    pub(super) fn advance(&mut self, parts: &[(SequenceId, usize)]) {
        for (id, count) in parts {
            if let Some(sequence) = self.sequences.get_mut(id) {
                sequence.computed += count;
            }
        }
    }
}

fn absent(id: SequenceId) -> Error {
    Error::Generation(format!("sequence {} is not in the cache: it has left", id.0))
}
