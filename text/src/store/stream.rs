//! Sequences that are made while they are used.

use std::collections::VecDeque;

use crate::encode::Example;
use crate::error::{Error, Result};

/// Makes the next sequences, some at a time, for ever; none only if the data are empty. What the user should know goes
/// into the list.
type Produce = Box<dyn FnMut(&mut Vec<String>) -> Result<Made> + Send>;

/// Sequences of one pass over the data.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Number of the pass, from 0.
    pub epoch: u64,
    pub examples: Vec<Example>,
}

/// How many sequences a step takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Sequences of a batch.
    pub batch: usize,
    /// Batches of a step.
    pub accumulation: usize,
}

/// What an optimiser step trains on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStep {
    /// The batches of a pass over the data that ended before they made a step, and those that do. The loss of each
    /// portion is averaged by itself.
    pub portions: Vec<Vec<Vec<Example>>>,
    /// Number of the pass, from 0.
    pub epoch: u64,
    /// Batches of the pass that have gone by with this step.
    pub batches: usize,
    /// Whether what is left of the pass makes no further step.
    pub ends_epoch: bool,
}

/// A window into an endless run of sequences.
///
/// Steps are cut out of it as transformers' Trainer cuts them out of an `IterableDataset`: the last batch of a pass may
/// be short, no batch holds sequences of two passes, and the gradients of batches that make no step any more are kept
/// and go into the first step of the next pass, beside that step's own.
pub(crate) struct Stream {
    produce: Produce,
    pace: Pace,
    window: VecDeque<(u64, Example)>,
    /// The place of the window's first sequence.
    first: usize,
    /// Number of the step that comes next.
    next_step: u64,
    /// Batches of the current pass that have been taken.
    batches: usize,
    largest: Option<u32>,
    remarks: Vec<String>,
}

impl Stream {
    /// Sequences from `produce`, of which the first are made at once.
    pub(crate) fn new(produce: Produce, pace: Pace) -> Result<Self> {
        let mut stream = Self {
            produce,
            pace,
            window: VecDeque::new(),
            first: 0,
            next_step: 0,
            batches: 0,
            largest: None,
            remarks: Vec::new(),
        };
        stream.fill()?;
        Ok(stream)
    }

    fn fill(&mut self) -> Result<()> {
        let Made { epoch, examples } = (self.produce)(&mut self.remarks)?;
        if examples.is_empty() {
            let message = "the streamed data hold no row that can be trained on";
            return Err(wrong("streaming", message));
        }
        self.largest = self.largest.max(examples.iter().flat_map(|example| &example.ids).max().copied());
        self.window.extend(examples.into_iter().map(|example| (epoch, example)));
        Ok(())
    }

    /// Sequence number `place`. What comes before it is let go of.
    pub(crate) fn get(&mut self, place: usize) -> Result<Example> {
        if place < self.first {
            let message = format!("sequence {place} of the stream has gone by; it stands at {}", self.first);
            return Err(wrong("streaming", message));
        }
        while place > self.first {
            self.pop()?;
        }
        Ok(self.front()?.1.clone())
    }

    /// Step number `step`, from 0. What comes before it is let go of.
    pub(crate) fn step(&mut self, step: u64) -> Result<StreamStep> {
        if step < self.next_step {
            let message = format!("step {step} of the stream has gone by; it stands at {}", self.next_step);
            return Err(wrong("streaming", message));
        }
        while self.next_step < step {
            self.take_step()?;
        }
        self.take_step()
    }

    fn take_step(&mut self) -> Result<StreamStep> {
        let accumulation = self.pace.accumulation.max(1);
        let mut portions = Vec::new();
        loop {
            let epoch = self.front()?.0;
            let mut portion = Vec::with_capacity(accumulation);
            while portion.len() < accumulation && self.front()?.0 == epoch {
                portion.push(self.take_batch(epoch)?);
            }
            self.batches += portion.len();
            let is_whole = portion.len() == accumulation;
            portions.push(portion);
            if is_whole {
                self.next_step += 1;
                let (batches, ends_epoch) = (self.batches, !self.makes_a_step(epoch)?);
                if self.front()?.0 != epoch {
                    self.batches = 0;
                }
                return Ok(StreamStep { portions, epoch, batches, ends_epoch });
            }
            let made = std::mem::take(&mut self.batches);
            if made < accumulation {
                let message = format!(
                    "a pass over the streamed data makes {made} batches, but a step takes {accumulation}; lower it, \
                     or per_device_train_batch_size"
                );
                return Err(wrong("gradient_accumulation_steps", message));
            }
        }
    }

