//! `auto_find_batch_size`: the largest batch whose memory there is.

use std::borrow::Cow;
use std::iter::successors;
use std::path::Path;

use recipe::Recipe;
use recipe::memory::{Machine, estimate};

use crate::observer::Observer;
use crate::train::resume::Start;
use crate::{limits, memory, weights};

/// The recipe, where it asks for that, with as many examples in a batch as memory is estimated to suffice for, and as many
/// more batches to a step: what a step learns from stays. A run that goes on keeps the batch that it began with.
pub(super) fn fitted<'r>(
    recipe: &'r Recipe,
    model: &Path,
    start: Option<&Start>,
    observer: &mut Observer,
) -> Cow<'r, Recipe> {
    if !recipe.auto_find_batch_size {
        return Cow::Borrowed(recipe);
    }
    if cfg!(feature = "cuda") && !recipe.use_cpu {
        observer.warn("auto_find_batch_size has no effect: what a graphics card needs is not estimated");
        return Cow::Borrowed(recipe);
    }
    let given = recipe.per_device_train_batch_size;
    let examples = given * recipe.gradient_accumulation_steps;
    let with = |batch: usize| Recipe {
        per_device_train_batch_size: batch,
        gradient_accumulation_steps: examples / batch,
        ..recipe.clone()
    };
    let known = start.and_then(|start| start.state.batch).filter(|batch| examples.is_multiple_of(*batch));
    let batch = known.or_else(|| {
        let shape = weights::measured(model)?;
        let machine = Machine { free: memory::available() as u64, threads: limits::threads() as u64 };
        Some(largest(given, examples, |batch| {
            estimate(&with(batch), &shape, machine).total() <= machine.free
        }))
    });
    match batch {
        None | Some(0) => Cow::Borrowed(recipe),
        Some(batch) => {
            if batch != given {
                let more = examples / batch;
                observer.info(format!(
                    "memory suffices for {batch} examples at a time: a step takes {more} batches of them"
                ));
            }
            Cow::Owned(with(batch))
        }
    }
}

/// The largest batch that `fits`, of `most` and of what divides a step's examples and is at most half of the one before; one
/// example, if none does.
fn largest(most: usize, examples: usize, fits: impl Fn(usize) -> bool) -> usize {
    let half = |batch: &usize| (1..=batch / 2).rev().find(|smaller| examples.is_multiple_of(*smaller));
    successors(Some(most), half).find(|batch| *batch == 1 || fits(*batch)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_get_smaller_until_they_fit() {
        let up_to =
            |most: usize, examples: usize, room: usize| largest(most, examples, |batch| batch <= room);
        assert_eq!([up_to(16, 16, 99), up_to(16, 16, 9), up_to(16, 16, 0)], [16, 8, 1]);
        assert_eq!([up_to(6, 6, 2), up_to(6, 12, 5), up_to(7, 14, 6)], [1, 3, 2]);
    }
}
