//! Training on data that are read while it goes on (`streaming`): rows pass through a shuffle buffer and are encoded
//! batch by batch; the run's length is `max_steps`.

use std::iter::Peekable;

use recipe::Recipe;

use super::encoder::Encoder;
use super::sets::{Sets, mix};
use super::{EvalSet, Examples, Prepared};
use crate::data::mix::{Mix, Turns};
use crate::data::{Catalog, DataSource, RawRow, Seen};
use crate::encode::Example;
use crate::error::Result;
use crate::hub::Hubs;
use crate::numpy::{DefaultRng, LegacyRng};
use crate::observer::Observer;
use crate::store::{Made, Pace, Stream, Table};

/// How many rows that were left out are told one by one.
const TOLD_ROWS: usize = 5;

/// A row and the number of its data set.
type Item = Result<(usize, RawRow)>;

pub(super) fn prepare(
    recipe: &Recipe,
    encoder: &Encoder,
    processes: usize,
    observer: &mut Observer,
) -> Result<Prepared> {
    let hubs = Hubs::with_tokens(&recipe.tokens);
    let catalog = Catalog::of_recipe(recipe, &hubs)?;
    let mut sources = Vec::with_capacity(recipe.dataset.len());
    for name in &recipe.dataset {
        let source = catalog.stream(name, encoder.kind(), &hubs)?;
        for note in &source.notes {
            observer.info(format!("Dataset \"{name}\": {note}."));
        }
        if let Some(missing) = source.check_first_columns()? {
            observer.info(format!("Dataset \"{name}\": {missing}."));
        }
        if source.info.num_samples.is_some() {
            observer.info(format!("Dataset \"{name}\": num_samples has no effect on streamed data."));
        }
        sources.push(source);
    }
    let mix = mix(recipe, sources.len());
    let mut rows = Endless {
        encoder: encoder.clone(),
        seen: sources.iter().map(|_| Seen::default()).collect(),
        sources,
        mix,
        rng: DefaultRng::new(recipe.seed),
        buffer: recipe.buffer_size.max(1),
        held_out: recipe.val_size as usize,
        epoch: 0,
        rows: None,
        told: 0,
    };
    let eval = if recipe.eval_dataset.is_empty() {
        EvalSet::whole(rows.evaluation(observer)?)
    } else {
        let mut rng = LegacyRng::new(recipe.seed as u32);
        super::evaluation(recipe, encoder, &catalog, &recipe.eval_dataset, &mut rng, observer)?
    };
    // Validation asks for a limit.
    let steps = recipe.step_limit().unwrap_or_default();
    let length = steps as usize * recipe.examples_per_step() * processes;
    let pace = Pace {
        batch: recipe.per_device_train_batch_size,
        accumulation: recipe.batches_per_step() * processes,
    };
    let stream = Stream::new(Box::new(move |remarks| rows.produce(remarks)), pace)?;
    Ok(Prepared { train: Examples::streamed(stream, length), eval })
}

/// The data sets, mixed, shuffled and encoded, again and again.
struct Endless {
    encoder: Encoder,
    sources: Vec<DataSource>,
    seen: Vec<Seen>,
    mix: Mix,
    /// Of epoch 0.
    rng: DefaultRng,
    buffer: usize,
    /// Rows at the start of every epoch that are for evaluation.
    held_out: usize,
    epoch: u64,
    rows: Option<Box<dyn Iterator<Item = Item> + Send>>,
    told: usize,
}

impl Endless {
    /// The rows of the current epoch, in their order.
    fn epoch(&self) -> Box<dyn Iterator<Item = Item> + Send> {
        let rng = self.rng.for_epoch(self.epoch);
        let mixed = Mixed::new(self.sources.clone(), &self.mix, rng.clone());
        Box::new(Shuffled::new(mixed, self.buffer, rng))
    }

    fn evaluation(&mut self, observer: &mut Observer) -> Result<Examples> {
        if self.held_out == 0 {
            return Ok(Examples::default());
        }
        let rows = self.epoch().take(self.held_out).collect::<Result<Vec<_>>>()?;
        let mut remarks = Vec::new();
        let made = self.encode(rows, &mut remarks)?;
        remarks.into_iter().for_each(|remark| observer.info(remark));
        Ok(Examples::of(&made))
    }

    /// The sequences of the next batch of rows.
    fn produce(&mut self, remarks: &mut Vec<String>) -> Result<Made> {
        let mut started = 0;
        loop {
            let batch = self.encoder.batch.max(1);
            let held_out = self.held_out;
            if self.rows.is_none() {
                self.rows = Some(Box::new(self.epoch().skip(held_out)));
                started += 1;
            }
            let rows = self.rows.iter_mut().flatten().take(batch).collect::<Result<Vec<_>>>()?;
            if rows.is_empty() {
                for (source, seen) in self.sources.iter().zip(&self.seen) {
                    source.check_columns(seen)?;
                }
                // A whole epoch without a sequence: there will never be one.
                if started > 1 {
                    return Ok(Made::default());
                }
                self.rows = None;
                self.epoch += 1;
                continue;
            }
            let examples = self.encode(rows, remarks)?;
            if !examples.is_empty() {
                return Ok(Made { epoch: self.epoch, examples });
            }
        }
    }

