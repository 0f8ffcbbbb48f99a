//! Whole training runs against LLaMA-Factory, by kernels and by plain operations: loss, gradient norm and learning rate
//! of every step, evaluations, and the weights that come out.

#[path = "common/backends.rs"]
mod backends;
mod common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use backends::both;
use candle_core::{DType, Device, Tensor};
use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, Metrics, Recipe};
use serde_json::Value;

type Check<T = ()> = Result<T, String>;

/// Relative, on metrics of a step.
const METRIC: f64 = 1e-4;
/// The same for Muon: its iteration rounds to bf16 at every turn, and which way a number falls depends on the order of
/// sums. Kernels and plain operations differ by as much.
const METRIC_OF_MUON: f64 = 5e-3;
/// Relative to a tensor's largest statistic.
const WEIGHTS: f64 = 2e-3;

fn main() {
    let cases = common::cases(&common::goldens("train"), "expected.jsonl");
    common::run(both(cases, check));
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What a run reported.
#[derive(Default)]
struct Report {
    /// By steps; those of evaluations have names of their own.
    metrics: HashMap<u64, Metrics>,
}

fn check(case: &Path) -> Check {
    let output = tempfile::tempdir().map_err(say)?;
    let text = std::fs::read_to_string(case.join("config.yaml")).map_err(say)?;
    let overrides = [("output_dir".to_owned(), output.path().display().to_string())];
    let mut recipe = Recipe::from_yaml_with(&text, &overrides)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    // Paths in the recipe are relative to the case.
    let resolve = |path: &str| case.join(path).display().to_string();
    recipe.model_name_or_path = resolve(&recipe.model_name_or_path);
    recipe.dataset_dir = resolve(&recipe.dataset_dir);
    recipe.ref_model = recipe.ref_model.map(|path| resolve(&path));
    recipe.adapter_name_or_path = recipe.adapter_name_or_path.iter().map(|path| resolve(path)).collect();

    let mut report = Report::default();
    let mut sink = |event| {
        let (step, metrics) = match event {
            EventBody::Point(point) => (point.step, point.metrics),
            EventBody::Eval(eval) => (eval.step, eval.metrics),
            _ => return,
        };
        let known = report.metrics.entry(step).or_default();
        known.extend(metrics.iter());
    };
    let summary = job::run(&recipe, &mut Observer::new(&mut sink, Arc::default())).map_err(say)?;

    let expected = std::fs::read_to_string(case.join("expected.jsonl")).map_err(say)?;
    for line in expected.lines() {
        let row: Value = serde_json::from_str(line).map_err(say)?;
        let tolerance = if recipe.use_muon { METRIC_OF_MUON } else { METRIC };
        compare(&row, &report, summary.train_loss, tolerance)?;
    }
    // Singular vectors have either sign.
    weights(case, output.path(), recipe.pissa_init)
}

fn compare(row: &Value, report: &Report, train_loss: f64, tolerance: f64) -> Check {
    let step = row["step"].as_u64().ok_or("a row without a step")?;
    let mut wrong = Vec::new();
    for (key, want) in row.as_object().ok_or("a row that is no object")? {
        let want = want.as_f64().ok_or_else(|| format!("{key} is no number"))?;
        let got = match key.as_str() {
            "step" => continue,
            // The reference averages the logits of padding, too, which is never computed here.
            "logits/chosen" | "logits/rejected" => continue,
            "train_loss" => Some(train_loss),
            metric => report.metrics.get(&step).and_then(|metrics| metrics.get(metric)),
        };
        let got = got.ok_or_else(|| format!("step {step} reported no {key}"))?;
        // Rewards are differences of log-probabilities, which float32 holds to 1.5e-5, times beta.
        let rounding = if key.starts_with("rewards/") { 3e-6 } else { 0.0 };
        if !common::within(got, want, tolerance * want.abs() + rounding) {
            wrong.push(format!("{key} is {got}, expected {want}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("step {step}: {}", wrong.join("; "))) }
}

/// Statistics of every saved tensor.
fn weights(case: &Path, output: &Path, signless: bool) -> Check {
    let text = std::fs::read_to_string(case.join("final_weights.json")).map_err(say)?;
    let expected: HashMap<String, Value> = serde_json::from_str(&text).map_err(say)?;
    let mut files: HashMap<String, HashMap<String, Tensor>> = HashMap::new();
    for (key, want) in &expected {
        let (file, name) = key.split_once(':').ok_or("a key without a file")?;
        if !files.contains_key(file) {
            let tensors = candle_core::safetensors::load(output.join(file), &Device::Cpu).map_err(say)?;
            files.insert(file.to_owned(), tensors);
        }
        let tensor = files[file].get(name).ok_or_else(|| format!("{file} has no `{name}`"))?;
        let shape: Vec<u64> = tensor.dims().iter().map(|dim| *dim as u64).collect();
        if Value::from(shape.clone()) != want["shape"] {
            return Err(format!("{name} has shape {shape:?}, expected {}", want["shape"]));
        }
        let values =
            tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1::<f64>());
        let values = values.map_err(say)?;
        // What is added to all scores has no gradient: in the reference it moves by rounding alone.
        if name == "v_head.summary.bias" {
            continue;
        }
        let want_sum = want["abs_sum"].as_f64().ok_or("no abs_sum")?;
        let sum: f64 = values.iter().map(|x| x.abs()).sum();
        if !common::within(sum, want_sum, WEIGHTS * want_sum) {
            return Err(format!("{name}: Σ|w| is {sum}, expected {want_sum}"));
        }
        let std = want["std"].as_f64().ok_or("no std")?.max(1e-3);
        let first = want["first"].as_array().ok_or("no first entries")?;
        for (got, want) in values.iter().zip(first.iter().filter_map(Value::as_f64)) {
            let (got, want) = if signless { (got.abs(), want.abs()) } else { (*got, want) };
            if !common::within(got, want, 0.02 * std.max(want.abs())) {
                return Err(format!("{name} begins with {got}, expected {want}"));
            }
        }
    }
    let written: usize = files.values().map(HashMap::len).sum();
    if written == expected.len() {
        Ok(())
    } else {
        Err(format!("{written} tensors were written, expected {}", expected.len()))
    }
}
