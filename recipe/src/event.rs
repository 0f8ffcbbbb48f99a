//! Events a worker appends to `events.jsonl`, one JSON object a line.
//!
//! The file is the only channel from a worker to whoever watches it. It is append-only and survives
//! both sides, so a watcher goes on from the byte offset it last read.

mod old;

use serde::{Deserialize, Deserializer, Serialize};

use crate::metrics::Metrics;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Number of the event in its file, from 1. A resumed run goes on counting.
    pub seq: u64,
    /// Unix time in milliseconds.
    pub time: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The worker entered a phase (loading the model, encoding the data, …).
    Phase {
        /// What the worker is busy with from now on.
        phase: Phase,
        /// On what: a model, data sets, how far a download is.
        detail: Option<String>,
    },
    /// Training starts (or goes on after a resume) with the step after `start_step`.
    ///
    /// Points of later steps that an earlier attempt wrote are void: a watcher drops them.
    Start {
        /// Steps done before; 0 for a run that begins.
        start_step: u64,
        /// Steps of the whole run.
        total_steps: u64,
        /// Examples to train on, after a split for evaluation.
        num_examples: u64,
        /// Numbers that training changes.
        trainable_params: u64,
        /// Numbers of the whole model.
        total_params: u64,
    },
    /// A logged optimisation step.
    Point(Point),
    /// How far training is between two logged steps, once a second at most: for a bar, not for a chart.
    Progress(Pace),
    /// An evaluation, of one data set or of all.
    Eval(Eval),
    /// A checkpoint was completed at `path`, relative to the output folder.
    Checkpoint {
        /// The step it was written after.
        step: u64,
        /// Its folder, relative to the output folder.
        path: String,
    },
    /// A line for the log.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The line, in English.
        message: String,
    },
    /// The run is over; no event follows unless it is resumed.
    End {
        /// How the worker ended.
        outcome: Outcome,
        /// Why, where it did not simply finish.
        reason: Option<String>,
    },
}

/// One logged step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "old::AnyPoint")]
pub struct Point {
    /// The step, from 1.
    pub step: u64,
    /// Epochs done after it, with their fraction.
    pub epoch: f64,
    /// What the stage measured: loss, gradient norm, learning rate, and what it adds to them. Each is a field of the line.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Tokens trained on since the run began.
    pub tokens: u64,
    /// Mean speed since this attempt began.
    pub tokens_per_second: f64,
    /// Seconds since the run began, without pauses between attempts.
    pub elapsed_s: f64,
    /// Seconds to the last step at this speed.
    pub remaining_s: f64,
}

/// An evaluation over held-out data after `step`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "old::AnyEval")]
pub struct Eval {
    /// Steps done before it.
    pub step: u64,
    /// The dataset, where each is evaluated by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Epochs done before it, with their fraction.
    pub epoch: f64,
    /// By names that begin with [`EVAL_PREFIX`](crate::metrics::EVAL_PREFIX), whatever the dataset.
    #[serde(flatten)]
    pub metrics: Metrics,
}

/// How far training is, and how fast it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Steps done.
    pub step: u64,
    /// Tokens trained on since the run began.
    pub tokens: u64,
    /// Mean speed since this attempt began.
    pub tokens_per_second: f64,
    /// Seconds since the run began, without pauses between attempts.
    pub elapsed_s: f64,
    /// Seconds to the last step at this speed; NaN where nobody knows.
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
    /// Reading the model's files into memory.
    LoadingModel,
    /// Turning data sets into token ids.
    EncodingData,
    /// Going through the steps.
    Training,
    /// Going through held-out data.
    Evaluating,
    /// Answering held-out data.
    Predicting,
    /// Writing a checkpoint or the result.
    Saving,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// To be known.
    Info,
    /// Perhaps not as it was meant.
    Warning,
    /// What ends a run, or keeps a part of it from being done.
    Error,
}

/// How a worker ended by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All steps are done, the result is written.
    Finished,
    /// Asked to stop: a checkpoint was written, the run can be resumed.
    Stopped,
    /// It could not go on; the reason says why.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> EventBody {
        serde_json::from_str::<Event>(line).unwrap().body
    }

    #[test]
    fn a_loss_that_is_no_number_survives_the_file() {
        let metrics =
            Metrics::from([("loss", f64::NAN), ("grad_norm", f64::INFINITY), ("rewards/chosen", 0.25)]);
        let body = EventBody::Point(Point { step: 3, metrics, ..Point::default() });
        let line = serde_json::to_string(&Event { seq: 1, time: 2, body }).unwrap();
        assert!(line.contains(r#""loss":null,"grad_norm":null,"rewards/chosen":0.25,"#), "{line}");
        let EventBody::Point(point) = read(&line) else { panic!("{line}") };
        let names: Vec<&str> = point.metrics.iter().map(|(name, _)| name).collect();
        assert_eq!((point.step, names), (3, vec!["loss", "grad_norm", "rewards/chosen"]));
        assert!(point.metrics.iter().all(|(name, value)| value.is_nan() == (name != "rewards/chosen")));
    }

    /// Lines of files that earlier versions wrote.
    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let line = r#"{"seq":7,"time":9,"type":"point","step":3,"epoch":0.5,"loss":null,"learning_rate":0.001,"grad_norm":1.5,"tokens":640,"tokens_per_second":80.0,"elapsed_s":8.0,"remaining_s":null}"#;
        let EventBody::Point(point) = read(line) else { panic!("{line}") };
        let names: Vec<&str> = point.metrics.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["loss", "grad_norm", "learning_rate"]);
        assert!(point.metrics.get("loss").is_some_and(f64::is_nan) && point.remaining_s.is_nan());
        assert_eq!((point.metrics.get("grad_norm"), point.tokens), (Some(1.5), 640));

        let line = r#"{"seq":8,"time":9,"type":"eval","step":3,"dataset":"poems","epoch":0.5,"eval_loss":2.5,"runtime_s":1.25,"accuracy":null}"#;
        let metrics = Metrics::from([("eval_loss", 2.5), ("eval_runtime", 1.25)]);
        let dataset = Some("poems".to_owned());
        assert_eq!(read(line), EventBody::Eval(Eval { step: 3, dataset, epoch: 0.5, metrics }));
        let EventBody::Eval(eval) = read(&line.replace("null", "0.75")) else { panic!("{line}") };
        assert_eq!(eval.metrics.get("eval_accuracy"), Some(0.75));
    }
}
