//! Group relative policy optimisation (Shao et al. 2024): no values, but several answers to each prompt, which foresee one
//! another.

use std::sync::Arc;

use recipe::{Recipe, ScaleRewards};

use super::judge::Wants;
use super::reward::Rewards;
use super::{Drawn, MicroBatch, Round, Sample, Turn, batch_of, measured, rollout, rows_of, said, samples};
use crate::Result;
use crate::autograd::ParamGradients;
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Objective, Pass, Seeds, Sums};
use crate::rl::grpo::{Group, Known, Settings, Totals, advantages, loss};

struct Grpo {
    rewards: Rewards,
    drawing: rollout::Settings,
    settings: Settings,
    scale: ScaleRewards,
    /// Answers to a prompt, and of a micro-batch.
    group: usize,
    micro: usize,
    iterations: usize,
}

pub(super) fn open(recipe: &Recipe) -> Result<Arc<dyn Drawn>> {
    Ok(Arc::new(Grpo {
        rewards: Rewards::of(recipe)?,
        drawing: rollout::Settings::of(recipe),
        settings: Settings {
            loss: recipe.grpo_loss_type,
            ratio: recipe.importance_sampling_level,
            beta: recipe.grpo_beta,
            below: recipe.grpo_epsilon,
            above: recipe.grpo_epsilon_high.unwrap_or(recipe.grpo_epsilon),
            delta: recipe.grpo_delta,
            longest: recipe.max_new_tokens,
        },
        scale: recipe.scale_rewards,
        group: recipe.num_generations,
        micro: recipe.per_device_train_batch_size * recipe.num_generations,
        iterations: recipe.num_iterations,
    }))
}

/// The answers of a step with what they were worth, and how they enter the loss.
struct Lesson {
    samples: Vec<Sample>,
    advantages: Vec<f64>,
    settings: Settings,
    /// Whether the policy that wrote the answers is another one than that which trains, from the second update on.
    has_old: bool,
}

impl Drawn for Grpo {
    fn round(&self, model: &Loaded, turn: Turn) -> Result<Round> {
        let has_old = self.iterations > 1;
        let wants = Wants { log_probs: has_old, reference: self.settings.beta != 0.0, values: false };
        let samples = samples(model, &self.rewards, &self.drawing, &turn, wants)?;
        let scores: Vec<f64> = samples.iter().map(|sample| sample.score).collect();
        let Group { advantages, deviation, without_spread } = advantages(&scores, self.group, self.scale);
        let mut measured = measured(&samples);
        measured.insert("reward_std".to_owned(), deviation);
        measured.insert("frac_reward_zero_std".to_owned(), without_spread);
        let (shown, teaches) = (said(&samples), advantages.iter().any(|advantage| *advantage != 0.0));
        let lesson = Arc::new(Lesson { samples, advantages, settings: self.settings, has_old });
        let updates = (0..self.iterations).map(|_| lesson.update(self.micro)).collect();
        Ok(Round { updates, teaches, measured, said: shown })
    }
}

impl Lesson {
    /// All answers, in batches of so many.
    fn update(self: &Arc<Self>, micro: usize) -> Vec<MicroBatch> {
        let micro = micro.max(1);
        let batches = self.samples.len().div_ceil(micro);
        let tokens_of_all = self.samples.iter().map(|sample| sample.answer.len()).sum::<usize>() as f64;
        let one = |index: usize| {
            let first = index * micro;
            let samples = &self.samples[first..(first + micro).min(self.samples.len())];
            let batch = batch_of(samples);
            let totals =
                Totals { sequences: samples.len(), tokens: batch.labels.len(), tokens_of_all, batches };
            let lesson = self.clone();
            let learn = move |model: &Loaded, batch: &Batch, pass: Pass, grads: &mut ParamGradients| {
                let objective = |part: &Batch, rows: &[RowLoss]| lesson.seeds(part, rows, first, totals);
                model.decoder.accumulate(batch, &pass, Objective::Of(&objective), grads)
            };
            MicroBatch { batch, learn: Box::new(learn) }
        };
        (0..batches).map(one).collect()
    }

    /// The loss of a part of a batch, whose answers begin at `first`, and its derivatives.
    fn seeds(&self, part: &Batch, rows: &[RowLoss], first: usize, totals: Totals) -> Seeds {
        let first = first + part.first;
        let samples = &self.samples[first..first + part.spans.len()];
        let of = |row: fn(&Sample) -> &Vec<f64>| {
            samples.iter().map(|sample| row(sample).clone()).collect::<Vec<_>>()
        };
        let old = self.has_old.then(|| of(|sample| &sample.log_probs));
        let reference = (self.settings.beta != 0.0).then(|| of(|sample| &sample.reference));
        let known = Known {
            advantages: &self.advantages[first..first + samples.len()],
            old: old.as_deref(),
            reference: reference.as_deref(),
        };
        let log_probs = rows_of(part, |place| -f64::from(rows[place].loss));
        let loss = loss(&log_probs, known, &self.settings, totals);
        let share = 1.0 / totals.batches as f64;
        let mut measured = Sums::from(
            [
                ("clip_ratio/low_mean", loss.clipped_below),
                ("clip_ratio/high_mean", loss.clipped_above),
                ("clip_ratio/region_mean", loss.clipped_below + loss.clipped_above),
            ]
            .map(|(name, sum)| (name.to_owned(), share * sum)),
        );
        if reference.is_some() {
            measured.insert("kl".to_owned(), share * loss.divergence);
        }
        // A label's loss is its negative log-probability.
        let weights = loss.by_log_probs.iter().flatten().map(|slope| -slope as f32).collect();
        Seeds { loss: loss.loss, weights, measured, ..Seeds::default() }
    }
}
