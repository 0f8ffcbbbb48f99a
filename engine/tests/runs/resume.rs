//! How a run goes on: from its newest checkpoint that is whole and its own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::device::with_plain_operations;
use engine::job;
use engine::observer::Observer;
use engine::train::can_resume;
use recipe::{EventBody, Outcome};
use tempfile::TempDir;

use super::{changed, numbers, recipe, run};

/// Lines of a recipe, and values of some keys.
type Cases<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)])];

const LORA: &str = "finetuning_type: lora\nlora_dropout: 0.1\n";
const FULL: &str = "finetuning_type: full\n";

/// The promise of a checkpoint: the same bits as a run that was never stopped.
#[test]
fn a_resumed_run_is_bit_equal() {
    let cases: Cases = &[
        (LORA, &[]),
        (LORA, &[("use_dora", "true")]),
        (LORA, &[("pissa_init", "true"), ("pissa_convert", "true"), ("lora_rank", "4")]),
        (FULL, &[]),
        (FULL, &[("pure_bf16", "true")]),
        ("finetuning_type: oft\noft_block_size: 16\nmodule_dropout: 0.3\n", &[]),
        ("finetuning_type: freeze\nfreeze_trainable_layers: 1\nuse_llama_pro: true\n", &[]),
        ("finetuning_type: freeze\nfreeze_trainable_layers: 1\n", &[]),
        (LORA, &[("stage", "rm"), ("dataset", "dpo")]),
        (LORA, &[("stage", "dpo"), ("dataset", "dpo"), ("logging_steps", "1")]),
        (FULL, &[("stage", "orpo"), ("dataset", "dpo")]),
        (LORA, &[("stage", "kto"), ("dataset", "kto"), ("logging_steps", "1"), ("pref_ftx", "0.1")]),
        (LORA, &[("stage", "dpo"), ("dataset", "dpo"), ("pref_loss", "kto_pair")]),
        (LORA, &[("use_dft_loss", "true"), ("loraplus_lr_ratio", "4")]),
        (
            LORA,
            &[
                ("stage", "ppo"),
                ("reward_rules", "[{type: length, max: 3}]"),
                ("max_new_tokens", "6"),
                ("ppo_epochs", "2"),
                ("ppo_buffer_size", "2"),
                ("ppo_score_norm", "true"),
            ],
        ),
        (
            FULL,
            &[
                ("stage", "grpo"),
                ("reward_rules", "[{type: length, max: 3}, {type: regex, pattern: e, weight: 0.5}]"),
                ("max_new_tokens", "6"),
                ("num_generations", "3"),
                ("num_iterations", "2"),
                ("grpo_beta", "0.04"),
            ],
        ),
        (
            LORA,
            &[
                ("lr_scheduler_type", "reduce_lr_on_plateau"),
                ("lr_scheduler_kwargs", "{patience: 0, threshold: 0.05}"),
                ("eval_strategy", "steps"),
                ("eval_steps", "1"),
                ("val_size", "4"),
            ],
        ),
    ];
    resumed(cases);
    with_plain_operations(|| resumed(cases));
}

/// So it is of what every optimiser remembers, and of whose turn it is.
#[test]
fn a_resumed_optimizer_is_bit_equal() {
    let cases: Cases = &[
        (FULL, &[("optim", "sgd"), ("learning_rate", "0.1")]),
        (FULL, &[("optim", "sgd"), ("optim_args", "momentum=0.9")]),
        (FULL, &[("optim", "adagrad")]),
        (FULL, &[("optim", "lion_32bit"), ("learning_rate", "1e-4")]),
        (FULL, &[("optim", "adafactor")]),
        (FULL, &[("optim", "adalomo"), ("learning_rate", "0.01")]),
        (FULL, &[("optim", "rmsprop"), ("optim_args", "momentum=0.5,centered=true")]),
        (FULL, &[("optim", "ademamix")]),
        (FULL, &[("optim", "adamw_8bit")]),
        (FULL, &[("use_muon", "true")]),
        (FULL, &[("use_adam_mini", "true")]),
        (FULL, &[("use_galore", "true"), ("galore_rank", "4"), ("galore_update_interval", "2")]),
        (FULL, &[("use_apollo", "true"), ("apollo_rank", "4"), ("apollo_update_interval", "5")]),
        (FULL, &[("use_badam", "true"), ("badam_switch_interval", "2"), ("badam_switch_mode", "random")]),
        (FULL, &[("use_badam", "true"), ("badam_mode", "ratio"), ("badam_mask_mode", "scatter")]),
    ];
    resumed(cases);
    with_plain_operations(|| resumed(cases));
}

