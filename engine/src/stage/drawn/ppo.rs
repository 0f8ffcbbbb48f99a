//! Proximal policy optimisation (Schulman et al. 2017) with a penalty for leaving a reference (Ziegler et al. 2019).
//!
//! Unlike LLaMA-Factory's, runs go on from checkpoints and the learning rate follows its schedule.

use std::sync::Arc;

use recipe::{KlPenalty, Recipe};

use super::judge::Wants;
use super::reward::Rewards;
use super::{Drawn, MicroBatch, Round, Sample, Turn, batch_of, measured, rollout, rows_of, said, samples};
use crate::autograd::ParamGradients;
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Objective, Pass, Seeds, Sums};
use crate::rl::advantages::{Advantages, Discount, generalised, rewards};
use crate::rl::kl::{AdaptiveKl, penalties};
use crate::rl::ppo::{Before, Clipping, loss};
use crate::rl::statistics::{Moments, mean};
use crate::rng::Rng;
use crate::{Error, Result};

/// TRL's values, which LLaMA-Factory leaves as they are.
const HORIZON: f64 = 10_000.0;
const DISCOUNT: Discount = Discount { gamma: 1.0, lambda: 0.95, whiten_rewards: false };
const CLIPPING: Clipping = Clipping { ratio: 0.2, value: 0.2, value_weight: 0.1, largest_ratio: 10.0 };
/// The streams of a step's seed that order its epochs.
const ORDER: u64 = 3 << 32;

/// Names of what is carried from step to step.
const COEFFICIENT: &str = "kl_coef";
const MOMENTS: [&str; 3] = ["score_mean", "score_var", "score_count"];

struct Ppo {
    rewards: Rewards,
    drawing: rollout::Settings,
    penalty: KlPenalty,
    /// What a nat costs at first, and the distance that is aimed at.
    coefficient: f64,
    target: f64,
    discount: Discount,
    normalises: bool,
    epochs: usize,
    /// Answers of a micro-batch.
    micro: usize,
}

pub(super) fn open(recipe: &Recipe) -> Result<Arc<dyn Drawn>> {
    Ok(Arc::new(Ppo {
        rewards: Rewards::of(recipe)?,
        drawing: rollout::Settings::of(recipe),
        penalty: recipe.ppo_kl_penalty,
        coefficient: recipe.ppo_kl_coef,
        target: recipe.ppo_target,
        discount: Discount { whiten_rewards: recipe.ppo_whiten_rewards, ..DISCOUNT },
        normalises: recipe.ppo_score_norm,
        epochs: recipe.ppo_epochs,
        micro: recipe.per_device_train_batch_size,
    }))
}

/// An answer with what it was worth by token.
struct Valued {
    sample: Sample,
    advantages: Vec<f64>,
    returns: Vec<f64>,
}

impl Drawn for Ppo {
    fn has_value_head(&self) -> bool {
        true
    }

    fn round(&self, model: &Loaded, turn: Turn) -> Result<Round> {
        let wants = Wants { log_probs: true, reference: true, values: true };
        let samples = samples(model, &self.rewards, &self.drawing, &turn, wants)?;
        let mut measured = measured(&samples);
        let shown = said(&samples);
        let scores = self.scores(&samples, turn.carried);
        let of = |part: fn(&Sample) -> &Vec<f64>| {
            samples.iter().map(|sample| part(sample).clone()).collect::<Vec<_>>()
        };
        let (policy, values) = (of(|sample| &sample.log_probs), of(|sample| &sample.values));
        let kl = penalties(self.penalty, &policy, &of(|sample| &sample.reference));
        let mut steered = AdaptiveKl {
            coefficient: turn.carried.get(COEFFICIENT).copied().unwrap_or(self.coefficient),
            target: self.target,
            horizon: HORIZON,
        };
        let given = rewards(&scores, &kl, steered.coefficient);
        let Advantages { advantages, returns } = generalised(&values, given, self.discount);
        let distance = kl.iter().flatten().sum::<f64>() / samples.len().max(1) as f64;
        measured.insert("objective/kl".to_owned(), distance);
        measured.insert("objective/kl_coef".to_owned(), steered.coefficient);
        measured.insert("objective/entropy".to_owned(), -mean(&policy));
        steered.update(distance, samples.len());
        turn.carried.insert(COEFFICIENT.to_owned(), steered.coefficient);

        let valued = samples.into_iter().zip(advantages).zip(returns);
        let valued: Vec<Valued> =
            valued.map(|((sample, advantages), returns)| Valued { sample, advantages, returns }).collect();
        let updates = self.updates(&Arc::new(valued), turn.seed, turn.batches * self.micro);
        Ok(Round { updates, teaches: true, measured, said: shown })
    }
}

