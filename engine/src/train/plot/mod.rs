//! `training_loss.svg` and its like: curves of what training is for, raw and smoothed as LLaMA-Factory smooths them.

use std::fmt::Write;
use std::path::Path;

use recipe::metrics::{EVAL_ACCURACY, EVAL_LOSS, LOSS};
use serde_json::Value;

use super::Evaluation;
use crate::Result;
use crate::weights::write_atomic;

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 480.0;
const MARGIN: f64 = 60.0;

/// What LLaMA-Factory draws in one stage or another.
const OF_TRAINING: [&str; 5] = [LOSS, "reward", "rewards/accuracies", "rewards/chosen", "sft_loss"];
const OF_EVALUATION: [&str; 2] = [EVAL_LOSS, EVAL_ACCURACY];

/// Draws the curves for which the history has points: of training, and of each kind of evaluation.
pub fn write(output: &Path, history: &[Value], evaluations: &[Evaluation]) -> Result<()> {
    let of_eval =
        |evaluation: &Evaluation| OF_EVALUATION.map(|metric| evaluation.name_of(metric)).into_iter();
    for key in OF_TRAINING.map(str::to_owned).into_iter().chain(evaluations.iter().flat_map(of_eval)) {
        let number = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_f64);
        let points: Vec<(f64, f64)> =
            history.iter().filter_map(|entry| Some((number(entry, "step")?, number(entry, &key)?))).collect();
        if points.len() > 1 {
            // A data set's name may hold what a file's cannot.
            let file = format!("training_{}.svg", key.replace(['/', '\\'], "_"));
            write_atomic(&output.join(file), draw(&key, &points).as_bytes())?;
        }
    }
    Ok(())
}

/// Exponential smoothing whose weight grows with the number of points: 1.8 · (σ(0.05 n) − ½).
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let weight = 1.8 * (1.0 / (1.0 + (-0.05 * points.len() as f64).exp()) - 0.5);
    let mut last = points.first().map_or(0.0, |point| point.1);
    let step = |point: &(f64, f64)| {
        last = last * weight + (1.0 - weight) * point.1;
        (point.0, last)
    };
    points.iter().map(step).collect()
}

fn draw(key: &str, points: &[(f64, f64)]) -> String {
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let (x0, x1) = range(&mut points.iter().map(|point| point.0));
    let (y0, y1) = range(&mut points.iter().map(|point| point.1));
    let place = |(x, y): (f64, f64)| {
        let across = (x - x0) / (x1 - x0).max(f64::MIN_POSITIVE);
        let up = (y - y0) / (y1 - y0).max(f64::MIN_POSITIVE);
        (MARGIN + across * (WIDTH - 2.0 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2.0 * MARGIN))
    };
    let line = |points: &[(f64, f64)]| {
        points.iter().fold(String::new(), |mut text, point| {
            let (x, y) = place(*point);
            // Writing to a String cannot fail.
            let _ = write!(text, "{x:.1},{y:.1} ");
            text
        })
    };
    let (bottom, right) = (HEIGHT - MARGIN, WIDTH - MARGIN);
    let title = key.replace('&', "&amp;").replace('<', "&lt;");
    let (raw, smoothed) = (line(points), line(&smooth(points)));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#999"/>
<text x="400" y="36" text-anchor="middle">training {title}</text>
<text x="400" y="465" text-anchor="middle">step</text>
<text x="{MARGIN}" y="440" text-anchor="middle">{x0}</text><text x="{right}" y="440" text-anchor="middle">{x1}</text>
<text x="52" y="{bottom}" text-anchor="end">{y0:.3}</text><text x="52" y="66" text-anchor="end">{y1:.3}</text>
<polyline points="{raw}" fill="none" stroke="#1f77b4" stroke-opacity="0.4"/>
<polyline points="{smoothed}" fill="none" stroke="#1f77b4" stroke-width="2"/>
</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_curve_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let history: Vec<Value> = (1..4)
            .map(|step| json!({"step": step, "loss": 0.5, "rewards/accuracies": 0.25, "logps/chosen": -1.5, "eval_poems_accuracy": 0.5}))
            .collect();
        let evaluation = Evaluation {
            dataset: Some("poems".into()),
            metrics: recipe::Metrics::default(),
            examples: 1,
            batches: 1,
        };
        write(folder.path(), &history, &[evaluation]).unwrap();
        let mut files: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let expected =
            ["training_eval_poems_accuracy.svg", "training_loss.svg", "training_rewards_accuracies.svg"];
        assert_eq!(files, expected);
    }
}
