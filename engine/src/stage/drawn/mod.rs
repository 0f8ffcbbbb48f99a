//! Stages that train on answers which the model draws itself, and which are scored: reinforcement learning.
//!
//! A step is a [`Round`]: prompts are answered ([`rollout`]), the answers scored ([`reward`]) and judged by the models
//! ([`judge`]), and of all that come the updates of the step. What is drawn is a function of seed and step.

mod grpo;
mod judge;
mod ppo;
mod reward;
mod rollout;

use std::sync::Arc;

use recipe::{Recipe, Stage as Name};
use serde::{Deserialize, Serialize};

pub(crate) use reward::Scorer;

use super::Means;
use crate::Result;
use crate::autograd::ParamGradients;
use crate::method::Loaded;
use crate::model::{Batch, Measured, Pass, Sums};
use crate::rl::Rows;
use crate::text::Example;
use crate::world::World;
use reward::Rewards;

/// A stage that makes what it trains on.
pub(crate) trait Drawn: Send + Sync {
    /// Whether the model has a value head.
    fn has_value_head(&self) -> bool {
        false
    }

    /// Draws answers to the prompts of a step, and says what is learnt of them.
    ///
    /// # Errors
    /// If a model fails, or nothing scores the answers.
    fn round(&self, model: &Loaded, turn: Turn) -> Result<Round>;
}

/// A step, as a stage gets it.
pub(crate) struct Turn<'a> {
    pub world: &'a dyn World,
    /// The prompts, in the batches that processes take in turn.
    pub prompts: Vec<Vec<Example>>,
    /// Batches of an update, of all processes together.
    pub batches: usize,
    pub seed: u64,
    /// Numbers that the stage carries from step to step.
    pub carried: &'a mut Sums,
}

/// What a step consists of.
pub(crate) struct Round {
    /// Micro-batches of each update.
    pub updates: Vec<Vec<MicroBatch>>,
    /// Whether there is anything to learn: else no gradient is to be expected.
    pub teaches: bool,
    /// What is known before the updates.
    pub measured: Sums,
    /// Some answers with their scores, for people.
    pub said: Vec<String>,
}

/// What a micro-batch adds to gradients: the loss, and what is measured beside it.
type Learn = dyn Fn(&Loaded, &Batch, Pass, &mut ParamGradients) -> Result<Measured> + Send + Sync;

/// Answers of an update that are computed together.
pub(crate) struct MicroBatch {
    pub batch: Batch,
    pub learn: Box<Learn>,
}

/// An answer, its score, and what the models say of its tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sample {
    /// Its number among all answers of the step.
    number: u64,
    prompt: Vec<u32>,
    answer: Vec<u32>,
    /// The answer that the data give.
    known: Vec<u32>,
    /// Whether it came to its end within the limit of tokens.
    ended: bool,
    text: String,
    score: f64,
    /// What the score is the sum of, by name and before weights.
    scores: Vec<(String, f64)>,
    /// Of each token by the policy that wrote it, by the reference, and by the value head; empty where not asked for.
    log_probs: Vec<f64>,
    reference: Vec<f64>,
    values: Vec<f64>,
    /// What the policy left open at each token, in nats, on average.
    entropy: f64,
}

/// Answers that are computed together, of which the tokens of the answers count.
fn batch_of<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Batch {
    let mut batch = Batch::default();
    for Sample { prompt, answer, .. } in samples {
        let ids = [&prompt[..], answer].concat();
        let labels: Vec<i64> =
            prompt.iter().map(|_| -100).chain(answer.iter().map(|id| i64::from(*id))).collect();
        batch.push(&ids, &labels);
    }
    batch
}

/// A number for each label of a batch, as rows of its sequences.
fn rows_of(batch: &Batch, numbers: impl Fn(usize) -> f64) -> Rows {
    batch.labels_by_sequence().map(|labels| labels.map(&numbers).collect()).collect()
}

/// What each answer gets, of all processes, in the order of the prompts.
fn samples(
    model: &Loaded,
    rewards: &Rewards,
    settings: &rollout::Settings,
    turn: &Turn,
    wants: judge::Wants,
) -> Result<Vec<Sample>> {
    let mut own = rollout::answers(model, settings, turn)?;
    rewards.score(model, &mut own)?;
    for batch in &mut own {
        judge::judge(model, batch, wants)?;
    }
    if turn.world.size() > 1 {
        let garbled = |error: serde_json::Error| {
            crate::Error::Training(format!(
                "processes that train together do not understand each other: {error}"
            ))
        };
        let said = turn.world.gather(serde_json::to_vec(&own).map_err(garbled)?)?;
        own.clear();
        for said in said {
            own.extend(serde_json::from_slice::<Vec<Vec<Sample>>>(&said).map_err(garbled)?);
        }
    }
    let mut all: Vec<Sample> = own.into_iter().flatten().collect();
    all.sort_by_key(|sample| sample.number);
    Ok(all)
}

/// What every such stage measures of its answers.
fn measured(samples: &[Sample]) -> Sums {
    let mut means = Means::default();
    for sample in samples {
        means.add("reward", sample.score, 1.0);
        for (name, score) in &sample.scores {
            means.add(format!("rewards/{name}"), *score, 1.0);
        }
        means.add("response_length", sample.answer.len() as f64, 1.0);
        means.add("response_clipped", f64::from(u8::from(!sample.ended)), 1.0);
        means.add("policy/entropy", sample.entropy, 1.0);
    }
    means.iter().map(|(name, mean)| (name.to_owned(), mean)).collect()
}

/// Characters of an answer that are shown.
const CHARACTERS: usize = 300;

/// The answers of the highest and of the lowest score; one, where all have the same.
fn said(samples: &[Sample]) -> Vec<String> {
    let one = |sample: &Sample| {
        let text: String = sample.text.trim().chars().take(CHARACTERS).collect();
        format!("An answer that scored {:.4}: {text}", sample.score)
    };
    // Of equal ones the first.
    let best = samples.iter().reduce(|best, sample| if sample.score > best.score { sample } else { best });
    let worst =
        samples.iter().reduce(|worst, sample| if sample.score < worst.score { sample } else { worst });
    let differs = |worst: &&Sample| best.is_some_and(|best| best.score != worst.score);
    best.into_iter().chain(worst.filter(differs)).map(one).collect()
}

/// Makes the stage that a recipe describes.
type Open = fn(&Recipe) -> Result<Arc<dyn Drawn>>;

const STAGES: &[(Name, Open)] = &[(Name::Ppo, ppo::open), (Name::Grpo, grpo::open)];

/// The stage that a recipe asks for, if it is one of these.
///
/// # Errors
/// If its settings do not fit.
pub(crate) fn of(recipe: &Recipe) -> Result<Option<Arc<dyn Drawn>>> {
    let found = STAGES.iter().find(|(name, _)| *name == recipe.stage);
    found.map(|(_, open)| open(recipe)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_worst_answer_are_shown() {
        let shown = |scores: &[f64]| {
            let sample = |(number, score): (usize, &f64)| Sample {
                text: number.to_string(),
                score: *score,
                ..Sample::default()
            };
            said(&scores.iter().enumerate().map(sample).collect::<Vec<_>>())
        };
        let one = |score: f64, text: &str| format!("An answer that scored {score:.4}: {text}");
        assert_eq!(shown(&[0.5, 1.0, 0.2, 1.0, 0.2]), [one(1.0, "1"), one(0.2, "2")]);
        assert_eq!(shown(&[0.5, 0.5]), [one(0.5, "0")]);
        assert!(shown(&[]).is_empty());
    }
}
