//! Points and evaluations as earlier versions wrote them: each metric a field of its own, under a name of its own.
//!
//! Event files of finished runs stay as they are, and are read for as long as the runs are kept.

use serde::{Deserialize, Deserializer};

use super::{Eval, Point, any_number};
use crate::metrics::{EVAL_ACCURACY, EVAL_LOSS, EVAL_RUNTIME, GRAD_NORM, LEARNING_RATE, LOSS, Metrics};

/// A [`Point`] of any version.
#[derive(Deserialize)]
pub(super) struct AnyPoint {
    step: u64,
    epoch: f64,
    #[serde(default)]
    metrics: Metrics,
    tokens: u64,
    tokens_per_second: f64,
    elapsed_s: f64,
    #[serde(deserialize_with = "any_number")]
    remaining_s: f64,
    #[serde(default, deserialize_with = "given")]
    loss: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    grad_norm: Option<f64>,
    #[serde(default, deserialize_with = "given")]
    learning_rate: Option<f64>,
}

/// An [`Eval`] of any version.
#[derive(Deserialize)]
pub(super) struct AnyEval {
    step: u64,
    #[serde(default)]
    dataset: Option<String>,
    epoch: f64,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default, deserialize_with = "given")]
    eval_loss: Option<f64>,
    /// `null` where none was asked for.
    #[serde(default)]
    accuracy: Option<f64>,
    #[serde(default)]
    runtime_s: Option<f64>,
}

/// A field that is there, be it `null` for a number that JSON cannot hold.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    any_number(deserializer).map(Some)
}

fn add(metrics: &mut Metrics, fields: [(&str, Option<f64>); 3]) {
    metrics.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
}

impl From<AnyPoint> for Point {
    fn from(read: AnyPoint) -> Point {
        let AnyPoint { step, epoch, mut metrics, tokens, tokens_per_second, elapsed_s, remaining_s, .. } =
            read;
        let AnyPoint { loss, grad_norm, learning_rate, .. } = read;
        add(&mut metrics, [(LOSS, loss), (GRAD_NORM, grad_norm), (LEARNING_RATE, learning_rate)]);
        Point { step, epoch, metrics, tokens, tokens_per_second, elapsed_s, remaining_s }
    }
}

impl From<AnyEval> for Eval {
    fn from(read: AnyEval) -> Eval {
        let AnyEval { step, dataset, epoch, mut metrics, eval_loss, accuracy, runtime_s } = read;
        let fields = [(EVAL_LOSS, eval_loss), (EVAL_ACCURACY, accuracy), (EVAL_RUNTIME, runtime_s)];
        add(&mut metrics, fields);
        Eval { step, dataset, epoch, metrics }
    }
}
