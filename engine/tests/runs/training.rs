//! What happens between the first step and the last.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::device::with_plain_operations;
use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, NonFinite, Outcome, Phase, Recipe};
use tempfile::TempDir;

use super::{changed, loss, numbers, recipe, run};

/// Kernels and plain operations draw the same masks, and round alike where products are in bf16.
#[test]
fn plain_operations_train_alike() {
    for (extra, tolerance) in [
        ("finetuning_type: lora\nlora_dropout: 0.3\n", 1e-4),
        ("finetuning_type: lora\nbf16: true\n", 5e-3),
        ("finetuning_type: full\nbf16: true\n", 5e-3),
        ("finetuning_type: full\npure_bf16: true\n", 5e-3),
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

/// Where memory suffices, a batch that is looked for is the one that was given; a run that goes on keeps what it found.
#[test]
fn a_batch_that_fits_is_found_and_kept() {
    let (given, found) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let lines = "finetuning_type: lora\nsave_steps: 4\n";
    let (_, expected) = run(&recipe(given.path(), lines), None).unwrap();
    let finding = recipe(found.path(), &format!("{lines}auto_find_batch_size: true\n"));
    let (_, points) = run(&finding, Some(4)).unwrap();
    assert_eq!(numbers(&points), numbers(&expected[..4]));
    let state = fs::read_to_string(found.path().join("checkpoint-4/chandler_state.json")).unwrap();
    assert!(state.replace(' ', "").contains("\"batch\":2"), "{state}");
    let (_, points) = run(&finding, None).unwrap();
    assert_eq!(numbers(&points), numbers(&expected[4..]));
}

/// Weights and the optimiser's state take half, and what is learnt is about the same.
#[test]
fn pure_bf16_learns_in_half_the_memory() {
    let train = |key: &str| {
        let output = TempDir::new().unwrap();
        let lines = format!("finetuning_type: full\n{key}: true\nsave_steps: 8\n");
        let (_, points) = run(&recipe(output.path(), &lines), None).unwrap();
        let path = output.path().join("checkpoint-8/optimizer.safetensors");
        let size = fs::metadata(path).unwrap().len();
        (points.iter().map(loss).collect::<Vec<_>>(), size)
    };
    let (wide, narrow) = (train("bf16"), train("pure_bf16"));
    assert!((narrow.1 as f64) < 0.52 * wide.1 as f64, "{} and {} bytes", narrow.1, wide.1);
    assert!(narrow.0[7] < narrow.0[0]);
    for (narrow, wide) in narrow.0.iter().zip(&wide.0) {
        assert!((narrow - wide).abs() < 0.02 * wide, "{narrow}, {wide}");
    }
}

/// A loss that is no number ends a run, or costs a step, as the recipe says; no file gets it as a number.
#[test]
fn a_loss_that_is_no_number_stops_or_skips() {
    let text =
        "finetuning_type: full\nmax_grad_norm: 0\nsave_strategy: steps\nsave_steps: 2\nsave_total_limit: 9\n";
    let settings = [("learning_rate", "90"), ("optim", "sgd")];
    let output = TempDir::new().unwrap();
    let stopped = Recipe { learning_rate: 1e30, ..changed(output.path(), text, &settings) };
    let mut last = None;
    let mut sink = |event| {
        if let EventBody::Point(point) = event {
            last = Some(point);
        }
    };
    let error = job::run(&stopped, &mut Observer::new(&mut sink, Arc::default())).unwrap_err().to_string();
    assert!(error.contains("training has diverged"), "{error}");
    assert!(!last.unwrap().metrics.get("loss").unwrap().is_finite());

    let skipping = Recipe { nonfinite_loss: NonFinite::Skip, output_dir: String::new(), ..stopped };
    let train = |stop_after| {
        let output = TempDir::new().unwrap();
        let recipe = Recipe { output_dir: output.path().display().to_string(), ..skipping.clone() };
        let (first, mut points) = run(&recipe, stop_after).unwrap();
        if first.outcome == Outcome::Stopped {
            points.extend(run(&recipe, None).unwrap().1);
        }
        (output, numbers(&points))
    };
    let (output, whole) = train(None);
    let (_, in_two) = train(Some(4));
    assert_eq!((whole.len(), &whole), (8, &in_two));
    assert_eq!(whole[7].1.last().unwrap(), &("skipped_steps".to_owned(), 7f64.to_bits()));
    for file in ["trainer_log.jsonl", "trainer_state.json", "all_results.json"] {
        let text = fs::read_to_string(output.path().join(file)).unwrap();
        for number in ["NaN", "Infinity", "loss\": null", "loss\":null", "norm\": null"] {
            assert!(!text.contains(number), "{file}: {text}");
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
