//! What an output folder holds during a run and after it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::job;
use engine::observer::Observer;
use engine::weights;
use recipe::{EventBody, Outcome, Recipe};
use tempfile::TempDir;

use super::{data, numbers, recipe, run};

#[test]
fn checkpoints_are_limited_and_a_broken_one_is_passed_over() {
    let output = TempDir::new().unwrap();
    let extra = "finetuning_type: lora\nsave_steps: 2\nsave_total_limit: 2\n";
    run(&recipe(output.path(), extra), Some(7)).unwrap();
    let found = |name: &str| output.path().join(name).exists();
    assert!(
        !found("checkpoint-2") && !found("checkpoint-4") && found("checkpoint-6") && found("checkpoint-7")
    );
    fs::write(output.path().join("checkpoint-7/chandler_state.json"), "{").unwrap();
    let (_, points) = run(&recipe(output.path(), extra), None).unwrap();
    assert_eq!(points.first().unwrap().step, 7);
    for name in [
        "adapter_config.json",
        "tokenizer.json",
        "trainer_state.json",
        "all_results.json",
        "train_results.json",
    ] {
        assert!(found(name), "{name} is missing");
    }
}

/// `overwrite_output_dir` takes away what an earlier run left, but not before training works, and an explicit wish
/// to go on wins.
#[test]
fn an_earlier_run_is_overwritten_by_a_step_alone() {
    let output = TempDir::new().unwrap();
    let overwrite = "overwrite_output_dir: true\nsave_steps: 2\n";
    run(&recipe(output.path(), overwrite), Some(3)).unwrap();
    let found = |step: u64| output.path().join(format!("checkpoint-{step}")).exists();
    let wrong: [fn(&mut Recipe); 2] = [
        |recipe| recipe.model_name_or_path = "/nowhere".into(),
        |recipe| recipe.dataset = vec!["absent".into()],
    ];
    for change in wrong {
        let mut recipe = recipe(output.path(), overwrite);
        change(&mut recipe);
        assert!(run(&recipe, None).is_err());
        assert!(found(2) && found(3));
    }
    let stopped = Arc::new(AtomicBool::new(true));
    let summary =
        job::run(&recipe(output.path(), overwrite), &mut Observer::new(|_| {}, stopped.clone())).unwrap();
    assert_eq!((summary.outcome, summary.steps), (Outcome::Stopped, 0));
    assert!(found(2) && found(3));
    let resume = format!("{overwrite}resume_from_checkpoint: true\n");
    let (_, points) = run(&recipe(output.path(), &resume), Some(4)).unwrap();
    assert_eq!(points.first().unwrap().step, 4);
    let (_, points) = run(&recipe(output.path(), overwrite), Some(1)).unwrap();
    assert_eq!(points.first().unwrap().step, 1);
    assert!(found(1) && !found(2) && !found(3) && !found(4));
}

#[test]
fn results_are_not_overwritten_unasked() {
    let output = TempDir::new().unwrap();
    fs::write(output.path().join("notes.txt"), "mine").unwrap();
    let error = run(&recipe(output.path(), "finetuning_type: lora\n"), None).unwrap_err().to_string();
    assert!(error.contains("output_dir") && error.contains("overwrite_output_dir"), "{error}");
    run(&recipe(output.path(), "finetuning_type: lora\noverwrite_output_dir: true\n"), None).unwrap();
    assert_eq!(fs::read_to_string(output.path().join("notes.txt")).unwrap(), "mine");
}

/// A run that was killed before it wrote a checkpoint begins again without being asked for.
#[test]
fn a_run_without_a_checkpoint_begins_again() {
    let (output, whole) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let lines = "finetuning_type: lora\npissa_init: true\npissa_convert: true\nreport_to: tensorboard\n";
    run(&recipe(output.path(), lines), None).unwrap();
    for entry in fs::read_dir(output.path()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match name.as_str() {
            "trainer_log.jsonl" | "runs" | "pissa_init" => {}
            _ if entry.path().is_dir() => fs::remove_dir_all(entry.path()).unwrap(),
            _ => fs::remove_file(entry.path()).unwrap(),
        }
    }
    let (_, again) = run(&recipe(output.path(), lines), None).unwrap();
    let (_, expected) = run(&recipe(whole.path(), lines), None).unwrap();
    assert_eq!(numbers(&again), numbers(&expected));
    let log = |folder: &TempDir| fs::read_to_string(folder.path().join("trainer_log.jsonl")).unwrap();
    assert_eq!(log(&output).lines().count(), log(&whole).lines().count());
}

