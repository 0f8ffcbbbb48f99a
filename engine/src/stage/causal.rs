//! Pre-training and supervised fine-tuning: the cross entropy of the next token, wherever a label says that it counts.
//!
//! With `use_dft_loss` each label's −ln p is multiplied by p, which is not differentiated (Wu et al. 2025, equation 9); with
//! `use_eaft_loss` by the entropy of the model's own guess at it, which is not either (EAFT, Diao et al. 2026).

use recipe::Recipe;

use super::asft::Anchored;
use super::{ACCURACY, LOSS, Means, Stage, Unit};
use crate::Result;
use crate::autograd::{ParamGradients, Tape};
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Measured, Objective, Pass, Seeds};
use crate::ops::Targets;
use crate::text::Example;

struct Causal {
    /// Evaluations say which share of labels has the largest logit.
    accuracy: bool,
    weighing: Weighing,
}

/// What the loss of a label is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weighing {
    Alike,
    /// One; the label gives a share of its probability to all tokens (Szegedy et al. 2016, section 7).
    Smoothed(f32),
    /// Its probability.
    Probability,
    /// The entropy of its place to this power.
    Entropy(f64),
}

/// The likeliest tokens whose entropy counts.
const LIKELIEST: usize = 20;
/// About the entropy, in nats, of so many tokens that are alike: their weight is then one.
const UNDECIDED: f64 = 3.0;

pub(super) fn open(recipe: &Recipe) -> Result<Box<dyn Stage>> {
    let weighing = match recipe.label_smoothing_factor {
        _ if recipe.use_dft_loss => Weighing::Probability,
        _ if recipe.use_eaft_loss => Weighing::Entropy(recipe.eaft_alpha),
        0.0 => Weighing::Alike,
        smoothing => Weighing::Smoothed(smoothing as f32),
    };
    let causal = Box::new(Causal { accuracy: recipe.compute_accuracy, weighing });
    if recipe.use_asft_loss {
        return Ok(Box::new(Anchored { alpha: recipe.asft_alpha, causal }));
    }
    Ok(causal)
}

/// The sum of the labels' losses, each with its weight.
fn weighed(rows: &[RowLoss], weights: Vec<f32>) -> Seeds {
    let loss = rows.iter().zip(&weights).map(|(row, weight)| f64::from(row.loss * weight)).sum();
    Seeds { loss, weights, ..Seeds::default() }
}

impl Stage for Causal {
    fn unit(&self) -> Unit {
        Unit::Token
    }

    fn accumulate(
        &self,
        model: &Loaded,
        batch: &Batch,
        pass: Pass,
        scale: f64,
        grads: &mut ParamGradients,
    ) -> Result<Measured> {
        let likely = |_: &Batch, rows: &[RowLoss]| {
            weighed(rows, rows.iter().map(|row| scale as f32 * (-row.loss).exp()).collect())
        };
        let undecided = |alpha: f64, rows: &[RowLoss], entropies: &[f32]| {
            let weight =
                |entropy: &f32| (scale * (f64::from(entropy.max(0.0)) / UNDECIDED).powf(alpha)) as f32;
            weighed(rows, entropies.iter().map(weight).collect())
        };
        match self.weighing {
            Weighing::Alike => model.decoder.accumulate(batch, &pass, Objective::Sum(scale as f32), grads),
            Weighing::Smoothed(smoothing) => {
                let objective = Objective::Smoothed { scale: scale as f32, smoothing };
                model.decoder.accumulate(batch, &pass, objective, grads)
            }
            Weighing::Probability => model.decoder.accumulate(batch, &pass, Objective::Of(&likely), grads),
            Weighing::Entropy(alpha) => {
                let make = |rows: &[RowLoss], entropies: &[f32]| undecided(alpha, rows, entropies);
                let objective = Objective::OfEntropy { tokens: LIKELIEST, make: &make };
                model.decoder.accumulate(batch, &pass, objective, grads)
            }
        }
    }

    /// As in transformers each example counts with the mean loss of its batch. The accuracy is the share of labels that
    /// have the largest logit, averaged over examples.
    fn evaluate(&self, model: &Loaded, batch: &Batch, examples: &[Example]) -> Result<Means> {
        let hidden = model.decoder.hidden(&Tape::off(), batch, Pass::default())?.tensor;
        let smoothing = if let Weighing::Smoothed(smoothing) = self.weighing { smoothing } else { 0.0 };
        let output = model.decoder.losses(&hidden, Targets { labels: &batch.labels, smoothing })?;
        let mut means = Means::default();
        let labels = output.rows.len().max(1) as f64;
        means.add(LOSS, output.total() / labels * examples.len() as f64, examples.len() as f64);
        let mut rows = output.rows.iter();
        for example in examples {
            let count = example.labels.iter().skip(1).filter(|label| **label >= 0).count();
            let correct = rows.by_ref().take(count).filter(|row| row.correct).count();
            if self.accuracy && count > 0 {
                means.add(ACCURACY, correct as f64 / count as f64, 1.0);
            }
        }
        Ok(means)
    }
}
