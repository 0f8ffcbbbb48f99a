//! Direct preference optimisation (Rafailov et al. 2023, equation 7), with label smoothing (Mitchell 2023, "cDPO").
//!
//! With π and ρ the log-probabilities of an answer by the model and by the reference, and
//! h = β · ((π − ρ of the chosen) − (π − ρ of the rejected)): loss = −(1 − ε) · ln σ(h) − ε · ln σ(−h).

use recipe::Recipe;

use super::{LOSS, Means, Stage, Unit, log_sigmoid, pairs, sigmoid};
use crate::Result;
use crate::autograd::{ParamGradients, Tape};
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Decoder, Measured, Objective, Pass, Seeds};
use crate::text::Example;

struct Dpo {
    beta: f64,
    smoothing: f64,
}

pub(super) fn open(recipe: &Recipe) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Dpo { beta: recipe.pref_beta, smoothing: recipe.dpo_label_smoothing }))
}

/// The log-probability of each sequence of a batch: the sum over its labels.
fn log_probs(batch: &Batch, rows: &[RowLoss]) -> Vec<f64> {
    let sum = |labels: &[RowLoss]| -labels.iter().map(|row| f64::from(row.loss)).sum::<f64>();
    batch.labels_by_sequence().map(|labels| sum(&rows[labels])).collect()
}

/// The losses of a batch's labels by a model that does not train on it.
fn losses(decoder: &Decoder, batch: &Batch) -> Result<Vec<RowLoss>> {
    let hidden = decoder.hidden(&Tape::off(), batch, Pass::default())?.tensor;
    Ok(decoder.head.loss(&hidden, &batch.labels, None)?.rows)
}

impl Dpo {
    /// Loss and weights of a part of a batch, given the reference's log-probabilities of its sequences.
    fn seeds(&self, part: &Batch, rows: &[RowLoss], reference: &[f64], scale: f64) -> Seeds {
        let policy = log_probs(part, rows);
        let mut seeds = Seeds { weights: vec![0.0; rows.len()], ..Seeds::default() };
        let labels: Vec<_> = part.labels_by_sequence().collect();
        let sequences = pairs(&policy).zip(pairs(reference)).zip(labels.as_chunks::<2>().0);
        for ((policy, reference), labels) in sequences {
            let [chosen, rejected] = [0, 1].map(|answer| self.beta * (policy[answer] - reference[answer]));
            let h = chosen - rejected;
            let (kept, flipped) = (1.0 - self.smoothing, self.smoothing);
            seeds.loss -= scale * (kept * log_sigmoid(h) + flipped * log_sigmoid(-h));
            let slope = scale * self.beta * (flipped * sigmoid(h) - kept * sigmoid(-h));
            // A label's loss is its negative log-probability.
            for (labels, sign) in labels.iter().zip([-1.0, 1.0]) {
                seeds.weights[labels.clone()].fill((sign * slope) as f32);
            }
            let measured = [
                ("rewards/chosen", chosen),
                ("rewards/rejected", rejected),
                ("rewards/accuracies", f64::from(u8::from(chosen > rejected))),
                ("rewards/margins", h),
                ("logps/chosen", policy[0]),
                ("logps/rejected", policy[1]),
            ];
            for (name, value) in measured {
                *seeds.measured.entry(name.to_owned()).or_default() += scale * value;
            }
        }
        seeds
    }
}

impl Stage for Dpo {
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
        let reference = log_probs(batch, &losses(model.reference()?, batch)?);
        let objective = |part: &Batch, rows: &[RowLoss]| {
            let reference = &reference[part.first..][..part.spans.len()];
            self.seeds(part, rows, reference, scale)
        };
        // Log-probabilities are compared with the reference's, which has no masks.
        let pass = Pass { dropout: None, ..pass };
        model.decoder.accumulate(batch, &pass, Objective::Of(&objective), grads)
    }

    fn evaluate(&self, model: &Loaded, batch: &Batch, _examples: &[Example]) -> Result<Means> {
        let reference = log_probs(batch, &losses(model.reference()?, batch)?);
        let rows = losses(&model.decoder, batch)?;
        let Seeds { loss, measured, .. } = self.seeds(batch, &rows, &reference, 1.0);
        let count = (batch.spans.len() / 2) as f64;
        let mut means = Means::default();
        means.add(LOSS, loss, count);
        measured.into_iter().for_each(|(name, sum)| means.add(name, sum, count));
        Ok(means)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kernel::attention::Span;
    use crate::ops::head::Label;

    /// Two pairs of sequences of three tokens, of which the last two count.
    fn batch() -> Batch {
        let labels = (0..12).filter(|row| row % 3 != 2).map(|row| Label { row, token: 0 });
        Batch {
            ids: vec![0; 12],
            spans: Arc::new((0..4).map(|index| Span::new(3 * index, 3)).collect()),
            labels: labels.collect(),
            together: 2,
            ..Batch::default()
        }
    }

    #[test]
    fn weights_are_the_derivative_of_the_loss() {
        let stage = Dpo { beta: 0.3, smoothing: 0.1 };
        let (batch, reference) = (batch(), [-2.0, -1.5, -0.5, -3.0]);
        let losses: [f32; 8] = [0.9, 1.2, 0.4, 0.7, 0.2, 0.6, 1.5, 1.1];
        let seeds = |losses: [f32; 8]| {
            let rows = losses.map(|loss| RowLoss { loss, correct: false });
            stage.seeds(&batch, &rows, &reference, 0.5)
        };
        let found = seeds(losses);
        for row in 0..losses.len() {
            let at = |change: f32| {
                let mut losses = losses;
                losses[row] += change;
                seeds(losses).loss
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            let weight = f64::from(found.weights[row]);
            assert!((weight - slope).abs() < 1e-4, "row {row}: {weight}, by differences {slope}");
        }
        let margin = found.measured["rewards/chosen"] - found.measured["rewards/rejected"];
        assert!((found.measured["rewards/margins"] - margin).abs() < 1e-9);
    }

    #[test]
    fn the_loss_of_equal_models_is_ln_two() {
        let stage = Dpo { beta: 0.1, smoothing: 0.0 };
        let rows = [RowLoss { loss: 1.0, correct: true }; 8];
        let seeds = stage.seeds(&batch(), &rows, &[-2.0; 4], 0.5);
        assert!((seeds.loss - 2f64.ln()).abs() < 1e-9, "{}", seeds.loss);
    }
}
