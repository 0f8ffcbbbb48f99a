//! What a training run leaves behind, and how it goes on: checkpoints, resume, stop, bad input.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

mod depths;
mod drawn;
mod kinds;
mod matrix;
mod models;
mod output;
mod predict;
mod resume;
mod training;
mod vocabulary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::job;
use engine::observer::Observer;
use engine::train::Summary;
use recipe::{EventBody, Point, Recipe};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data")
}

fn recipe(output: &Path, extra: &str) -> Recipe {
    changed(output, extra, &[])
}

/// The same with other values of some keys.
fn changed(output: &Path, extra: &str, values: &[(&str, &str)]) -> Recipe {
    let text = format!(
        "model_name_or_path: {data}/base\ndataset_dir: {data}\ndataset: alpaca\ntemplate: default\nstage: sft\n\
         do_train: true\ncutoff_len: 64\nlearning_rate: 1.0e-3\nper_device_train_batch_size: 2\n\
         gradient_accumulation_steps: 2\nlogging_steps: 1\nmax_steps: 8\noutput_dir: {output}\n{extra}",
        data = data().display(),
        output = output.display(),
    );
    let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Recipe::from_yaml_with(&text, &values).unwrap()
}

/// Runs a recipe and stops it after step `stop_after`, if given.
fn run(recipe: &Recipe, stop_after: Option<u64>) -> Result<(Summary, Vec<Point>), engine::Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut points = Vec::new();
    let mut sink = |event| {
        if let EventBody::Point(point) = event {
            if stop_after.is_some_and(|after| point.step >= after) {
                stop.store(true, Ordering::Relaxed);
            }
            points.push(point);
        }
    };
    let summary = job::run(recipe, &mut Observer::new(&mut sink, stop.clone()))?;
    Ok((summary, points))
}

fn numbers(points: &[Point]) -> Vec<(u64, Vec<(String, u64)>)> {
    let bits = |(name, value): (&str, f64)| (name.to_owned(), value.to_bits());
    points.iter().map(|point| (point.step, point.metrics.iter().map(bits).collect())).collect()
}

fn loss(point: &Point) -> f64 {
    point.metrics.get("loss").unwrap()
}
