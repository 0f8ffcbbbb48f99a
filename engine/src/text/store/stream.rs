//! Sequences that are made while they are used.

use std::collections::VecDeque;

use crate::text::encode::Example;
use crate::text::error::{Error, Result};

/// Makes the next sequences, some at a time, for ever; none only if the data are empty. What the user should know goes
/// into the list.
type Produce = Box<dyn FnMut(&mut Vec<String>) -> Result<Vec<Example>> + Send>;

/// A window into an endless run of sequences.
pub struct Stream {
    produce: Produce,
    window: VecDeque<Example>,
    /// The place of the window's first sequence.
    first: usize,
    largest: Option<u32>,
    remarks: Vec<String>,
}

impl Stream {
    /// Sequences from `produce`, of which the first are made at once.
    pub fn new(produce: Produce) -> Result<Self> {
        let mut stream =
            Self { produce, window: VecDeque::new(), first: 0, largest: None, remarks: Vec::new() };
        stream.fill()?;
        Ok(stream)
    }

    fn fill(&mut self) -> Result<()> {
        let made = (self.produce)(&mut self.remarks)?;
        if made.is_empty() {
            let message = "the streamed data hold no row that can be trained on";
            return Err(Error::Setting { key: "streaming", message: message.into() });
        }
        self.largest = self.largest.max(made.iter().flat_map(|example| &example.ids).max().copied());
        self.window.extend(made);
        Ok(())
    }

    /// Sequence number `place`. What comes before it is let go of.
    pub fn get(&mut self, place: usize) -> Result<Example> {
        if place < self.first {
            let message = format!("sequence {place} of the stream has gone by; it stands at {}", self.first);
            return Err(Error::Setting { key: "streaming", message });
        }
        while place > self.first {
            if self.window.pop_front().is_none() {
                self.fill()?;
            } else {
                self.first += 1;
            }
        }
        loop {
            match self.window.front() {
                Some(example) => return Ok(example.clone()),
                None => self.fill()?,
            }
        }
    }

    /// What has been said since this was asked last.
    pub fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    pub fn largest_id(&self) -> Option<u32> {
        self.largest
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("first", &self.first).finish_non_exhaustive()
    }
}