fn resumed(cases: Cases) {
    for &(method, values) in cases {
        let recipe = |output: &Path, method: &str| changed(output, method, values);
        let what = format!("{method}{values:?}");
        let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (_, expected) = run(&recipe(whole.path(), method), None).unwrap();
        let (stopped, first) = run(&recipe(parts.path(), method), Some(3)).unwrap();
        assert_eq!(stopped.outcome, Outcome::Stopped);
        assert_eq!(stopped.steps, 3);
        let (finished, second) = run(&recipe(parts.path(), method), None).unwrap();
        assert_eq!(finished.outcome, Outcome::Finished);
        assert_eq!(numbers(&[first, second].concat()), numbers(&expected), "{what}");
        let weights = if method.contains("lora") || method.contains("oft") {
            "adapter_model.safetensors"
        } else {
            "model.safetensors"
        };
        let read = |folder: &TempDir| fs::read(folder.path().join(weights)).unwrap();
        assert!(read(&whole) == read(&parts), "{what}: weights differ");
        let log = fs::read_to_string(parts.path().join("trainer_log.jsonl")).unwrap();
        let steps: Vec<u64> = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line.get("loss").is_some())
            .map(|line| line["current_steps"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, (1..=8).collect::<Vec<_>>());
    }
}

/// Whatever is wrong with the newest checkpoint, the one before it is gone on from.
#[test]
fn a_damaged_checkpoint_is_passed_over() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 8] = [
        ("optimizer.safetensors", flip),
        ("adapter_model.safetensors", flip),
        ("SHA256SUMS", shorten),
        ("optimizer.safetensors", shorten),
        ("adapter_model.safetensors", shorten),
        ("adapter_model.safetensors", |path| fs::remove_file(path).unwrap()),
        ("adapter_config.json", |path| fs::write(path, "").unwrap()),
        ("chandler_state.json", shorten),
    ];
    let first = TempDir::new().unwrap();
    run(&recipe(first.path(), "save_steps: 1\nsave_total_limit: 2\n"), Some(3)).unwrap();
    for (name, damage) in damages {
        let output = TempDir::new().unwrap();
        for step in [2, 3] {
            copy(
                &first.path().join(format!("checkpoint-{step}")),
                &output.path().join(format!("checkpoint-{step}")),
            );
        }
        damage(&output.path().join("checkpoint-3").join(name));
        let (_, points) =
            run(&recipe(output.path(), "save_steps: 1\nsave_total_limit: 1\n"), Some(3)).unwrap();
        assert_eq!(points.first().unwrap().step, 3, "{name}");
        // The one just written is kept, not the one that was left.
        assert!(can_resume(output.path()) && output.path().join("checkpoint-3").exists());
    }
}

