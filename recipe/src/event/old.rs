//! Points and evaluations of any version: beside their own fields each metric is a field.
//!
//! Event files of finished runs stay as they are, and are read for as long as the runs are kept.

use serde::Deserialize;

use super::{Eval, Point, any_number};
use crate::metrics::{EVAL_ACCURACY, EVAL_RUNTIME, GRAD_NORM, LEARNING_RATE, LOSS, Metrics};

/// A [`Point`] of any version.
#[derive(Deserialize)]
pub(super) struct AnyPoint {
    step: u64,
    epoch: f64,
    tokens: u64,
    tokens_per_second: f64,
    elapsed_s: f64,
    #[serde(deserialize_with = "any_number")]
    remaining_s: f64,
    #[serde(flatten)]
    metrics: Metrics,
}

/// An [`Eval`] of any version.
#[derive(Deserialize)]
pub(super) struct AnyEval {
    step: u64,
    #[serde(default)]
    dataset: Option<String>,
    epoch: f64,
    /// What is [`EVAL_ACCURACY`] now; `null` where none was asked for.
    #[serde(default)]
    accuracy: Option<f64>,
    /// What is [`EVAL_RUNTIME`] now.
    #[serde(default)]
    runtime_s: Option<f64>,
    #[serde(flatten)]
    metrics: Metrics,
}

impl From<AnyPoint> for Point {
    fn from(read: AnyPoint) -> Point {
        let AnyPoint { step, epoch, tokens, tokens_per_second, elapsed_s, remaining_s, metrics: found } =
            read;
        // Earlier versions wrote these in another order.
        let first = [LOSS, GRAD_NORM, LEARNING_RATE].into_iter();
        let mut metrics: Metrics = first.filter_map(|name| Some((name, found.get(name)?))).collect();
        metrics.extend(found.iter());
        Point { step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s }
    }
}

impl From<AnyEval> for Eval {
    fn from(read: AnyEval) -> Eval {
        let AnyEval { step, dataset, epoch, accuracy, runtime_s, mut metrics } = read;
        let fields = [(EVAL_ACCURACY, accuracy), (EVAL_RUNTIME, runtime_s)];
        metrics.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Eval { step, dataset, epoch, metrics }
    }
}
