//! Reward modelling (Ouyang et al. 2022, equation 1): of two answers to a prompt, the chosen one gets the larger score.
//!
//! A sequence's score is the value of its last token; loss = −ln σ(score of the chosen − score of the rejected).

use candle_core::Tensor;
use recipe::Recipe;

use super::{ACCURACY, LOSS, Means, Stage, Unit, log_sigmoid, pairs, sigmoid};
use crate::autograd::{ParamGradients, Tape, Var};
use crate::method::Loaded;
use crate::model::{Batch, Decoder, Measured, Pass, Sums, ValueHead};
use crate::text::Example;
use crate::{Error, Result};

struct RewardModelling;

pub(super) fn open(_recipe: &Recipe) -> Result<Box<dyn Stage>> {
    Ok(Box::new(RewardModelling))
}

/// The scores of a batch's sequences, and the values [tokens, 1] that they are some of.
pub(super) fn scores(
    decoder: &Decoder,
    head: &ValueHead,
    tape: &Tape,
    batch: &Batch,
    pass: Pass,
) -> Result<(Vec<f64>, Var)> {
    let hidden = decoder.hidden(tape, batch, pass)?;
    let values = head.values(tape, hidden)?;
    let all: Vec<f32> = values.tensor.flatten_all()?.to_vec1()?;
    Ok((last_tokens(batch).map(|row| f64::from(all[row])).collect(), values))
}

fn head(model: &Loaded) -> Result<&ValueHead> {
    let head = model.value_head.as_ref();
    head.ok_or_else(|| Error::Training("a reward model has a value head".to_owned()))
}

/// The row of each sequence's last token.
fn last_tokens(batch: &Batch) -> impl Iterator<Item = usize> {
    batch.spans.iter().map(|span| span.start + span.len - 1 - span.trailing)
}

/// The scores of the chosen and the rejected answer of every pair.
///
/// # Errors
/// If an operation fails.
pub(crate) fn pairs_of_scores(model: &Loaded, batch: &Batch) -> Result<Vec<[f64; 2]>> {
    let (scores, _) = scores(&model.decoder, head(model)?, &Tape::off(), batch, Pass::default())?;
    Ok(pairs(&scores).collect())
}

/// Loss, and how often the chosen answer has the larger score.
pub(crate) fn measured(scores: &[[f64; 2]]) -> Means {
    let mut means = Means::default();
    for [chosen, rejected] in scores {
        means.add(LOSS, -log_sigmoid(chosen - rejected), 1.0);
        means.add(ACCURACY, if chosen > rejected { 1.0 } else { 0.0 }, 1.0);
    }
    means
}

impl Stage for RewardModelling {
    fn has_value_head(&self) -> bool {
        true
    }

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
        let tape = Tape::new();
        let (scores, values) = scores(&model.decoder, head(model)?, &tape, batch, pass)?;
        let mut seed = vec![0f32; values.tensor.elem_count()];
        let rows: Vec<usize> = last_tokens(batch).collect();
        let (mut loss, mut accuracy) = (0.0, 0.0);
        for (pair, rows) in pairs(&scores).zip(rows.as_chunks().0) {
            let ([chosen, rejected], [chosen_row, rejected_row]) = (pair, *rows);
            let margin = chosen - rejected;
            loss -= scale * log_sigmoid(margin);
            accuracy += if margin > 0.0 { scale } else { 0.0 };
            let slope = (scale * sigmoid(-margin)) as f32;
            (seed[chosen_row], seed[rejected_row]) = (-slope, slope);
        }
        let seed = Tensor::from_vec(seed, values.tensor.shape(), values.tensor.device())?;
        tape.backward(&values, seed, grads, None)?;
        Ok(Measured { loss, metrics: Sums::from([(ACCURACY.to_owned(), accuracy)]) })
    }

    fn evaluate(&self, model: &Loaded, batch: &Batch, _examples: &[Example]) -> Result<Means> {
        Ok(measured(&pairs_of_scores(model, batch)?))
    }
}
