//! KTO (Ethayarajh et al. 2024, equation 7): answers that were found good become likelier and those found bad less likely,
//! each by itself.
//!
//! With r = ln π(answer) − ln π_ref(answer), summed over the answer's tokens, and the baseline z = max(0, mean of r over
//! answers that belong to other prompts), which is a constant to the gradient, a good answer's loss is
//! 1 − σ(β · (r − z)), a bad one's 1 − σ(β · (z − r)). Of the two sequences of an example the second is the other prompt's
//! answer.

use recipe::Recipe;

use super::{LOSS, Means, Stage, Unit, losses, sigmoid};
use crate::Result;
use crate::autograd::ParamGradients;
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Decoder, Measured, Objective, Pass, Seeds, Sums};
use crate::text::Example;

/// The two sides of what is reported: good answers, and bad ones.
const SIDES: [&str; 2] = ["chosen", "rejected"];

struct Kto {
    beta: f64,
    /// How much a good answer's loss counts, and a bad one's.
    weights: [f64; 2],
    /// Share of a good answer's own mean loss that is added.
    ftx: f64,
}

pub(super) fn open(recipe: &Recipe) -> Result<Box<dyn Stage>> {
    let weights = [recipe.kto_chosen_weight, recipe.kto_rejected_weight];
    Ok(Box::new(Kto { beta: recipe.pref_beta, weights, ftx: recipe.pref_ftx }))
}

/// A batch of judged answers, and what is constant to its gradient.
struct Judged {
    batch: Batch,
    /// ln π_ref of each answer.
    reference: Vec<f64>,
    /// z
    baseline: f64,
}

/// ln π of each sequence.
fn log_probs(batch: &Batch, rows: &[RowLoss]) -> Vec<f64> {
    batch.sums(|place| -f64::from(rows[place].loss))
}

/// The same by a model that does not train on it.
fn of_sequences(decoder: &Decoder, batch: &Batch) -> Result<Vec<f64>> {
    Ok(log_probs(batch, &losses(decoder, batch)?))
}

impl Judged {
    fn new(model: &Loaded, batch: &Batch) -> Result<Judged> {
        let reference = model.reference()?;
        let others = batch.of_each_group(1);
        let ratios =
            of_sequences(&model.decoder, &others)?.into_iter().zip(of_sequences(reference, &others)?);
        let sum: f64 = ratios.map(|(policy, reference)| policy - reference).sum();
        let baseline = (sum / others.spans.len().max(1) as f64).max(0.0);
        let batch = batch.of_each_group(0);
        Ok(Judged { reference: of_sequences(reference, &batch)?, batch, baseline })
    }
}

impl Kto {
    /// A loss of r, given z, and its derivative by r.
    fn loss(&self, ratio: f64, baseline: f64, is_unwanted: bool) -> (f64, f64) {
        let sign = if is_unwanted { -1.0 } else { 1.0 };
        let weight = self.weights[usize::from(is_unwanted)];
        let gain = sigmoid(sign * self.beta * (ratio - baseline));
        (weight * (1.0 - gain), -sign * weight * self.beta * gain * (1.0 - gain))
    }

    /// Loss and weights of a part of the answers.
    fn seeds(&self, judged: &Judged, part: &Batch, rows: &[RowLoss], scale: f64) -> Seeds {
        let policy = log_probs(part, rows);
        let mut seeds = Seeds { weights: vec![0.0; rows.len()], ..Seeds::default() };
        let mut measure = |name: String, value: f64| {
            *seeds.measured.entry(name).or_default() += scale * value;
        };
        for (place, (labels, policy)) in part.labels_by_sequence().zip(policy).enumerate() {
            let place = part.first + place;
            let is_unwanted = judged.batch.unwanted.get(place).copied().unwrap_or_default();
            let ratio = policy - judged.reference[place];
            let (mut loss, mut slope) = self.loss(ratio, judged.baseline, is_unwanted);
            if !is_unwanted {
                let share = self.ftx / labels.len().max(1) as f64;
                (loss, slope) = (loss - share * policy, slope - share);
            }
            seeds.loss += scale * loss;
            // A label's loss is its negative log-probability.
            seeds.weights[labels].fill((-scale * slope) as f32);
            let side = SIDES[usize::from(is_unwanted)];
            measure(format!("rewards/{side}"), self.beta * ratio);
            measure(format!("logps/{side}"), policy);
            measure(format!("count/{side}"), 1.0);
            measure("kl".to_owned(), judged.baseline);
        }
        seeds
    }
}

