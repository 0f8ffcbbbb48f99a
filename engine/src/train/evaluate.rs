//! Loss and token accuracy on held-out data.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use recipe::{EventBody, Outcome, Phase, Recipe};
use serde_json::Map;

use super::batch::batch_of;
use super::records::{eval_metrics, write_results};
use super::{Sink, TrainSummary};
use crate::method::Loaded;
use crate::model::Batch;
use crate::stage::{self, ACCURACY, LOSS, Means, Stage};
use crate::text::{EvalSet, Example};
use crate::{Error, Result};

/// What an evaluation says.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The data set, where each is evaluated by itself.
    pub dataset: Option<String>,
    pub loss: f64,
    /// Share of labels that have the largest logit, averaged over examples.
    pub accuracy: f64,
    pub runtime_s: f64,
    pub examples: usize,
    pub batches: usize,
}

impl Evaluation {
    /// How the names of its metrics begin: `eval`, or `eval_NAME`.
    pub(super) fn prefix(&self) -> String {
        self.dataset.as_ref().map_or_else(|| "eval".to_owned(), |name| format!("eval_{name}"))
    }

    pub(super) fn event(&self, step: u64, epoch: f64, recipe: &Recipe) -> EventBody {
        EventBody::Eval {
            step,
            dataset: self.dataset.clone(),
            epoch,
            eval_loss: self.loss,
            runtime_s: self.runtime_s,
            accuracy: recipe.compute_accuracy.then_some(self.accuracy),
        }
    }
}

/// A run that only evaluates: `do_train` is off.
pub fn evaluate_alone(
    recipe: &Recipe,
    loaded: &Loaded,
    sets: &[EvalSet],
    sink: Sink,
    stop: &AtomicBool,
) -> Result<TrainSummary> {
    let output = Path::new(&recipe.output_dir);
    let stage = stage::of(recipe)?;
    let (mut evaluations, mut metrics) = (Vec::with_capacity(sets.len()), Map::new());
    for set in sets {
        sink(EventBody::Phase { phase: Phase::Evaluating, detail: set.name.clone() });
        let evaluation = evaluate(stage.as_ref(), loaded, set, recipe, stop)?;
        sink(evaluation.event(0, 0.0, recipe));
        metrics.extend(eval_metrics(&evaluation, recipe));
        evaluations.push(evaluation);
    }
    write_results(output, "eval", &metrics)?;
    Ok(TrainSummary { outcome: Outcome::Finished, evaluations, ..TrainSummary::before_training(output) })
}

/// Evaluates in batches.
///
/// # Errors
/// If nothing counts in the loss, or `stop` is set.
pub fn evaluate(
    stage: &dyn Stage,
    loaded: &Loaded,
    set: &EvalSet,
    recipe: &Recipe,
    stop: &AtomicBool,
) -> Result<Evaluation> {
    let (examples, batch_size) = (&set.examples, recipe.per_device_eval_batch_size.max(1));
    let begin = Instant::now();
    let (mut means, mut batches, mut counted) = (Means::default(), 0, 0);
    for start in (0..examples.len()).step_by(batch_size) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let end = (start + batch_size).min(examples.len());
        let examples: Vec<Example> =
            (start..end).map(|place| examples.get(place)).collect::<Result<_, _>>()?;
        let batch = Batch { together: stage.together(), ..batch_of(examples.iter()) };
        means.merge(stage.evaluate(loaded, &batch, &examples)?);
        counted += stage.count(&examples);
        batches += 1;
    }
    if counted == 0 {
        let of = set.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        return Err(Error::Training(format!("no token of the evaluation data{of} counts in the loss")));
    }
    Ok(Evaluation {
        dataset: set.name.clone(),
        loss: means.get(LOSS).unwrap_or(f64::NAN),
        accuracy: means.get(ACCURACY).unwrap_or(f64::NAN),
        runtime_s: begin.elapsed().as_secs_f64(),
        examples: examples.len(),
        batches,
    })
}
