//! Training that ends before its last step, and evaluation before its first.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

use std::path::Path;
use std::sync::Arc;

use engine::job;
use engine::observer::Observer;
use engine::train::Summary;
use recipe::{EventBody, Outcome, Recipe};
use tempfile::TempDir;

/// Runs a recipe; answers besides with the steps after which it was evaluated.
fn run(output: &Path, extra: &str) -> (Summary, Vec<u64>) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/data");
    let text = format!(
        "model_name_or_path: {data}/base\ndataset_dir: {data}\ndataset: alpaca\ntemplate: default\nstage: sft\n\
         do_train: true\ncutoff_len: 64\nlearning_rate: 1.0e-3\nper_device_train_batch_size: 2\nmax_steps: 8\n\
         val_size: 4\neval_strategy: steps\neval_steps: 1\noutput_dir: {output}\n{extra}",
        data = data.display(),
        output = output.display(),
    );
    let mut evaluated = Vec::new();
    let take = |event| {
        if let EventBody::Eval(eval) = event {
            evaluated.push(eval.step);
        }
    };
    let recipe = Recipe::from_yaml(&text).unwrap();
    let summary = job::run(&recipe, &mut Observer::new(take, Arc::default())).unwrap();
    (summary, evaluated)
}

/// More loss is asked for, of which training makes less: the first evaluation stays the best.
#[test]
fn training_ends_when_nothing_gets_better() {
    let output = TempDir::new().unwrap();
    let (summary, evaluated) = run(output.path(), "early_stopping_steps: 3\ngreater_is_better: true\n");
    assert_eq!((summary.outcome, summary.steps), (Outcome::Finished, 4));
    assert_eq!(evaluated, [1, 2, 3, 4]);
    // What it has come to is there all the same.
    let state = std::fs::read_to_string(output.path().join("trainer_state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!((state["global_step"].as_u64(), state["max_steps"].as_u64()), (Some(4), Some(8)));
    assert!(output.path().join("adapter_model.safetensors").exists());
    assert!(output.path().join("checkpoint-4").exists());
}

#[test]
fn evaluations_begin_where_they_are_asked_to() {
    let output = TempDir::new().unwrap();
    let (_, evaluated) = run(output.path(), "eval_on_start: true\neval_delay: 6\n");
    assert_eq!(evaluated, [0, 6, 7, 8]);
    // The line of the start is not cleared away with what an earlier run left.
    let log = std::fs::read_to_string(output.path().join("trainer_log.jsonl")).unwrap();
    assert!(
        log.lines().next().unwrap().contains("\"current_steps\":0,\"total_steps\":8,\"eval_loss\""),
        "{log}"
    );
}
