//! Which examples a step trains on.
//!
//! Arithmetic of transformers' Trainer: an epoch's last batch may be short, and its last step may gather
//! fewer batches.

use std::sync::Arc;

use parking_lot::Mutex;
use recipe::{DataOrder, Recipe};

use crate::text::epoch_order;
use crate::{Error, Result};

/// Batches among which the longest examples come first, at most.
const MEGABATCH: usize = 50;

/// The steps of a run.
#[derive(Debug)]
pub struct Plan {
    /// Examples of an epoch.
    pub examples: usize,
    batch: usize,
    /// Batches of a step, of all processes together.
    batches: usize,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Whether an epoch's last batch counts that is not full.
    takes_short: bool,
    shuffle: bool,
    /// Tokens of each example, where those of like length go together.
    lengths: Option<Vec<usize>>,
    seed: u64,
    /// The order of the epoch that was asked for last.
    known: Mutex<Option<(u64, Arc<Vec<usize>>)>>,
}

/// One optimiser step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Examples of each micro-batch.
    pub batches: Vec<Vec<usize>>,
    /// Epochs done after this step.
    pub epoch: f64,
    /// Whether it is its epoch's last.
    pub ends_epoch: bool,
}

impl Plan {
    /// Where `processes` train together, each takes as many batches to a step as the recipe says. `lengths` are the
    /// examples' tokens, which are asked for where they decide the order.
    ///
    /// # Errors
    /// If no batch can be made of the examples, or `lengths` fails.
    pub fn new(
        recipe: &Recipe,
        examples: usize,
        processes: usize,
        lengths: impl FnOnce() -> Result<Vec<usize>>,
    ) -> Result<Plan> {
        let (batch, sampling) = (recipe.per_device_train_batch_size, recipe.data_order());
        if recipe.dataloader_drop_last && examples < batch {
            let message = format!(
                "leaves nothing to train on: there are {examples} examples, and a batch has {batch}; remove it, or lower \
                 per_device_train_batch_size"
            );
            return Err(Error::recipe("dataloader_drop_last", message));
        }
        let mut plan = Plan {
            examples,
            batch,
            batches: recipe.batches_per_step() * processes,
            total_steps: 0,
            takes_short: !recipe.dataloader_drop_last,
            // A stream is shuffled where it is read.
            shuffle: sampling != DataOrder::Sequential && !recipe.streaming,
            lengths: (sampling == DataOrder::GroupByLength).then(lengths).transpose()?,
            seed: recipe.order_seed(),
            known: Mutex::default(),
        };
        let by_epochs = (recipe.num_train_epochs * plan.steps_per_epoch() as f64).ceil() as u64;
        plan.total_steps = recipe.step_limit().unwrap_or(by_epochs);
        Ok(plan)
    }

    fn batches_per_epoch(&self) -> usize {
        if self.takes_short { self.examples.div_ceil(self.batch) } else { self.examples / self.batch }
    }

    /// Steps until every example has had its turn.
    pub fn steps_per_epoch(&self) -> u64 {
        self.batches_per_epoch().div_ceil(self.batches).max(1) as u64
    }

    /// The step after `done` steps.
    pub fn step(&self, done: u64) -> Step {
        let per_epoch = self.steps_per_epoch();
        let (epoch, within) = (done / per_epoch, (done % per_epoch) as usize);
        let order = self.order(epoch);
        let first = within * self.batches;
        let last = (first + self.batches).min(self.batches_per_epoch());
        let batch = |index: usize| {
            let end = ((index + 1) * self.batch).min(self.examples);
            (index * self.batch..end).map(|i| order.as_ref().map_or(i, |order| order[i])).collect()
        };
        Step {
            batches: (first..last).map(batch).collect(),
            epoch: epoch as f64 + last as f64 / self.batches_per_epoch() as f64,
            ends_epoch: within as u64 + 1 == per_epoch,
        }
    }

    /// The permutation of an epoch; none keeps the order of the files.
    fn order(&self, epoch: u64) -> Option<Arc<Vec<usize>>> {
        if !self.shuffle {
            return None;
        }
        let mut known = self.known.lock();
        if let Some((of, order)) = known.as_ref()
            && *of == epoch
        {
            return Some(order.clone());
        }
        let drawn = epoch_order(self.examples, self.seed, epoch);
        let order = match &self.lengths {
            Some(lengths) => grouped(drawn, lengths, self.batch * self.batches),
            None => drawn,
        };
        let order = Arc::new(order);
        *known = Some((epoch, order.clone()));
        Some(order)
    }
}

