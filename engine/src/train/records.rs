//! The files a run leaves beside the weights: `trainer_log.jsonl`, `trainer_state.json`, `*_results.json`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use recipe::metrics::{EVAL_LOSS, EVAL_RUNTIME, LEARNING_RATE, LOSS};
use recipe::{Metrics, Point};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Evaluation;
use crate::weights::write_atomic;
use crate::{Error, Result};

/// The metrics that a line of the log has, under which keys and in which order, as in LLaMA-Factory's `LogCallback`.
const LOGGED: [(&str, &str); 6] = [
    (LOSS, "loss"),
    (EVAL_LOSS, "eval_loss"),
    ("predict_loss", "predict_loss"),
    ("reward", "reward"),
    ("rewards/accuracies", "accuracy"),
    (LEARNING_RATE, "lr"),
];

/// The name of the log.
pub(crate) const TRAINER_LOG: &str = "trainer_log.jsonl";

/// `trainer_log.jsonl`, one JSON object a log line.
pub(crate) struct TrainerLog {
    path: PathBuf,
}

impl TrainerLog {
    /// Opens the log of an output folder; lines of steps after `done` belong to an attempt that is void.
    pub(crate) fn open(output: &Path, done: u64) -> Result<TrainerLog> {
        let path = output.join(TRAINER_LOG);
        if done == 0 {
            return Ok(TrainerLog { path });
        }
        let old = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::io(&path, error)),
        };
        let valid = |line: &&str| {
            let value: Option<Value> = serde_json::from_str(line).ok();
            value
                .and_then(|v| v.get("current_steps").and_then(Value::as_u64))
                .is_some_and(|step| step <= done)
        };
        let kept: String = old.lines().filter(valid).map(|line| format!("{line}\n")).collect();
        write_atomic(&path, kept.as_bytes())?;
        Ok(TrainerLog { path })
    }

    fn append(&self, value: &Value) -> Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let line = format!("{value}\n");
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|error| Error::io(&self.path, error))
    }

    /// A line for a logged step.
    pub(crate) fn point(&self, point: &Point, total: u64) -> Result<()> {
        let values = logged(&point.metrics).map(|(key, value)| (key.to_owned(), value));
        self.line(point, total, values)
    }

    /// A line for an evaluation.
    pub(crate) fn eval(&self, point: &Point, total: u64, evaluation: &Evaluation) -> Result<()> {
        let values = logged(&evaluation.metrics).map(|(key, value)| (evaluation.name_of(key), value));
        self.line(point, total, values)
    }

    /// The last line of a run.
    pub(crate) fn end(&self, point: &Point, total: u64) -> Result<()> {
        self.line(point, total, std::iter::empty())
    }

    fn line(&self, point: &Point, total: u64, values: impl Iterator<Item = (String, f64)>) -> Result<()> {
        let mut line = Map::new();
        line.insert("current_steps".into(), json!(point.step));
        line.insert("total_steps".into(), json!(total));
        line.extend(finite(values).map(|(key, value)| (key, json!(value))));
        let percentage = if total == 0 { 100.0 } else { point.step as f64 / total as f64 * 100.0 };
        line.insert("epoch".into(), json!(round(point.epoch, 4)));
        line.insert("percentage".into(), json!(round(percentage, 2)));
        line.insert("elapsed_time".into(), json!(clock(point.elapsed_s)));
        line.insert("remaining_time".into(), json!(clock(point.remaining_s)));
        line.insert("throughput".into(), json!(round(point.tokens_per_second, 2)));
        line.insert("total_tokens".into(), json!(point.tokens));
        self.append(&Value::Object(line))
    }
}

fn logged(metrics: &Metrics) -> impl Iterator<Item = (&'static str, f64)> {
    LOGGED.into_iter().filter_map(|(metric, key)| Some((key, metrics.get(metric)?)))
}

pub(crate) fn round(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

/// `H:MM:SS`, with days in front as Python writes a timedelta.
pub(crate) fn clock(seconds: f64) -> String {
    let total = seconds.max(0.0) as u64;
    let (days, rest) = (total / 86_400, total % 86_400);
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        _ => format!("{days} days, {time}"),
    }
}

/// The entry of a logged step in `log_history`.
pub(crate) fn history_point(point: &Point) -> Map<String, Value> {
    let metrics = finite(point.metrics.iter());
    metrics
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .chain([("epoch".to_owned(), json!(point.epoch)), ("step".to_owned(), json!(point.step))])
        .collect()
}