impl Ppo {
    /// The answers' scores; where that is asked for, by the moments of all scores so far.
    fn scores(&self, samples: &[Sample], carried: &mut Sums) -> Vec<f64> {
        let scores: Vec<f64> = samples.iter().map(|sample| sample.score).collect();
        if !self.normalises {
            return scores;
        }
        let fresh = Moments::default();
        let known = |name: &str, fresh: f64| carried.get(name).copied().unwrap_or(fresh);
        let mut moments = Moments {
            mean: known(MOMENTS[0], fresh.mean),
            variance: known(MOMENTS[1], fresh.variance),
            count: known(MOMENTS[2], fresh.count),
        };
        moments.update(&scores);
        let now = [moments.mean, moments.variance, moments.count];
        carried.extend(MOMENTS.map(str::to_owned).into_iter().zip(now));
        let scale = moments.deviation() + f64::from(f32::EPSILON);
        scores.into_iter().map(|score| (score - moments.mean) / scale).collect()
    }

    /// Every epoch's updates: the answers in an order of its own, so many to an update.
    fn updates(&self, answers: &Arc<Vec<Valued>>, seed: u64, most: usize) -> Vec<Vec<MicroBatch>> {
        let mut updates = Vec::new();
        for epoch in 0..self.epochs {
            let order = Rng::stream(seed, ORDER + epoch as u64).permutation(answers.len());
            for update in order.chunks(most.max(1)) {
                let batches: Vec<&[usize]> = update.chunks(self.micro.max(1)).collect();
                let scale = 1.0 / batches.len() as f64;
                updates.push(batches.iter().map(|batch| micro_batch(answers, batch, scale)).collect());
            }
        }
        updates
    }
}

/// Some of the answers, and what is learnt of them.
fn micro_batch(answers: &Arc<Vec<Valued>>, chosen: &[usize], scale: f64) -> MicroBatch {
    let (answers, chosen) = (answers.clone(), chosen.to_vec());
    let batch = batch_of(chosen.iter().map(|index| &answers[*index].sample));
    // Whether its ratios are within bounds shows the batch as a whole.
    let batch = Batch { together: chosen.len(), ..batch };
    let learn = move |model: &Loaded, batch: &Batch, pass: Pass, grads: &mut ParamGradients| {
        let head = model.value_head.as_ref();
        let head = head.ok_or_else(|| Error::Training("PPO needs a value head".to_owned()))?;
        let of = |part: fn(&Valued) -> &Vec<f64>| {
            chosen.iter().map(|index| part(&answers[*index]).clone()).collect::<Vec<_>>()
        };
        let (log_probs, values) = (of(|answer| &answer.sample.log_probs), of(|answer| &answer.sample.values));
        let (advantages, returns) = (of(|answer| &answer.advantages), of(|answer| &answer.returns));
        let before =
            Before { log_probs: &log_probs, values: &values, advantages: &advantages, returns: &returns };
        let objective =
            |batch: &Batch, rows: &[RowLoss], values: &[f32]| seeds(batch, rows, values, before, scale);
        model.decoder.accumulate(batch, &pass, Objective::Valued(head, &objective), grads)
    };
    MicroBatch { batch, learn: Box::new(learn) }
}

/// The loss of a batch and its derivatives by what the model says now.
fn seeds(batch: &Batch, rows: &[RowLoss], values: &[f32], before: Before, scale: f64) -> Seeds {
    let log_probs = rows_of(batch, |place| -f64::from(rows[place].loss));
    let values = rows_of(batch, |place| f64::from(values[place]));
    let loss = loss((&log_probs, &values), before, CLIPPING);
    // A label's loss is its negative log-probability.
    let weights = loss.by_log_probs.iter().flatten().map(|slope| (-scale * slope) as f32).collect();
    let by_values = loss.by_values.iter().flatten().map(|slope| (scale * slope) as f32).collect();
    let measured = loss.measured.into_iter().map(|(name, value)| (format!("ppo/{name}"), scale * value));
    Seeds { loss: scale * loss.total, weights, by_values, measured: measured.collect() }
}
