//! What operations keep of sequences that are being generated: pages of keys and values, and slots of recurrent state.
//!
//! Which pages and which slot are a sequence's is not known here: an [`Extension`] says it with the new rows.

use candle_core::Tensor;

use crate::Result;
use crate::kernel::attention::{AttentionShape, PAGE};

/// New rows of a batch that continue a sequence.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The first row.
    pub start: usize,
    /// Rows that are new.
    pub len: usize,
    /// Tokens of the sequence before them.
    pub past: usize,
    /// The pages with all the sequence's tokens, these included, in order.
    pub pages: Vec<usize>,
    /// The slot with what the sequence's layers remember beside them.
    pub slot: usize,
}

impl Extension {
    /// Tokens of the sequence with the new ones.
    pub fn total(&self) -> usize {
        self.past + self.len
    }

    /// The new rows by the pages that they go to: first row, how many, the page, and their first place in it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let first = self.past / PAGE;
        self.pages.iter().enumerate().skip(first).map(move |(index, page)| {
            let from = self.past.max(index * PAGE);
            let end = self.total().min((index + 1) * PAGE);
            (self.start + from - self.past, end - from, *page, from % PAGE)
        })
    }
}

/// Rotated keys, and values, of one layer, in pages of [`PAGE`] tokens.
#[derive(Debug, Default)]
pub struct Pages {
    /// For the kernels, as those lay them out; empty ones were never written to.
    own: Vec<Vec<f32>>,
    /// For plain operations, all pages end to end: keys [kv heads, tokens, head dim], values [kv heads, tokens, value
    /// dim].
    tensors: Option<[Tensor; 2]>,
}

/// Pages by which the tensors of plain operations grow: each time they are copied.
const GROWTH: usize = 16;

impl Pages {
    pub(super) fn get(&self, page: usize) -> &[f32] {
        &self.own[page]
    }

    /// A page to write to, made when it is first asked for.
    pub(super) fn get_mut(&mut self, shape: AttentionShape, page: usize) -> &mut [f32] {
        if self.own.len() <= page {
            self.own.resize_with(page + 1, Vec::new);
        }
        let page = &mut self.own[page];
        if page.is_empty() {
            *page = vec![0.0; shape.page_len()];
        }
        page
    }

    /// Keys and values of the kind of `like`, with room for so many pages.
    pub(super) fn tensors(
        &mut self,
        shape: AttentionShape,
        pages: usize,
        like: &Tensor,
    ) -> Result<&[Tensor; 2]> {
        let old = self.tensors.take();
        let there = old.as_ref().map_or(0, |[keys, _]| keys.dims()[1]);
        let more = (pages * PAGE).saturating_sub(there).next_multiple_of(GROWTH * PAGE);
        let grown = match old {
            Some(old) if more == 0 => old,
            old => {
                let room = |dim| Tensor::zeros((shape.kv_heads, more, dim), like.dtype(), like.device());
                let (keys, values) = (room(shape.head_dim)?, room(shape.value_dim)?);
                match old {
                    None => [keys, values],
                    Some([k, v]) => [Tensor::cat(&[k, keys], 1)?, Tensor::cat(&[v, values], 1)?],
                }
            }
        };
        Ok(self.tensors.insert(grown))
    }
}

/// Recurrent state of one kind in one layer: for each slot a row of what a sequence's next token needs of those before.
#[derive(Debug, Default)]
pub struct Slots {
    rows: Vec<Option<Tensor>>,
}

impl Slots {
    /// States [sequences, width] before the new rows of each sequence; of one that begins, zeros.
    pub(super) fn before(&self, extensions: &[Extension], like: &Tensor) -> Result<Tensor> {
        let zeros = Tensor::zeros((1, like.dims()[1]), like.dtype(), like.device())?;
        let state = |extension: &Extension| {
            let kept = self.rows.get(extension.slot).filter(|_| extension.past > 0);
            kept.and_then(|kept| kept.as_ref()).unwrap_or(&zeros)
        };
        let states: Vec<&Tensor> = extensions.iter().map(state).collect();
        Ok(Tensor::cat(&states, 0)?)
    }

    /// Keeps a sequence's state [1, width] after its new rows.
    pub(super) fn keep(&mut self, extension: &Extension, state: Tensor) {
        if self.rows.len() <= extension.slot {
            self.rows.resize(extension.slot + 1, None);
        }
        self.rows[extension.slot] = Some(state);
    }
}