/// What is a number: whoever reads these files takes whatever stands there for one.
fn finite<N>(metrics: impl Iterator<Item = (N, f64)>) -> impl Iterator<Item = (N, f64)> {
    metrics.filter(|(_, value)| value.is_finite())
}

/// The metrics of an evaluation under their names in result files, and its speed.
pub(crate) fn eval_metrics(evaluation: &Evaluation) -> Map<String, Value> {
    let seconds = evaluation.metrics.get(EVAL_RUNTIME).unwrap_or_default().max(1e-9);
    let rate = |count: usize| round(count as f64 / seconds, 3);
    let speed = [
        ("eval_samples_per_second", rate(evaluation.examples)),
        ("eval_steps_per_second", rate(evaluation.batches)),
    ];
    let metrics = evaluation.metrics.iter().chain(speed);
    metrics.map(|(name, value)| (evaluation.name_of(name), json!(value))).collect()
}

/// Writes `{name}_results.json` and adds its metrics to `all_results.json`.
pub(crate) fn write_results(output: &Path, name: &str, metrics: &Map<String, Value>) -> Result<()> {
    write_sorted(&output.join(format!("{name}_results.json")), metrics.clone())?;
    let path = output.join("all_results.json");
    let old = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str(&text).ok());
    let mut all: Map<String, Value> = old.unwrap_or_default();
    all.extend(metrics.clone());
    write_sorted(&path, all)
}

/// Results as transformers writes them: sorted, four spaces deep.
fn write_sorted(path: &Path, mut metrics: Map<String, Value>) -> Result<()> {
    metrics.sort_keys();
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    metrics
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
        .map_err(|error| Error::file(path, error.to_string()))?;
    write_atomic(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What LLaMA-Factory 0.9.5 keeps of what DPO reports, and how it calls it.
    #[test]
    fn lines_have_the_keys_that_the_peer_writes() {
        let folder = tempfile::tempdir().unwrap();
        let log = TrainerLog::open(folder.path(), 0).unwrap();
        let metrics = [
            ("loss", 0.69),
            ("grad_norm", 2.5),
            ("learning_rate", 0.00075),
            ("rewards/chosen", -0.25),
            ("rewards/accuracies", 0.25),
            ("logps/chosen", -130.5),
        ];
        let point = Point { step: 2, metrics: Metrics::from(metrics), ..Point::default() };
        log.point(&point, 4).unwrap();
        for dataset in [None, Some("poems".to_owned())] {
            let metrics = Metrics::from([("eval_loss", 0.5), ("eval_accuracy", 0.75)]);
            log.eval(&point, 4, &Evaluation { dataset, metrics, examples: 1, batches: 1 }).unwrap();
        }
        let text = fs::read_to_string(folder.path().join("trainer_log.jsonl")).unwrap();
        let expected = [
            "current_steps total_steps loss accuracy lr epoch",
            "current_steps total_steps eval_loss epoch",
            "current_steps total_steps eval_poems_loss epoch",
        ];
        for (line, expected) in text.lines().zip(expected) {
            let line: Map<String, Value> = serde_json::from_str(line).unwrap();
            let keys = line.keys().map(String::as_str).take_while(|key| *key != "percentage");
            assert_eq!(keys.collect::<Vec<_>>().join(" "), expected);
        }
        assert_eq!(text.lines().count(), expected.len());
    }

    #[test]
    fn results_have_whatever_was_measured() {
        let metrics =
            Metrics::from([("eval_rewards/chosen", -0.5), ("eval_loss", f64::NAN), ("eval_runtime", 0.5)]);
        let evaluation = Evaluation { dataset: Some("poems".into()), metrics, examples: 3, batches: 2 };
        let expected = json!({
            "eval_poems_rewards/chosen": -0.5,
            "eval_poems_loss": null,
            "eval_poems_runtime": 0.5,
            "eval_poems_samples_per_second": 6.0,
            "eval_poems_steps_per_second": 4.0,
        });
        assert_eq!(Value::Object(eval_metrics(&evaluation)), expected);
        let point = Point {
            step: 2,
            epoch: 0.5,
            metrics: Metrics::from([("logps/chosen", -1.5)]),
            ..Point::default()
        };
        let expected = json!({"logps/chosen": -1.5, "epoch": 0.5, "step": 2});
        assert_eq!(Value::Object(history_point(&point)), expected);
    }
}
