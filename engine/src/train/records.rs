//! The files a run leaves beside the weights: `trainer_log.jsonl`, `trainer_state.json`, `*_results.json`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use recipe::{Point, Recipe, Stage};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Evaluation;
use crate::weights::write_atomic;
use crate::{Error, Result};

/// `trainer_log.jsonl`, one JSON object a log line.
pub struct TrainerLog {
    path: PathBuf,
}

impl TrainerLog {
    /// Opens the log of an output folder; lines of steps after `done` belong to an attempt that is void.
    pub fn open(output: &Path, done: u64) -> Result<TrainerLog> {
        let path = output.join("trainer_log.jsonl");
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
    pub fn point(&self, point: &Point, total: u64) -> Result<()> {
        self.line(point, total, &[("loss", json!(point.loss)), ("lr", json!(point.learning_rate))])
    }

    /// A line for an evaluation.
    pub fn eval(&self, point: &Point, total: u64, evaluation: &Evaluation) -> Result<()> {
        self.line(point, total, &[(&format!("{}_loss", evaluation.prefix()), json!(evaluation.loss))])
    }

    /// The last line of a run.
    pub fn end(&self, point: &Point, total: u64) -> Result<()> {
        self.line(point, total, &[])
    }

    fn line(&self, point: &Point, total: u64, values: &[(&str, Value)]) -> Result<()> {
        let mut line = Map::new();
        line.insert("current_steps".into(), json!(point.step));
        line.insert("total_steps".into(), json!(total));
        for (key, value) in values {
            line.insert((*key).into(), value.clone());
        }
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

fn round(x: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (x * scale).round() / scale
}

/// `H:MM:SS`, with days in front as Python writes a timedelta.
pub fn clock(seconds: f64) -> String {
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
pub fn history_point(point: &Point) -> Map<String, Value> {
    let entry = [
        ("epoch", json!(point.epoch)),
        ("grad_norm", json!(point.grad_norm)),
        ("learning_rate", json!(point.learning_rate)),
        ("loss", json!(point.loss)),
        ("step", json!(point.step)),
    ];
    entry.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The metrics of an evaluation under their names in result files.
pub fn eval_metrics(evaluation: &Evaluation, recipe: &Recipe) -> Map<String, Value> {
    let rate = |count: usize| round(count as f64 / evaluation.runtime_s.max(1e-9), 3);
    let metrics = [
        ("accuracy", recipe.compute_accuracy.then(|| json!(evaluation.accuracy))),
        ("loss", Some(json!(evaluation.loss))),
        ("perplexity", (recipe.stage == Stage::Pt).then(|| json!(evaluation.loss.exp()))),
        ("runtime", Some(json!(round(evaluation.runtime_s, 4)))),
        ("samples_per_second", Some(json!(rate(evaluation.examples)))),
        ("steps_per_second", Some(json!(rate(evaluation.batches)))),
    ];
    let prefix = evaluation.prefix();
    metrics.into_iter().filter_map(|(name, value)| Some((format!("{prefix}_{name}"), value?))).collect()
}

/// Writes `{name}_results.json` and adds its metrics to `all_results.json`.
pub fn write_results(output: &Path, name: &str, metrics: &Map<String, Value>) -> Result<()> {
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