/// An order in which examples of like length go together, as transformers' `LengthGroupedSampler` makes it: a drawn order
/// is cut into runs of [`MEGABATCH`] steps, or of a quarter of all, each with its longest first; the longest of all is the
/// very first, so that memory runs out at once if it does.
fn grouped(mut order: Vec<usize>, lengths: &[usize], step: usize) -> Vec<usize> {
    let run = (order.len() / (step * 4)).clamp(1, MEGABATCH) * step;
    for run in order.chunks_mut(run) {
        run.sort_by_key(|place| std::cmp::Reverse(lengths[*place]));
    }
    // The first of those that are longest.
    let starts = (0..order.len()).step_by(run).rev();
    if let Some(longest) = starts.max_by_key(|start| lengths[order[*start]]) {
        order.swap(0, longest);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(examples: usize, batch: usize, accumulation: usize, shuffle: bool) -> Plan {
        let recipe = Recipe {
            per_device_train_batch_size: batch,
            gradient_accumulation_steps: accumulation,
            num_train_epochs: 2.0,
            disable_shuffling: !shuffle,
            ..Recipe::default()
        };
        Plan::new(&recipe, examples, 1, || Ok(Vec::new())).unwrap()
    }

    fn epoch(plan: &Plan, index: u64) -> Vec<usize> {
        let first = index * plan.steps_per_epoch();
        (first..first + plan.steps_per_epoch()).flat_map(|step| plan.step(step).batches.concat()).collect()
    }

    #[test]
    fn the_last_step_of_an_epoch_takes_what_is_left() {
        let plan = plan(10, 3, 3, false);
        assert_eq!(plan.total_steps, 4);
        assert_eq!(plan.step(0).batches, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]]);
        let last = plan.step(1);
        assert_eq!(last.batches, [vec![9]]);
        assert!(last.ends_epoch && last.epoch == 1.0);
        assert_eq!(plan.step(2).batches, plan.step(0).batches);
    }

    #[test]
    fn every_epoch_has_its_own_order_and_misses_nothing() {
        let plan = plan(50, 4, 2, true);
        let (first, second) = (epoch(&plan, 0), epoch(&plan, 1));
        assert_ne!(first, second);
        for order in [first, second] {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
            assert_ne!(order, sorted);
        }
    }

    #[test]
    fn a_last_batch_that_is_not_full_can_be_dropped() {
        let recipe = Recipe {
            per_device_train_batch_size: 3,
            gradient_accumulation_steps: 2,
            dataloader_drop_last: true,
            disable_shuffling: true,
            num_train_epochs: 2.0,
            ..Recipe::default()
        };
        let plan = Plan::new(&recipe, 11, 1, || Ok(Vec::new())).unwrap();
        assert_eq!((plan.total_steps, epoch(&plan, 1)), (4, (0..9).collect()));
        assert_eq!(plan.step(1).epoch, 1.0);
        let too_few = Plan::new(&recipe, 2, 1, || Ok(Vec::new())).unwrap_err().to_string();
        assert!(too_few.contains("there are 2 examples, and a batch has 3"), "{too_few}");
    }

    /// transformers 5.6, `get_length_grouped_indices` of 40 lengths, (7·i mod 40) + 1, by 3, with the order below drawn.
    #[test]
    fn examples_of_like_length_go_together() {
        let lengths: Vec<usize> = (0..40).map(|i| (7 * i) % 40 + 1).collect();
        let drawn: Vec<usize> = (0..40).map(|i| (11 * i + 5) % 40).collect();
        let expected = [
            17, 16, 27, 38, 9, 20, 31, 2, 13, 5, 28, 39, 10, 21, 32, 24, 35, 6, 11, 3, 14, 25, 36, 7, 18, 29,
            0, 22, 33, 4, 15, 26, 37, 8, 19, 30, 34, 1, 12, 23,
        ];
        assert_eq!(grouped(drawn, &lengths, 3), expected);
        let recipe = Recipe { per_device_train_batch_size: 2, group_by_length: true, ..Recipe::default() };
        let plan = Plan::new(&recipe, 40, 1, || Ok(lengths.clone())).unwrap();
        let (first, second) = (epoch(&plan, 0), epoch(&plan, 1));
        assert_ne!(first, second);
        assert_eq!(lengths[first[0]], 40);
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<_>>());
    }
}