    /// The next sequences of a pass, as many as a batch has, or what is left.
    fn take_batch(&mut self, epoch: u64) -> Result<Vec<Example>> {
        let mut batch = Vec::with_capacity(self.pace.batch);
        while batch.len() < self.pace.batch.max(1) && self.front()?.0 == epoch {
            batch.push(self.pop()?);
        }
        Ok(batch)
    }

    /// Whether enough is left of a pass for a step.
    fn makes_a_step(&mut self, epoch: u64) -> Result<bool> {
        let Pace { batch, accumulation } = self.pace;
        // The last batch may be short.
        let needed = batch.max(1) * (accumulation.max(1) - 1) + 1;
        while self.window.len() < needed && self.window.back().is_none_or(|(last, _)| *last == epoch) {
            self.fill()?;
        }
        Ok(self.window.get(needed - 1).is_some_and(|(last, _)| *last == epoch))
    }

    fn front(&mut self) -> Result<&(u64, Example)> {
        while self.window.is_empty() {
            self.fill()?;
        }
        self.window.front().ok_or_else(|| wrong("streaming", "the stream has ended"))
    }

    fn pop(&mut self) -> Result<Example> {
        self.front()?;
        self.first += 1;
        self.window
            .pop_front()
            .map(|(_, example)| example)
            .ok_or_else(|| wrong("streaming", "the stream has ended"))
    }

    /// What has been said since this was asked last.
    pub(crate) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    pub(crate) fn largest_id(&self) -> Option<u32> {
        self.largest
    }
}

fn wrong(key: &'static str, message: impl Into<String>) -> Error {
    Error::Setting { key, message: message.into() }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("first", &self.first).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes over sequences 0 to `rows`, made three at a time.
    fn stream(rows: u32, batch: usize, accumulation: usize) -> Stream {
        let (mut epoch, mut next) = (0, 0);
        let produce = move |_: &mut Vec<String>| {
            if next >= rows {
                (epoch, next) = (epoch + 1, 0);
            }
            let ids = next..rows.min(next + 3);
            next = ids.end;
            let examples = ids.map(|id| Example { ids: vec![id], ..Example::default() }).collect();
            Ok(Made { epoch, examples })
        };
        Stream::new(Box::new(produce), Pace { batch, accumulation }).unwrap()
    }

    type Ids = Vec<Vec<Vec<u32>>>;

    fn ids(step: &StreamStep) -> Ids {
        let of_batch = |batch: &Vec<Example>| batch.iter().map(|example| example.ids[0]).collect();
        step.portions.iter().map(|portion| portion.iter().map(of_batch).collect()).collect()
    }

    /// As transformers' Trainer takes them from an `IterableDataset` of 7 rows.
    #[test]
    fn a_pass_that_ends_within_a_step_goes_into_the_next() {
        let mut stream = stream(7, 2, 3);
        let expected: [(Ids, u64, usize, bool); 3] = [
            (vec![vec![vec![0, 1], vec![2, 3], vec![4, 5]]], 0, 3, true),
            (vec![vec![vec![6]], vec![vec![0, 1], vec![2, 3], vec![4, 5]]], 1, 3, true),
            (vec![vec![vec![6]], vec![vec![0, 1], vec![2, 3], vec![4, 5]]], 2, 3, true),
        ];
        for (number, expected) in expected.into_iter().enumerate() {
            let step = stream.step(number as u64).unwrap();
            assert_eq!((ids(&step), step.epoch, step.batches, step.ends_epoch), expected);
        }
    }

    #[test]
    fn the_last_batch_of_a_pass_may_be_short() {
        let mut stream = stream(5, 2, 1);
        let steps: Vec<_> = (0..4).map(|number| stream.step(number).unwrap()).collect();
        let batches: Vec<_> = steps.iter().map(|step| ids(step)[0][0].clone()).collect();
        assert_eq!(batches, [vec![0, 1], vec![2, 3], vec![4], vec![0, 1]]);
        let places: Vec<_> = steps.iter().map(|step| (step.epoch, step.batches, step.ends_epoch)).collect();
        assert_eq!(places, [(0, 1, false), (0, 2, false), (0, 3, true), (1, 1, false)]);
    }

    #[test]
    fn a_run_that_goes_on_gets_the_same_steps() {
        let (mut whole, mut resumed) = (stream(7, 2, 2), stream(7, 2, 2));
        let steps: Vec<_> = (0..6).map(|number| whole.step(number).unwrap()).collect();
        assert_eq!(resumed.step(4).unwrap(), steps[4]);
        assert_eq!(resumed.step(5).unwrap(), steps[5]);
        assert!(resumed.step(2).is_err(), "a stream does not go back");
    }

    #[test]
    fn a_pass_that_never_makes_a_step_is_refused() {
        let message = stream(3, 1, 4).step(0).unwrap_err().to_string();
        assert!(message.contains("makes 3 batches, but a step takes 4"), "{message}");
    }
}
