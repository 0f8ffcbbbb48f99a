//! Events a worker appends to `events.jsonl`, one JSON object a line.
//!
//! The file is the only channel from a worker to whoever watches it. It is append-only and survives
//! both sides, so a watcher goes on from the byte offset it last read.

use serde::{Deserialize, Deserializer, Serialize};

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Number of the event in its file, from 1. A resumed run goes on counting.
    pub seq: u64,
    /// Unix time in milliseconds.
    pub time: u64,
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The worker entered a phase (loading the model, encoding the data, …).
    Phase { phase: Phase, detail: Option<String> },
    /// Training starts (or goes on after a resume) with the step after `start_step`.
    ///
    /// Points of later steps that an earlier attempt wrote are void: a watcher drops them.
    Start { start_step: u64, total_steps: u64, num_examples: u64, trainable_params: u64, total_params: u64 },
    /// A logged optimisation step.
    Point(Point),
    /// How far training is between two logged steps, once a second at most: for a bar, not for a chart.
    Progress(Pace),
    /// An evaluation over held-out data after `step`.
    Eval {
        step: u64,
        /// The dataset, where each is evaluated by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dataset: Option<String>,
        epoch: f64,
        #[serde(deserialize_with = "any_number")]
        eval_loss: f64,
        runtime_s: f64,
        accuracy: Option<f64>,
    },
    /// A checkpoint was completed at `path`, relative to the output folder.
    Checkpoint { step: u64, path: String },
    /// A line for the log.
    Log { level: LogLevel, message: String },
    /// The run is over; no event follows unless it is resumed.
    End { outcome: Outcome, reason: Option<String> },
}

/// Metrics of one logged step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub step: u64,
    pub epoch: f64,
    #[serde(deserialize_with = "any_number")]
    pub loss: f64,
    pub learning_rate: f64,
    /// Global L2 norm of the gradients before clipping.
    #[serde(deserialize_with = "any_number")]
    pub grad_norm: f64,
    /// Tokens trained on since the run began.
    pub tokens: u64,
    pub tokens_per_second: f64,
    pub elapsed_s: f64,
    #[serde(deserialize_with = "any_number")]
    pub remaining_s: f64,
}

/// How far training is, and how fast it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    pub step: u64,
    /// Tokens trained on since the run began.
    pub tokens: u64,
    pub tokens_per_second: f64,
    pub elapsed_s: f64,
    #[serde(deserialize_with = "any_number")]
    pub remaining_s: f64,
}

impl From<&Point> for Pace {
    fn from(point: &Point) -> Pace {
        let Point { step, tokens, tokens_per_second, elapsed_s, remaining_s, .. } = *point;
        Pace { step, tokens, tokens_per_second, elapsed_s, remaining_s }
    }
}

/// JSON has no NaN and no infinity: they are written as `null`, and read as NaN.
fn any_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// What a worker is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Fetching the model from a hub; the detail says how far it is.
    Downloading,
    LoadingModel,
    EncodingData,
    Training,
    Evaluating,
    Saving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}

/// How a worker ended by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Finished,
    /// Asked to stop: a checkpoint was written, the run can be resumed.
    Stopped,
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_is_no_number_survives_the_file() {
        let point = Point { step: 3, loss: f64::NAN, grad_norm: f64::INFINITY, ..Point::default() };
        let event = Event { seq: 1, time: 2, body: EventBody::Point(point) };
        let line = serde_json::to_string(&event).unwrap();
        let Event { body: EventBody::Point(read), .. } = serde_json::from_str(&line).unwrap() else {
            panic!("{line}")
        };
        assert!(read.loss.is_nan() && read.grad_norm.is_nan() && read.step == 3);
    }
}