/// Checkpoints that earlier versions wrote have no digests: what does not fit the run is passed over all the same, and
/// one that was named is refused.
#[test]
fn a_checkpoint_of_another_run_is_passed_over() {
    const EXTRA: &str = "save_steps: 1\nlora_rank: 4\n";
    let (first, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    run(&recipe(first.path(), EXTRA), Some(3)).unwrap();
    run(&recipe(other.path(), "save_steps: 1\nlora_rank: 2\n"), Some(3)).unwrap();
    type Change = fn(&Path, &Path);
    let adapter: Change = |from, to| {
        for name in ["adapter_model.safetensors", "adapter_config.json"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    };
    let optimizer: Change = |from, to| {
        fs::copy(from.join("optimizer.safetensors"), to.join("optimizer.safetensors")).unwrap();
    };
    let both: Change = |from, to| {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    let step: Change = |_, to| edit_state(to, |state| state["step"] = u64::MAX.into());
    let other_step: Change = |_, to| edit_state(to, |state| state["step"] = 2.into());
    for change in [adapter, optimizer, both, step, other_step] {
        let output = TempDir::new().unwrap();
        for step in [2, 3] {
            let name = format!("checkpoint-{step}");
            copy(&first.path().join(&name), &output.path().join(&name));
            fs::remove_file(output.path().join(&name).join("SHA256SUMS")).unwrap();
        }
        let newest = output.path().join("checkpoint-3");
        change(&other.path().join("checkpoint-3"), &newest);
        let _ = fs::remove_file(newest.join("SHA256SUMS"));
        edit_state(&newest, |state| state["files"] = serde_json::json!({}));
        let named = format!("{EXTRA}resume_from_checkpoint: {}\n", newest.display());
        let refused = run(&recipe(output.path(), &named), None).unwrap_err().to_string();
        assert!(refused.contains("checkpoint-3"), "{refused}");
        let (_, points) = run(&recipe(output.path(), EXTRA), Some(3)).unwrap();
        assert_eq!(points.first().unwrap().step, 3);
    }
}

fn edit_state(checkpoint: &Path, change: fn(&mut serde_json::Value)) {
    let path = checkpoint.join("chandler_state.json");
    let mut state = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut state);
    fs::write(path, state.to_string()).unwrap();
}

/// A run whose rows have changed is another run, though they are as many as before.
#[test]
fn other_rows_are_noticed() {
    let (folder, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(folder.path().join("dataset_info.json"), r#"{"rows": {"file_name": "rows.json"}}"#).unwrap();
    let write = |answer: &str| {
        let row = |n: u32| serde_json::json!({"instruction": format!("say {n}"), "output": answer});
        let rows: Vec<_> = (0..8).map(row).collect();
        fs::write(folder.path().join("rows.json"), serde_json::Value::from(rows).to_string()).unwrap();
    };
    let mut recipe = recipe(output.path(), "");
    recipe.dataset = vec!["rows".into()];
    recipe.dataset_dir = folder.path().display().to_string();
    write("one");
    run(&recipe, Some(2)).unwrap();
    write("two");
    let refused = run(&recipe, None).unwrap_err().to_string();
    assert!(refused.starts_with("dataset: the 8 examples are others"), "{refused}");
    write("one");
    assert_eq!(run(&recipe, Some(3)).unwrap().1.first().unwrap().step, 3);
}

/// As the board asks for it: nothing can be gone on from, and the run is to run.
#[test]
fn without_a_whole_checkpoint_a_run_that_may_starts_from_its_beginning() {
    let output = TempDir::new().unwrap();
    fs::create_dir(output.path().join("checkpoint-5")).unwrap();
    let refused = run(&recipe(output.path(), ""), Some(1)).unwrap_err().to_string();
    assert!(refused.contains("overwrite_output_dir: true"), "{refused}");
    let mut said = Vec::new();
    let stop = Arc::new(AtomicBool::new(false));
    let mut sink = |event| match event {
        EventBody::Log { message, .. } => said.push(message),
        EventBody::Point(_) => stop.store(true, Ordering::Relaxed),
        _ => {}
    };
    let summary = job::run(
        &recipe(output.path(), "overwrite_output_dir: true\n"),
        &mut Observer::new(&mut sink, stop.clone()),
    )
    .unwrap();
    assert_eq!(summary.steps, 1);
    assert!(said.iter().any(|line| line.contains("Starting from step 0")), "{said:?}");
}

/// The last bit: a number that a checkpoint without digests would be gone on from with.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

fn shorten(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
