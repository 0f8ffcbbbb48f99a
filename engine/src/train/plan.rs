//! Which examples a step trains on.
//!
//! Arithmetic of transformers' Trainer: an epoch's last batch may be short, and its last step may gather
//! fewer batches.

use recipe::Recipe;

use crate::text::epoch_order;

/// The steps of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub examples: usize,
    batch: usize,
    /// Batches of a step, of all processes together.
    batches: usize,
    pub total_steps: u64,
    shuffle: bool,
    seed: u64,
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
    /// Where `processes` train together, each takes as many batches to a step as the recipe says.
    pub fn new(recipe: &Recipe, examples: usize, processes: usize) -> Plan {
        let mut plan = Plan {
            examples,
            batch: recipe.per_device_train_batch_size,
            batches: recipe.batches_per_step() * processes,
            total_steps: 0,
            // A stream is shuffled where it is read.
            shuffle: !recipe.disable_shuffling && !recipe.streaming,
            seed: recipe.order_seed(),
        };
        let by_epochs = (recipe.num_train_epochs * plan.steps_per_epoch() as f64).ceil() as u64;
        plan.total_steps = recipe.step_limit().unwrap_or(by_epochs);
        plan
    }

    fn batches_per_epoch(&self) -> usize {
        self.examples.div_ceil(self.batch)
    }

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
    fn order(&self, epoch: u64) -> Option<Vec<usize>> {
        self.shuffle.then(|| epoch_order(self.examples, self.seed, epoch))
    }
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
        Plan::new(&recipe, examples, 1)
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
        let epoch = |first: u64| -> Vec<usize> {
            (first..first + plan.steps_per_epoch()).flat_map(|s| plan.step(s).batches.concat()).collect()
        };
        let (first, second) = (epoch(0), epoch(plan.steps_per_epoch()));
        assert_ne!(first, second);
        for order in [first, second] {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
            assert_ne!(order, sorted);
        }
    }
}