impl Stage for Kto {
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
        let judged = Judged::new(model, batch)?;
        let objective = |part: &Batch, rows: &[RowLoss]| self.seeds(&judged, part, rows, scale);
        // Log-probabilities are compared with the reference's, which has no masks.
        let pass = Pass { dropout: None, balance: None, ..pass };
        model.decoder.accumulate(&judged.batch, &pass, Objective::Of(&objective), grads)
    }

    fn evaluate(&self, model: &Loaded, batch: &Batch, _examples: &[Example]) -> Result<Means> {
        let judged = Judged::new(model, batch)?;
        let rows = losses(&model.decoder, &judged.batch)?;
        let Seeds { loss, measured, .. } = self.seeds(&judged, &judged.batch, &rows, 1.0);
        let count = judged.batch.spans.len() as f64;
        let of_side = |name: &str| {
            let side = name.rsplit('/').next().filter(|side| SIDES.contains(side));
            side.map_or(count, |side| measured.get(&format!("count/{side}")).copied().unwrap_or_default())
        };
        let mut means = Means::default();
        means.add(LOSS, loss, count);
        let all = measured.iter().filter(|(name, _)| !name.starts_with("count/"));
        all.for_each(|(name, sum)| means.add(name, *sum, of_side(name)));
        Ok(means)
    }

    /// Means over the answers of a side, and how far the sides are apart where there are both.
    fn reported(&self, mut means: Sums) -> Sums {
        for side in SIDES {
            let Some(share) = means.remove(&format!("count/{side}")) else { continue };
            for name in ["rewards", "logps"] {
                means.entry(format!("{name}/{side}")).and_modify(|sum| *sum /= share);
            }
        }
        let rewards = SIDES.map(|side| means.get(&format!("rewards/{side}")).copied());
        if let [Some(chosen), Some(rejected)] = rewards {
            means.insert("rewards/margins".to_owned(), chosen - rejected);
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Kto = Kto { beta: 0.1, weights: [1.0, 1.0], ftx: 0.2 };

    /// Values of TRL's own loss.
    #[test]
    fn losses_are_the_peers() {
        for (ratio, is_unwanted, want) in [(2.0, false, 0.4576021), (-1.0, true, 0.4675457)] {
            let (loss, _) = STAGE.loss(ratio, 0.3, is_unwanted);
            assert!((loss - want).abs() < 1e-7, "{loss}, not {want}");
        }
    }

    fn batch() -> Batch {
        let mut batch = Batch { together: 2, unwanted: vec![false, true, false], ..Batch::default() };
        for (length, answer) in [(4, 2), (3, 1), (5, 3), (4, 1), (2, 1), (6, 4)] {
            let ids: Vec<u32> = (0..length).collect();
            let label = |id: &u32| if id + answer >= length { i64::from(*id) } else { -100 };
            batch.push(&ids, &ids.iter().map(label).collect::<Vec<_>>());
        }
        batch
    }

    #[test]
    fn weights_are_the_derivative_of_the_loss() {
        let judged =
            Judged { batch: batch().of_each_group(0), reference: vec![-3.0, -1.5, -2.0], baseline: 0.25 };
        assert_eq!(judged.batch.spans.iter().map(|span| span.len).collect::<Vec<_>>(), [4, 5, 2]);
        let rows = |moved: Option<usize>, by: f32| -> Vec<RowLoss> {
            let loss = |place| 0.3 + 0.4 * place as f32 + if moved == Some(place) { by } else { 0.0 };
            (0..judged.batch.labels.len()).map(|place| RowLoss { loss: loss(place), correct: true }).collect()
        };
        let of = |rows: &[RowLoss]| STAGE.seeds(&judged, &judged.batch, rows, 0.5);
        let seeds = of(&rows(None, 0.0));
        assert_eq!(seeds.weights.len(), 6);
        for (place, weight) in seeds.weights.iter().enumerate() {
            let [up, down] = [0.25, -0.25].map(|by| of(&rows(Some(place), by)).loss);
            let slope = (up - down) / 0.5;
            assert!((slope - f64::from(*weight)).abs() < 1e-4, "{place}: {weight}, not {slope}");
        }
    }

    #[test]
    fn each_side_has_a_mean_of_its_own() {
        let sums = [("rewards/chosen", 0.5), ("count/chosen", 0.25), ("kl", 2.0), ("rewards/rejected", 3.0)];
        let mut sums: Sums = sums.map(|(name, value)| (name.to_owned(), value)).into();
        sums.insert("count/rejected".to_owned(), 0.75);
        let reported = STAGE.reported(sums);
        let want =
            [("kl", 2.0), ("rewards/chosen", 2.0), ("rewards/margins", -2.0), ("rewards/rejected", 4.0)];
        assert!(reported.iter().map(|(name, value)| (name.as_str(), *value)).eq(want));
    }
}
