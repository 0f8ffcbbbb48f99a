//! Pre-training and supervised fine-tuning: the cross entropy of the next token, wherever a label says that it counts.
//!
//! With `use_dft_loss` each label's −ln p is multiplied by p, which is not differentiated (Wu et al. 2025, equation 9).

use recipe::Recipe;

use super::{ACCURACY, LOSS, Means, Stage, Unit};
use crate::Result;
use crate::autograd::{ParamGradients, Tape};
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Measured, Objective, Pass, Seeds};
use crate::text::Example;

struct Causal {
    /// Evaluations say which share of labels has the largest logit.
    accuracy: bool,
    /// Losses are weighed by their labels' probabilities.
    weighs: bool,
}

pub(super) fn open(recipe: &Recipe) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Causal { accuracy: recipe.compute_accuracy, weighs: recipe.use_dft_loss }))
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
        if !self.weighs {
            return model.decoder.accumulate(batch, &pass, Objective::Sum(scale as f32), grads);
        }
        let objective = |_: &Batch, rows: &[RowLoss]| {
            let weights: Vec<f32> = rows.iter().map(|row| scale as f32 * (-row.loss).exp()).collect();
            let loss = rows.iter().zip(&weights).map(|(row, weight)| f64::from(row.loss * weight)).sum();
            Seeds { loss, weights, ..Seeds::default() }
        };
        model.decoder.accumulate(batch, &pass, Objective::Of(&objective), grads)
    }

    /// As in transformers each example counts with the mean loss of its batch. The accuracy is the share of labels that
    /// have the largest logit, averaged over examples.
    fn evaluate(&self, model: &Loaded, batch: &Batch, examples: &[Example]) -> Result<Means> {
        let hidden = model.decoder.hidden(&Tape::off(), batch, Pass::default())?.tensor;
        let output = model.decoder.losses(&hidden, &batch.labels)?;
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
