//! Training on pairs of a chosen and a rejected answer: what their log-probabilities come to is a [`PairLoss`].
//!
//! An answer's log-probability is the sum over its labels, or their mean where the loss says so; with a reference, it is
//! the difference from the reference's.

mod hinge;
mod ipo;
mod kto_pair;
mod orpo;
mod sigmoid;
mod simpo;
#[cfg(test)]
mod tests;

use recipe::{PrefLoss, Recipe, Stage as Name};

use super::{LOSS, Means, Stage, Unit, losses, pairs};
use crate::Result;
use crate::autograd::ParamGradients;
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Measured, Objective, Pass, Seeds};
use crate::text::Example;

/// A loss of pairs.
trait PairLoss: Send + Sync {
    /// Whether log-probabilities are means over an answer's labels.
    fn averages(&self) -> bool {
        false
    }

    /// Whether a pair's loss depends on the others of its batch.
    fn is_joint(&self) -> bool {
        false
    }

    /// What each pair of (chosen, rejected) comes to.
    fn terms(&self, pairs: &[[f64; 2]]) -> Vec<Term>;
}

/// What a pair comes to.
struct Term {
    loss: f64,
    /// The derivative of the sum of all losses by chosen and rejected.
    slopes: [f64; 2],
    /// What is reported besides.
    measured: Vec<(&'static str, f64)>,
}

impl Term {
    fn new(loss: f64, slopes: [f64; 2]) -> Term {
        Term { loss, slopes, measured: Vec::new() }
    }
}

struct Preference {
    loss: Box<dyn PairLoss>,
    beta: f64,
    /// Share of the chosen answer's mean loss that is added: what it is worth to go on writing well.
    ftx: f64,
    /// How much of the log-probability behind the shorter answer's length counts (Liu et al. 2024, "LD-DPO").
    beyond: Option<f64>,
    has_reference: bool,
}

pub(super) fn open(recipe: &Recipe) -> Result<Box<dyn Stage>> {
    let beta = recipe.pref_beta;
    let wanted = if recipe.stage == Name::Orpo { PrefLoss::Orpo } else { recipe.pref_loss };
    let loss: Box<dyn PairLoss> = match wanted {
        PrefLoss::Sigmoid => Box::new(sigmoid::Sigmoid { beta, smoothing: recipe.dpo_label_smoothing }),
        PrefLoss::Hinge => Box::new(hinge::Hinge { beta }),
        PrefLoss::Ipo => Box::new(ipo::Ipo { beta }),
        PrefLoss::KtoPair => Box::new(kto_pair::KtoPair { beta }),
        PrefLoss::Orpo => Box::new(orpo::Orpo { beta }),
        PrefLoss::Simpo => Box::new(simpo::Simpo { beta, gamma: recipe.simpo_gamma }),
    };
    let has_reference = recipe.has_reference();
    Ok(Box::new(Preference { loss, beta, ftx: recipe.pref_ftx, beyond: recipe.ld_alpha, has_reference }))
}

/// The log-probability of each sequence of a batch, each label's counted by its share.
fn log_probs(batch: &Batch, rows: &[RowLoss], shares: &[f64]) -> Vec<f64> {
    batch.sums(|place| -shares[place] * f64::from(rows[place].loss))
}

impl Preference {
    /// How much each label's log-probability adds to its answer's.
    fn shares(&self, batch: &Batch, beyond: Option<f64>) -> Vec<f64> {
        let lengths: Vec<usize> = batch.labels_by_sequence().map(|labels| labels.len()).collect();
        let share = |[first, second]: [usize; 2], length: usize| {
            let whole = if self.loss.averages() { 1.0 / length.max(1) as f64 } else { 1.0 };
            let front = beyond.map_or(length, |_| first.min(second));
            (0..length).map(move |place| if place < front { whole } else { whole * beyond.unwrap_or(1.0) })
        };
        let all = pairs(&lengths).flat_map(|pair| pair.map(|length| (pair, length)));
        all.flat_map(|(pair, length)| share(pair, length)).collect()
    }

