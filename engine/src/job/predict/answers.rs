//! Answers to prompts, several at once, and how like they are to those of the data.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use recipe::{Phase, Sampling};
use serde_json::json;

use super::{Predicted, Setting};
use crate::generate::{Event, Generation};
use crate::model::SequenceId;
use crate::observer::Observer;
use crate::rng::Rng;
use crate::text::similarity::{SCORES, similarity};
use crate::text::{EvalSet, Example, IGNORE_INDEX};
use crate::world::Numbers;
use crate::{Error, Result};

/// The streams of the seed that draw answers, from this one on, one for each example.
const ANSWER_STREAM: u64 = 3 << 32;
/// How often progress is told.
const EVERY: Duration = Duration::from_secs(1);

/// Answers every prompt of `set`.
///
/// # Errors
/// A prompt leaves no room for an answer, the device fails, or the observer stops it.
pub(super) fn predict(setting: &Setting, set: &EvalSet, observer: &mut Observer) -> Result<Predicted> {
    let world = setting.world;
    let answers = draw(setting, set, observer);
    // Whether one of them has stopped is asked before any of them waits for the others' answers.
    if world.any(matches!(answers, Err(Error::Stopped)))? {
        return Err(Error::Stopped);
    }
    let answers = world.exchange(answers?)?.into_iter().flatten();

    let tokenizer = &setting.opened.loaded.tokenizer;
    let mut lines = Vec::with_capacity(set.examples.len());
    let mut sums = [0.0; SCORES.len()];
    let answers: BTreeMap<String, Vec<f64>> = answers.collect();
    for (example, answer) in set.examples.iter().zip(answers.values()) {
        let (prompt, label) = parted(&example?);
        let answer: Vec<u32> = answer.iter().map(|id| *id as u32).collect();
        let (predict, label) = (tokenizer.decode(&answer, true)?, tokenizer.decode(&label, true)?);
        for (sum, score) in sums.iter_mut().zip(similarity(&predict, &label)) {
            *sum += score;
        }
        lines.push(json!({"prompt": tokenizer.decode(&prompt, false)?, "predict": predict, "label": label}));
    }
    let count = lines.len().max(1) as f64;
    let metrics = SCORES.into_iter().zip(sums).map(|(name, sum)| (name.to_owned(), sum / count)).collect();
    Ok(Predicted { lines, metrics })
}

/// The prompt's ids, and those of the answer that the data give.
fn parted(example: &Example) -> (Vec<u32>, Vec<u32>) {
    let is_label = |label: &i64| *label != IGNORE_INDEX;
    let prompt = example.labels.iter().position(is_label).unwrap_or(example.ids.len());
    (example.ids[..prompt].to_vec(), example.ids[prompt..].to_vec())
}

/// The ids of this process's answers, by the number of their example. A sequence that ends makes room for the next one.
fn draw(setting: &Setting, set: &EvalSet, observer: &mut Observer) -> Result<Numbers> {
    let Setting { recipe, opened, world } = setting;
    let stop_ids = opened.template.stop_ids(&opened.loaded.tokenizer);
    let mut generation = Generation::new(&opened.loaded.decoder);
    let mut coming = (0..set.examples.len()).filter(|index| world.takes(*index));
    let mut running: BTreeMap<SequenceId, usize> = BTreeMap::new();
    let mut answers: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut told: Option<Instant> = None;
    loop {
        let free = setting.batch_size() - running.len();
        for index in coming.by_ref().take(free) {
            let (prompt, _) = parted(&set.examples.get(index)?);
            let seed = Rng::stream(recipe.seed, ANSWER_STREAM + index as u64).next_u64();
            let sampling = Sampling { seed: Some(seed), ..recipe.sampling() };
            let added = generation.add(&prompt, &sampling, &stop_ids);
            running.insert(added.map_err(|error| too_long(index, error))?, index);
            answers.insert(index, Vec::new());
        }
        if running.is_empty() {
            break;
        }
        if observer.stops() {
            return Err(Error::Stopped);
        }
        if told.is_none_or(|told| told.elapsed() >= EVERY) {
            let done = answers.len() - running.len();
            let of = set.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
            observer.phase(Phase::Predicting, Some(format!("{of}{done} / {}", set.examples.len())));
            told = Some(Instant::now());
        }
        for (id, event) in generation.step()? {
            match event {
                Event::Token(token) => {
                    let answer = running.get(&id).and_then(|index| answers.get_mut(index));
                    answer.into_iter().for_each(|answer| answer.push(f64::from(token)));
                }
                Event::Finished(_) => {
                    running.remove(&id);
                }
            }
        }
    }
    // In the order of the numbers, whoever's they are.
    Ok(answers.into_iter().map(|(index, ids)| (format!("{index:012}"), ids)).collect())
}

/// Says which example has too long a prompt, and what helps.
fn too_long(index: usize, error: Error) -> Error {
    let Error::Context { tokens, context } = error else { return error };
    let message = format!(
        "the prompt of evaluation example {} has {tokens} tokens, which leaves no room for an answer in the model's \
         context of {context}; set cutoff_len below {context}",
        index + 1
    );
    Error::recipe("cutoff_len", message)
}
