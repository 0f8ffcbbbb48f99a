//! What happens between the first step and the last.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::device::with_plain_operations;
use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, Outcome, Phase, Recipe};
use tempfile::TempDir;

use super::{loss, recipe, run};

/// Kernels and plain operations draw the same masks, and round alike where products are in bf16.
#[test]
fn plain_operations_train_alike() {
    for (extra, tolerance) in [
        ("finetuning_type: lora\nlora_dropout: 0.3\n", 1e-4),
        ("finetuning_type: lora\nbf16: true\n", 5e-3),
        ("finetuning_type: full\nbf16: true\n", 5e-3),
    ] {
        let losses = || -> Vec<f64> {
            let output = TempDir::new().unwrap();
            let (_, points) = run(&recipe(output.path(), extra), None).unwrap();
            points.iter().map(loss).collect()
        };
        let (kernels, plain) = (losses(), with_plain_operations(losses));
        assert_eq!((kernels.len(), plain.len()), (8, 8));
        for (kernels, plain) in kernels.iter().zip(&plain) {
            assert!((kernels - plain).abs() <= tolerance * kernels, "{extra}: {kernels}, plain {plain}");
        }
    }
}

/// A stop is looked at wherever time goes by before the first step, and during evaluation.
#[test]
fn a_stop_before_training_ends_the_run_at_once() {
    for (phase, do_train) in
        [(Phase::LoadingModel, true), (Phase::EncodingData, true), (Phase::Evaluating, false)]
    {
        let output = TempDir::new().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut seen = Vec::new();
        let mut sink = |event| {
            if let EventBody::Phase { phase: now, .. } = event {
                seen.push(now);
                stop.fetch_or(now == phase, Ordering::Relaxed);
            }
        };
        let recipe = Recipe { do_train, ..recipe(output.path(), "do_eval: true\nval_size: 4\n") };
        let summary = job::run(&recipe, &mut Observer::new(&mut sink, stop.clone())).unwrap();
        assert_eq!((summary.outcome, summary.steps), (Outcome::Stopped, 0));
        assert_eq!(seen.last(), Some(&phase));
        assert_eq!(fs::read_dir(output.path()).unwrap().count(), 0, "{phase:?}");
    }
}

/// Noise changes what is learnt from, but not what is evaluated.
#[test]
fn noise_is_for_training_alone() {
    let losses = |extra: &str| {
        let output = TempDir::new().unwrap();
        let extra = format!("val_size: 4\ndo_eval: true\n{extra}");
        let recipe = Recipe { learning_rate: 0.0, ..recipe(output.path(), &extra) };
        let (summary, points) = run(&recipe, None).unwrap();
        (loss(&points[0]), summary.evaluations[0].loss())
    };
    let (plain, noisy) = (losses(""), losses("neftune_noise_alpha: 5\n"));
    assert!(plain.0 != noisy.0, "{noisy:?}");
    assert_eq!(plain.1, noisy.1);
}

/// Where nothing is logged, progress says how far training is.
#[test]
fn progress_reaches_the_last_step() {
    let output = TempDir::new().unwrap();
    let mut steps = Vec::new();
    let mut sink = |event| match event {
        EventBody::Progress(pace) => steps.push(pace.step),
        EventBody::Point(point) => panic!("step {} is logged", point.step),
        _ => {}
    };
    let mut recipe = recipe(output.path(), "");
    recipe.logging_steps = recipe::Steps::Count(500);
    job::run(&recipe, &mut Observer::new(&mut sink, Arc::default())).unwrap();
    assert_eq!(steps.last(), Some(&8));
}

#[test]
fn unknown_targets_are_named() {
    let output = TempDir::new().unwrap();
    let error = run(&recipe(output.path(), "finetuning_type: lora\nlora_target: wqkv\n"), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("wqkv") && error.contains("q_proj"), "{error}");
}