    /// The reference's log-probability of each sequence; zeros without a reference.
    fn reference(&self, model: &Loaded, batch: &Batch) -> Result<Vec<f64>> {
        if !self.has_reference {
            return Ok(vec![0.0; batch.spans.len()]);
        }
        let shares = self.shares(batch, None);
        Ok(log_probs(batch, &losses(model.reference()?, batch)?, &shares))
    }

    /// Loss and weights of a part of a batch, given the reference's log-probabilities of its sequences.
    fn seeds(&self, part: &Batch, rows: &[RowLoss], reference: &[f64], scale: f64) -> Seeds {
        let shares = self.shares(part, self.beyond);
        let policy = log_probs(part, rows, &shares);
        let ratios: Vec<[f64; 2]> = pairs(&policy)
            .zip(pairs(reference))
            .map(|(policy, reference)| [0, 1].map(|side| policy[side] - reference[side]))
            .collect();
        let labels: Vec<_> = part.labels_by_sequence().collect();
        let mut seeds = Seeds { weights: vec![0.0; rows.len()], ..Seeds::default() };
        let terms = self.loss.terms(&ratios);
        for (((term, ratio), policy), labels) in
            terms.into_iter().zip(&ratios).zip(pairs(&policy)).zip(labels.as_chunks::<2>().0)
        {
            let Term { loss, mut slopes, measured } = term;
            // The chosen answer's mean, whatever the loss is made of.
            let mean = if self.loss.averages() { 1.0 } else { 1.0 / labels[0].len().max(1) as f64 };
            slopes[0] -= self.ftx * mean;
            seeds.loss += scale * (loss - self.ftx * mean * policy[0]);
            for (labels, slope) in labels.iter().zip(slopes) {
                for place in labels.clone() {
                    // A label's loss is its negative log-probability.
                    seeds.weights[place] = (-scale * slope * shares[place]) as f32;
                }
            }
            let [chosen, rejected] = ratio.map(|ratio| self.beta * ratio);
            let rewards = [
                ("rewards/chosen", chosen),
                ("rewards/rejected", rejected),
                ("rewards/accuracies", f64::from(u8::from(chosen > rejected))),
                ("rewards/margins", chosen - rejected),
                ("logps/chosen", policy[0]),
                ("logps/rejected", policy[1]),
            ];
            for (name, value) in rewards.into_iter().chain(measured) {
                *seeds.measured.entry(name.to_owned()).or_default() += scale * value;
            }
        }
        seeds
    }
}

impl Stage for Preference {
    fn unit(&self) -> Unit {
        Unit::Pair
    }

    fn accumulate(
        &self,
        model: &Loaded,
        batch: &Batch,
        pass: Pass,
        scale: f64,
        grads: &mut ParamGradients,
    ) -> Result<Measured> {
        let reference = self.reference(model, batch)?;
        let objective = |part: &Batch, rows: &[RowLoss]| {
            let reference = &reference[part.first..][..part.spans.len()];
            self.seeds(part, rows, reference, scale)
        };
        let whole = self.loss.is_joint().then(|| Batch { together: batch.spans.len(), ..batch.clone() });
        // Log-probabilities are compared with the reference's, which has no masks.
        let pass = Pass { dropout: None, ..pass };
        model.decoder.accumulate(whole.as_ref().unwrap_or(batch), &pass, Objective::Of(&objective), grads)
    }

    fn evaluate(&self, model: &Loaded, batch: &Batch, _examples: &[Example]) -> Result<Means> {
        let reference = self.reference(model, batch)?;
        let rows = losses(&model.decoder, batch)?;
        let Seeds { loss, measured, .. } = self.seeds(batch, &rows, &reference, 1.0);
        let count = (batch.spans.len() / 2) as f64;
        let mut means = Means::default();
        means.add(LOSS, loss, count);
        measured.into_iter().for_each(|(name, sum)| means.add(name, sum, count));
        Ok(means)
    }
}