#[test]
fn evaluation_alone_writes_its_results() {
    let output = TempDir::new().unwrap();
    let extra = "eval_dataset: alpaca\ndo_eval: true\nper_device_eval_batch_size: 2\n";
    let alone = Recipe { do_train: false, dataset: Vec::new(), ..recipe(output.path(), extra) };
    let (summary, points) = run(&alone, None).unwrap();
    assert_eq!((summary.outcome, summary.steps, points.len()), (Outcome::Finished, 0, 0));
    let text = fs::read_to_string(output.path().join("eval_results.json")).unwrap();
    assert!(text.starts_with("{\n    \"eval_loss\": "), "{text}");
    let results: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results["eval_loss"].as_f64(), Some(summary.evaluations[0].loss()));
    assert!(results.get("epoch").is_none());
    assert!(
        output.path().join("all_results.json").exists()
            && !output.path().join("adapter_config.json").exists()
    );
}

/// The highest loss is asked for, so that the first of these evaluations is the best.
#[test]
fn the_best_checkpoint_is_kept_and_its_weights_are_the_result() {
    let mut restored = 0;
    for (method, rate) in [("finetuning_type: lora\n", 0.01), ("finetuning_type: full\n", 0.001)] {
        let output = TempDir::new().unwrap();
        let extra = format!(
            "{method}save_steps: 2\neval_strategy: steps\neval_steps: 2\nval_size: 4\nsave_total_limit: 1\n\
             load_best_model_at_end: true\ngreater_is_better: true\nreport_to: tensorboard\n"
        );
        let recipe = Recipe { learning_rate: rate, ..recipe(output.path(), &extra) };
        let mut losses = Vec::new();
        let mut sink = |event| {
            if let EventBody::Eval(eval) = event {
                losses.push((eval.step, eval.metrics.get("eval_loss").unwrap()));
            }
        };
        let summary = job::run(&recipe, &mut Observer::new(&mut sink, Arc::default())).unwrap();
        // The restored weights are evaluated once more: the first of equals is meant.
        let best = losses.iter().rev().copied().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        restored += usize::from(best.0 < 8);
        assert_eq!(summary.evaluations[0].loss(), best.1, "{method}");
        let left = [2, 4, 6, 8].map(|step| output.path().join(format!("checkpoint-{step}")).exists());
        assert_eq!(left, [2, 4, 6, 8].map(|step| step == best.0 || step == 8));
        let state = fs::read_to_string(output.path().join("trainer_state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        assert_eq!(
            (state["best_global_step"].as_u64(), state["best_metric"].as_f64()),
            (Some(best.0), Some(best.1))
        );
        assert_eq!(fs::read_dir(output.path().join("runs")).unwrap().count(), 1);
    }
    assert!(restored > 0, "no evaluation before the last was the best");
}

/// Where a model ends is said by its own file, else by its configuration; a model tuned from it ends there, too, and with
/// the template's tokens.
#[test]
fn a_tuned_model_ends_where_its_base_does_and_its_template() {
    let (base, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(data().join("base").join(name), base.path().join(name)).unwrap();
    }
    let write = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let path = base.path().join(name);
        let text = fs::read_to_string(&path).unwrap_or("{}".to_owned());
        let mut value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    };
    let ends = |folder: &Path| weights::open(folder, None).unwrap().generation_ends();
    write("config.json", &|config| config["eos_token_id"] = serde_json::json!([7, 9]));
    assert_eq!(ends(base.path()), [7, 9]);
    write("generation_config.json", &|config| config["temperature"] = serde_json::json!(0.5));
    assert_eq!(ends(base.path()), [7, 9]);
    write("generation_config.json", &|config| config["eos_token_id"] = serde_json::json!(8));
    assert_eq!(ends(base.path()), [8]);

    let recipe = recipe(output.path(), "finetuning_type: full\n");
    let model_name_or_path = base.path().to_string_lossy().into_owned();
    run(&Recipe { model_name_or_path, max_steps: 1, ..recipe }, None).unwrap();
    assert_eq!(ends(output.path()), [8, 2]);
    let written = fs::read_to_string(output.path().join("generation_config.json")).unwrap();
    assert!(written.contains("\"temperature\": 0.5"), "{written}");
}
