//! Scores of chosen and rejected answers by a reward model.

use recipe::Phase;
use serde_json::{Value, json};

use super::{Predicted, Setting};
use crate::model::Batch;
use crate::observer::Observer;
use crate::stage::{Unit, rm};
use crate::text::{EvalSet, Example};
use crate::train::batch::batch_of;
use crate::train::records::round;
use crate::world::Numbers;
use crate::{Error, Result};

/// Scores every pair of `set`.
///
/// # Errors
/// An operation fails, or the observer stops it.
pub(super) fn predict(setting: &Setting, set: &EvalSet, observer: &mut Observer) -> Result<Predicted> {
    let (world, size) = (setting.world, setting.batch_size());
    observer.phase(Phase::Predicting, set.name.clone());
    let mut own = Numbers::new();
    for index in 0..set.examples.len().div_ceil(size) {
        // They all ask each other before each round.
        if index % world.size() == 0 && world.any(observer.stops())? {
            return Err(Error::Stopped);
        }
        if world.takes(index) {
            let places = index * size..((index + 1) * size).min(set.examples.len());
            let examples: Vec<Example> =
                places.map(|place| set.examples.get(place)).collect::<Result<_, _>>()?;
            let batch = Batch { together: Unit::Pair.sequences(), ..batch_of(examples.iter()) };
            let pairs = rm::pairs_of_scores(&setting.opened.loaded, &batch)?;
            own.insert(format!("{index:012}"), pairs.into_iter().flatten().collect());
        }
    }
    let all: Numbers = world.exchange(own)?.into_iter().flatten().collect();
    let pairs: Vec<[f64; 2]> = all.into_values().flat_map(|batch| batch.as_chunks().0.to_vec()).collect();
    let lines = pairs.iter().map(|[chosen, rejected]| line(*chosen, *rejected)).collect();
    let means = rm::measured(&pairs);
    Ok(Predicted { lines, metrics: means.iter().map(|(name, mean)| (name.to_owned(), mean)).collect() })
}

/// With two decimals, as LLaMA-Factory writes them.
fn line(chosen: f64, rejected: f64) -> Value {
    json!({"chosen": round(chosen, 2), "rejected": round(rejected, 2)})
}
