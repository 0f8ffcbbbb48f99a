//! Loss and token accuracy on held-out data.

use std::time::Instant;

use recipe::metrics::{EVAL_LOSS, EVAL_PERPLEXITY, EVAL_PREFIX, EVAL_RUNTIME};
use recipe::{Eval, EventBody, Metrics, Recipe};

use super::batch::batch_of;
use super::records::round;
use crate::method::Loaded;
use crate::model::Batch;
use crate::observer::Observer;
use crate::stage::{LOSS, Means, Stage};
use crate::text::{EvalSet, Example};
use crate::world::World;
use crate::{Error, Result};

/// What an evaluation says.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The data set, where each is evaluated by itself.
    pub dataset: Option<String>,
    /// What was measured, by names that begin with `eval_`: the loss, and how long it took.
    pub metrics: Metrics,
    /// Examples that were evaluated.
    pub examples: usize,
    /// Batches that they were in.
    pub batches: usize,
}

impl Evaluation {
    /// Mean loss of the examples; NaN where none was measured.
    pub fn loss(&self) -> f64 {
        self.metrics.get(EVAL_LOSS).unwrap_or(f64::NAN)
    }

    /// What a metric is called in files that hold the evaluations of several data sets: `eval_NAME_loss`.
    pub(super) fn name_of(&self, metric: &str) -> String {
        match (&self.dataset, metric.strip_prefix(EVAL_PREFIX)) {
            (Some(dataset), Some(metric)) => format!("{EVAL_PREFIX}{dataset}_{metric}"),
            _ => metric.to_owned(),
        }
    }

    pub(crate) fn event(&self, step: u64, epoch: f64) -> EventBody {
        let (dataset, metrics) = (self.dataset.clone(), self.metrics.clone());
        EventBody::Eval(Eval { step, dataset, epoch, metrics })
    }
}

/// How evaluations go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluating {
    batch_size: usize,
    /// Whether the exponent of the mean loss is measured, too.
    perplexity: bool,
}

impl Evaluating {
    /// As a recipe asks for it.
    pub(crate) fn of(recipe: &Recipe) -> Evaluating {
        Evaluating {
            batch_size: recipe.per_device_eval_batch_size.max(1),
            perplexity: recipe.stage == recipe::Stage::Pt,
        }
    }
}

/// Evaluates in batches, which the processes share.
///
/// # Errors
/// If nothing counts in the loss, or the observer stops it.
pub(crate) fn evaluate(
    stage: &dyn Stage,
    loaded: &Loaded,
    set: &EvalSet,
    Evaluating { batch_size, perplexity }: Evaluating,
    world: &dyn World,
    observer: &Observer,
) -> Result<Evaluation> {
    let examples = &set.examples;
    let (begin, unit) = (Instant::now(), stage.unit());
    let batches = examples.len().div_ceil(batch_size);
    let (mut own, mut counted) = (Means::default(), 0);
    for index in 0..batches {
        // They all ask each other before each round.
        if index % world.size() == 0 && world.any(observer.stops())? {
            return Err(Error::Stopped);
        }
        if !world.takes(index) {
            continue;
        }
        let start = index * batch_size;
        let end = (start + batch_size).min(examples.len());
        let examples: Vec<Example> =
            (start..end).map(|place| examples.get(place)).collect::<Result<_, _>>()?;
        let batch = Batch { together: unit.sequences(), ..batch_of(examples.iter()) };
        own.merge(stage.evaluate(loaded, &batch, &examples)?);
        counted += unit.count(&examples);
    }
    let means = own.of_all(world)?;
    if !world.any(counted > 0)? {
        let of = set.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        return Err(Error::Training(format!("no token of the evaluation data{of} counts in the loss")));
    }
    let loss = means.get(LOSS).unwrap_or(f64::NAN);
    let mut metrics = Metrics::from([(EVAL_LOSS, loss)]);
    let rest = means.iter().filter(|(name, _)| *name != LOSS).map(|(name, mean)| (name.to_owned(), mean));
    for (name, mean) in stage.reported(rest.collect()) {
        metrics.set(format!("{EVAL_PREFIX}{name}"), mean);
    }
    if perplexity {
        metrics.set(EVAL_PERPLEXITY, loss.exp());
    }
    metrics.set(EVAL_RUNTIME, round(begin.elapsed().as_secs_f64(), 4));
    Ok(Evaluation { dataset: set.name.clone(), metrics, examples: examples.len(), batches })
}