    /// Encodes rows of all data sets, keeping their order.
    fn encode(&mut self, rows: Vec<(usize, RawRow)>, remarks: &mut Vec<String>) -> Result<Vec<Example>> {
        let mut made: Vec<Option<Example>> = vec![None; rows.len()];
        let mut by_set: Vec<(Vec<usize>, Vec<RawRow>)> = vec![Default::default(); self.sources.len()];
        for (place, (set, row)) in rows.into_iter().enumerate() {
            by_set[set].0.push(place);
            by_set[set].1.push(row);
        }
        for (set, (places, rows)) in by_set.into_iter().enumerate() {
            let encoded = self.encoder.encode(&self.sources[set], rows, &self.seen[set])?;
            for (place, example) in places.into_iter().zip(encoded) {
                match example {
                    Ok(example) => made[place] = Some(example),
                    Err(skipped) if self.told < TOLD_ROWS => {
                        self.told += 1;
                        remarks.push(format!("{skipped}."));
                    }
                    Err(_) => {
                        self.told += 1;
                        // Each further one would be noise; that there are more must be known.
                        if (self.told - TOLD_ROWS).is_power_of_two() {
                            remarks.push(format!("{} rows have been left out so far.", self.told));
                        }
                    }
                }
            }
        }
        let sets = Sets::of(Table::of(&made.into_iter().flatten().collect::<Vec<_>>()));
        let rows: Vec<_> = (0..sets.tables()[0].rows()).map(|row| sets.place((0, row))).collect();
        let (view, remark) = self.encoder.view(&sets, &rows);
        remarks.extend(remark);
        (0..view.len()).map(|place| view.get(place)).collect()
    }
}

type Rows = Peekable<Box<dyn Iterator<Item = Result<RawRow>> + Send>>;

/// Rows of several data sets in the order of their mixing.
struct Mixed {
    sources: Vec<DataSource>,
    rows: Vec<Rows>,
    turns: Option<Turns>,
    /// The data set that is read, where they come one after the other.
    current: usize,
}

impl Mixed {
    fn new(sources: Vec<DataSource>, mix: &Mix, rng: DefaultRng) -> Self {
        let turns = match mix {
            Mix::Interleave { stop, shares } if sources.len() > 1 => {
                Some(Turns::new(sources.len(), *stop, shares.as_deref(), rng))
            }
            _ => None,
        };
        Self { rows: sources.iter().map(open).collect(), sources, turns, current: 0 }
    }
}

fn open(source: &DataSource) -> Rows {
    let rows: Box<dyn Iterator<Item = Result<RawRow>> + Send> = Box::new(source.rows());
    rows.peekable()
}

impl Iterator for Mixed {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let Some(turns) = &mut self.turns else {
            while self.current < self.rows.len() {
                match self.rows[self.current].next() {
                    Some(row) => return Some(row.map(|row| (self.current, row))),
                    None => self.current += 1,
                }
            }
            return None;
        };
        let set = turns.next_set()?;
        let row = self.rows[set].next();
        if self.rows[set].peek().is_none() {
            turns.used_up(set);
            self.rows[set] = open(&self.sources[set]);
        }
        row.map(|row| row.map(|row| (set, row)))
    }
}

/// A shuffle buffer: once it is full, one of its rows at random makes place for the next; what is left comes shuffled.
struct Shuffled<I: Iterator> {
    rows: I,
    buffer: Vec<I::Item>,
    size: usize,
    rng: DefaultRng,
    /// Places drawn ahead, the next one last.
    places: Vec<usize>,
    ended: bool,
}

impl<I: Iterator> Shuffled<I> {
    fn new(rows: I, size: usize, rng: DefaultRng) -> Self {
        Self { rows, buffer: Vec::new(), size, rng, places: Vec::new(), ended: false }
    }
}

impl<I: Iterator> Iterator for Shuffled<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        while !self.ended {
            match self.rows.next() {
                Some(row) if self.buffer.len() < self.size => self.buffer.push(row),
                Some(row) => {
                    // Drawn by the thousand, which decides what the last shuffle draws.
                    if self.places.is_empty() {
                        self.places = (0..1000).map(|_| self.rng.below(self.size)).collect();
                        self.places.reverse();
                    }
                    let place = self.places.pop().unwrap_or_default();
                    return Some(std::mem::replace(&mut self.buffer[place], row));
                }
                None => {
                    self.ended = true;
                    self.rng.shuffle(&mut self.buffer);
                    // Rows leave from the end.
                    self.buffer.reverse();
                }
            }
        }
        self.buffer.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `IterableDataset.shuffle(seed=42, buffer_size=4)`.
    #[test]
    fn the_buffer_shuffles_as_datasets_does() {
        let epoch = |epoch: u64| {
            let rng = DefaultRng::new(42).for_epoch(epoch);
            Shuffled::new(0..12, 4, rng).collect::<Vec<_>>()
        };
        assert_eq!(epoch(0), [0, 3, 2, 1, 7, 5, 4, 6, 8, 10, 9, 11]);
        assert_eq!(epoch(1), [2, 1, 0, 4, 5, 8, 7, 3, 6, 10, 11, 9]);
    }
}
