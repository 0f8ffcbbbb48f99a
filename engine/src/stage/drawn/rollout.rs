//! Answers to prompts, many at a time.

use std::collections::BTreeMap;

use recipe::{Recipe, Sampling};

use super::{Sample, Turn};
use crate::Result;
use crate::generate::{Event, Finish, Generation};
use crate::method::Loaded;
use crate::model::SequenceId;
use crate::text::{Example, IGNORE_INDEX};

/// Answers that are drawn at the same time, at most: their keys and values are in memory together.
const AT_ONCE: usize = 64;
/// What tells the seeds of answers from those of masks.
const STREAM: u64 = 0xa076_1d64_78bd_642f;

/// How answers are drawn.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    sampling: Sampling,
    /// Answers to each prompt.
    each: usize,
}

impl Settings {
    pub(super) fn of(recipe: &Recipe) -> Settings {
        Settings { sampling: recipe.sampling(), each: recipe.answers_per_prompt() }
    }
}

/// The answers to this process's batches of prompts, batch by batch, those to a prompt one after the other.
///
/// # Errors
/// If the device fails, or a prompt leaves no room for an answer.
pub(super) fn answers(model: &Loaded, settings: &Settings, turn: &Turn) -> Result<Vec<Vec<Sample>>> {
    let mut own = Vec::new();
    let mut number = 0;
    for (index, prompts) in turn.prompts.iter().enumerate() {
        let mut batch = Vec::with_capacity(prompts.len() * settings.each);
        for example in prompts {
            for _ in 0..settings.each {
                batch.push(waiting(example, number));
                number += 1;
            }
        }
        if turn.world.takes(index) {
            own.push(batch);
        }
    }
    draw(model, settings, turn.seed, &mut own.iter_mut().flatten())?;
    for sample in own.iter_mut().flatten() {
        sample.text = model.tokenizer.decode(&sample.answer, true)?;
    }
    Ok(own)
}

/// An answer that is not drawn yet.
fn waiting(example: &Example, number: u64) -> Sample {
    let length = example.labels.iter().take_while(|label| **label == IGNORE_INDEX).count();
    let (prompt, known) = example.ids.split_at(length);
    Sample { number, prompt: prompt.to_vec(), known: known.to_vec(), ..Sample::default() }
}

/// Draws all answers; what ends one is its last token.
fn draw(
    model: &Loaded,
    settings: &Settings,
    seed: u64,
    waiting: &mut dyn Iterator<Item = &mut Sample>,
) -> Result<()> {
    let mut generation = Generation::new(&model.decoder);
    let mut running: BTreeMap<SequenceId, &mut Sample> = BTreeMap::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(sample) = waiting.next()
        {
            let seed = seed ^ STREAM.wrapping_mul(sample.number + 1);
            let sampling = Sampling { seed: Some(seed), ..settings.sampling.clone() };
            // Stop tokens are looked for here: that an answer ends is learnt like the rest of it.
            let id = generation.add(&sample.prompt, &sampling, &[])?;
            running.insert(id, sample);
        }
        if running.is_empty() {
            return Ok(());
        }
        for (id, event) in generation.step()? {
            let Some(sample) = running.get_mut(&id) else { continue };
            match event {
                Event::Token(token) => {
                    sample.answer.push(token);
                    if model.stop_ids.contains(&token) {
                        sample.ended = true;
                        generation.cancel(id);
                        running.remove(&id);
                    }
                }
                Event::Finished(Finish::Stop | Finish::Length | Finish::Cancelled) => {
                    running.remove(&id);
                }
            }
        }
    }
}
