//! Encoded examples: in memory while they are few, in a file once they are many, so that memory does not grow with the
//! data.
//!
//! ```text
//! rows ─► Table (one a data set, cached by content and settings) ─► View (order, mixing, packing) ─► Examples
//! ```
//!
//! A [`Table`] holds every row of a data set once. A [`View`] says which of them a sequence is made of; mixing,
//! splitting and packing move numbers, not tokens.

pub(super) mod cache;
mod stream;
mod table;
mod view;

pub use cache::folder as cache_folder;
pub use stream::StreamStep;
pub(super) use stream::{Made, Pace, Stream};
use table::write_record;
pub(super) use table::{Table, TableWriter};
pub(super) use view::{Blocks, Place, View};

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::encode::Example;
use super::error::Result;
use crate::hub;

/// The sequences to train on or to evaluate with.
#[derive(Clone, Debug, Default)]
pub struct Examples(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Nothing,
    Indexed(Arc<View>),
    Streamed(Arc<Mutex<Stream>>, usize),
}

impl Examples {
    pub(super) fn indexed(view: View) -> Self {
        Self(Source::Indexed(Arc::new(view)))
    }

    /// `length` sequences of a stream.
    pub(super) fn streamed(stream: Stream, length: usize) -> Self {
        Self(Source::Streamed(Arc::new(Mutex::new(stream)), length))
    }

    /// The examples themselves, held in memory.
    pub fn of(examples: &[Example]) -> Self {
        Self::indexed(View::whole(Table::of(examples)))
    }

    /// Number of sequences. For a stream: as many as the run's steps take.
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::Nothing => 0,
            Source::Indexed(view) => view.len(),
            Source::Streamed(_, length) => *length,
        }
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What step number `step`, from 0, of a stream trains on; `None` where this is no stream. A stream gives steps in
    /// order; it goes on from the one asked for last.
    ///
    /// # Errors
    /// If a row of the stream is wrong, or a pass over it is shorter than a step.
    pub fn step(&self, step: u64) -> Result<Option<StreamStep>> {
        match &self.0 {
            Source::Streamed(stream, _) => stream.lock().step(step).map(Some),
            Source::Nothing | Source::Indexed(_) => Ok(None),
        }
    }

    /// Sequence number `place`, from 0. A stream gives them in order; it goes on from the one asked for last.
    ///
    /// # Errors
    /// If the file that holds it cannot be read, or a row of a stream is wrong.
    pub fn get(&self, place: usize) -> Result<Example> {
        match &self.0 {
            Source::Nothing => Ok(Example::default()),
            Source::Indexed(view) => view.get(place),
            Source::Streamed(stream, _) => stream.lock().get(place),
        }
    }

    /// Every sequence in order.
    ///
    /// # Errors
    /// An item says which file cannot be read.
    pub fn iter(&self) -> impl Iterator<Item = Result<Example>> {
        (0..self.len()).map(|place| self.get(place))
    }

    /// The largest token id. For a stream: of what has been read ahead.
    pub fn largest_id(&self) -> Option<u32> {
        match &self.0 {
            Source::Nothing => None,
            Source::Indexed(view) => view.largest_id(),
            Source::Streamed(stream, _) => stream.lock().largest_id(),
        }
    }

    /// SHA-256 over all sequences in order, in hexadecimal digits; `None` for a stream, which is read as it is trained
    /// on.
    ///
    /// # Errors
    /// If the file that holds them cannot be read.
    pub fn digest(&self) -> Result<Option<String>> {
        if let Source::Streamed(..) = self.0 {
            return Ok(None);
        }
        let (mut digest, mut bytes) = (Sha256::new(), Vec::new());
        for example in self.iter() {
            bytes.clear();
            write_record(&mut bytes, &example?);
            digest.update(&bytes);
        }
        Ok(Some(hub::hex(&digest.finalize())))
    }

    /// What is to be said about the rows that a stream has read since this was asked last.
    pub fn remarks(&self) -> Vec<String> {
        match &self.0 {
            Source::Streamed(stream, _) => stream.lock().remarks(),
            _ => Vec::new(),
        }
    }

    /// Writes all sequences to a file that [`Examples::open`] reads.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut writer = TableWriter::file(path)?;
        for example in self.iter() {
            writer.push(Some(&example?))?;
        }
        writer.finish(Vec::new()).map(|_| ())
    }

    /// What [`Examples::save`] wrote.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self::indexed(View::whole(Table::open(path)?)))
    }
}
