//! What a training run leaves behind, and how it goes on: checkpoints, resume, stop, bad input.
#![allow(clippy::unwrap_used)] // helpers outside of `#[test]` functions

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor};
use engine::autograd::Param;
use engine::device::with_plain_operations;
use engine::job;
use engine::model::Tuning;
use engine::observer::Observer;
use engine::train::{Summary, can_resume};
use engine::weights;
use recipe::{EventBody, Outcome, Phase, Point, Recipe};
use tempfile::TempDir;

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

/// The promise of a checkpoint: the same bits as a run that was never stopped.
#[test]
fn a_resumed_run_is_bit_equal() {
    resumed();
    with_plain_operations(resumed);
}

fn resumed() {
    let (lora, full) = ("finetuning_type: lora\nlora_dropout: 0.1\n", "finetuning_type: full\n");
    let cases: [(&str, &[(&str, &str)]); 10] = [
        (lora, &[]),
        (full, &[]),
        ("finetuning_type: freeze\nfreeze_trainable_layers: 1\n", &[]),
        (lora, &[("stage", "rm"), ("dataset", "dpo")]),
        (lora, &[("stage", "dpo"), ("dataset", "dpo"), ("logging_steps", "1")]),
        (full, &[("optim", "sgd"), ("learning_rate", "0.1")]),
        (full, &[("optim", "adagrad")]),
        (full, &[("optim", "lion_32bit"), ("learning_rate", "1e-4")]),
        (full, &[("optim", "adafactor")]),
        (full, &[("use_muon", "true")]),
    ];
    for (method, values) in cases {
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
        let weights = if method.contains("lora") { "adapter_model.safetensors" } else { "model.safetensors" };
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
fn results_are_not_overwritten_unasked() {
    let output = TempDir::new().unwrap();
    fs::write(output.path().join("notes.txt"), "mine").unwrap();
    let error = run(&recipe(output.path(), "finetuning_type: lora\n"), None).unwrap_err().to_string();
    assert!(error.contains("output_dir") && error.contains("overwrite_output_dir"), "{error}");
    run(&recipe(output.path(), "finetuning_type: lora\noverwrite_output_dir: true\n"), None).unwrap();
    assert_eq!(fs::read_to_string(output.path().join("notes.txt")).unwrap(), "mine");
}

/// A copy of the base model to break.
fn broken(change: impl FnOnce(&Path)) -> String {
    let (model, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for entry in fs::read_dir(data().join("base")).unwrap() {
        let path = entry.unwrap().path();
        fs::write(model.path().join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
    }
    change(model.path());
    let mut recipe = recipe(output.path(), "finetuning_type: lora\n");
    recipe.model_name_or_path = model.path().display().to_string();
    let error = run(&recipe, None).unwrap_err().to_string();
    assert!(!error.contains('\n'), "more than a sentence: {error}");
    error
}

/// Changes the tensors of a model folder.
fn rewrite(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

/// The base model alone, as GPT-2 and BLOOM were published; with it buffers that are no weights, an output
/// matrix that is tied, and a layer behind the last.
#[test]
fn tensors_without_the_base_models_prefix_are_found_and_others_left() {
    let base = data().join("base");
    let folder = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::write(folder.path().join(name), fs::read(base.join(name)).unwrap()).unwrap();
    }
    rewrite(folder.path(), |tensors| {
        let table = tensors["model.embed_tokens.weight"].clone();
        let norm = tensors["model.norm.weight"].clone();
        let names: Vec<String> = tensors.keys().cloned().collect();
        for name in names {
            let tensor = tensors.remove(&name).unwrap();
            tensors.insert(name.trim_start_matches("model.").to_owned(), tensor);
        }
        let mask = Tensor::ones((1, 1, 4, 4), DType::F32, &Device::Cpu).unwrap();
        tensors.insert("layers.0.attn.bias".into(), mask);
        tensors.insert("layers.0.self_attn.rotary_emb.inv_freq".into(), norm.clone());
        tensors.insert("layers.4.enorm.weight".into(), norm);
        tensors.entry("lm_head.weight".into()).or_insert(table);
    });
    let [whole, bare] = [&base, folder.path()].map(|folder| {
        let files = engine::weights::open(folder, None).unwrap();
        let decoder = files.build(&Tuning::default()).unwrap();
        let params = decoder.params();
        let value = |param: &Param| param.tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        params.iter().map(|param| (param.name.clone(), value(param))).collect::<Vec<_>>()
    });
    assert_eq!(whole, bare);
}

#[test]
fn a_pickle_named_as_the_model_is_refused() {
    let folder = TempDir::new().unwrap();
    for name in ["model.bin", "model.PTH", "model.safetensors"] {
        let path = folder.path().join(name);
        fs::write(&path, b"\x80\x02}q\x00(X\x04\x00\x00").unwrap();
        let error = engine::weights::open(&path, None).err().unwrap().to_string();
        assert!(error.contains("pickle") && error.contains(name), "{error}");
    }
}

/// ALiBi knows no rotary positions, and Qwen v1 stretches its own.
#[test]
fn positions_that_cannot_be_stretched_are_refused() {
    let folder = TempDir::new().unwrap();
    for (family, more) in [("baichuan", ""), ("qwen", ", \"max_position_embeddings\": 512")] {
        let config = format!(
            "{{\"model_type\": \"{family}\", \"vocab_size\": 64, \"hidden_size\": 16, \"intermediate_size\": 32, \
             \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"model_max_length\": 512{more}}}"
        );
        fs::write(folder.path().join("config.json"), config).unwrap();
        let mut files = engine::weights::open(folder.path(), Some(1)).unwrap();
        let before = files.config.clone();
        let error = files.stretch_positions(recipe::RopeScaling::Linear, 1000).unwrap_err().to_string();
        assert!(error.starts_with("rope_scaling") && files.config.values == before.values, "{error}");
    }
}

#[test]
fn broken_models_are_named() {
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let error = broken(|folder| fs::remove_file(folder.join("config.json")).unwrap());
    assert!(error.contains("config.json"), "{error}");
    let error = broken(|folder| fs::write(folder.join("config.json"), "{\"model_type\": ").unwrap());
    assert!(error.contains("config.json") && error.contains("JSON"), "{error}");
    let error = broken(|folder| edit(folder, "\"model_type\": \"llama\"", "\"model_type\": \"mamba\""));
    assert!(error.contains("mamba") && error.contains("llama"), "{error}");
    let error = broken(|folder| edit(folder, "\"hidden_size\": 64", "\"hidden_size\": 96"));
    assert!(error.contains("model.embed_tokens.weight") && error.contains("[600, 64]"), "{error}");
    let error = broken(|folder| edit(folder, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"));
    assert!(error.contains("model.layers.4.") && error.contains("model.safetensors"), "{error}");
    let error =
        broken(|folder| edit(folder, "\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"magic\"}"));
    assert!(error.contains("magic") && error.contains("yarn"), "{error}");
    let error = broken(|folder| fs::remove_file(folder.join("model.safetensors")).unwrap());
    assert!(error.contains("model.safetensors"), "{error}");
    let error = broken(|folder| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(error.contains("model.safetensors"), "{error}");
    let error = broken(|folder| {
        fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap();
    });
    assert!(error.contains("pickle") && error.contains("safetensors"), "{error}");
    for name in ["pytorch_model-00001-of-00003.bin", "pytorch_model.bin.index.json", "weights.ckpt"] {
        let error = broken(|folder| fs::rename(folder.join("model.safetensors"), folder.join(name)).unwrap());
        assert!(error.contains("pickle") && error.contains(name), "{error}");
    }
    for magic in [b"PK\x03\x04 archive".as_slice(), b"\x80\x02}q\x00(X\x04\x00\x00"] {
        let error = broken(|folder| fs::write(folder.join("model.safetensors"), magic).unwrap());
        assert!(error.contains("pickle"), "{error}");
    }
    let error = broken(|folder| {
        edit(folder, "\"rope_scaling\": null", "\"quantization_config\": {\"quant_method\": \"fp8\"}");
    });
    assert!(error.contains("quantization_config") && error.contains("fp8"), "{error}");
    let error = broken(|folder| {
        rewrite(folder, |tensors| {
            let bias = tensors["model.norm.weight"].clone();
            tensors.insert("model.layers.0.self_attn.q_proj.bias".into(), bias);
        });
    });
    assert!(error.contains("model.layers.0.self_attn.q_proj.bias"), "{error}");
    let error = broken(|folder| {
        rewrite(folder, |tensors| {
            let codes = tensors["model.norm.weight"].to_dtype(DType::U8).unwrap();
            tensors.insert("model.norm.weight".into(), codes);
        });
    });
    assert!(error.contains("model.norm.weight") && error.contains("U8") && error.contains("BF16"), "{error}");
    let error = broken(|folder| fs::write(folder.join("tokenizer.json"), "[]").unwrap());
    assert!(error.contains("tokenizer"), "{error}");
}

#[test]
fn a_broken_gguf_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    for bytes in
        [&b""[..], b"GGUF", b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", b"not a gguf file at all"]
    {
        fs::write(&path, bytes).unwrap();
        let error = engine::weights::open(&path, None).err().unwrap().to_string();
        assert!(error.contains("model.gguf"), "{error}");
    }
}

#[test]
fn unknown_targets_are_named() {
    let output = TempDir::new().unwrap();
    let error = run(&recipe(output.path(), "finetuning_type: lora\nlora_target: wqkv\n"), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("wqkv") && error.contains("q_proj"), "{error}");
}

/// A model with exactly as many rows as its tokenizer has tokens.
fn small_vocabulary(folder: &Path) {
    for name in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        fs::copy(data().join("base").join(name), folder.join(name)).unwrap();
    }
    let tokens = engine::text::Tokenizer::from_folder(folder).unwrap().vocab_size();
    let text = fs::read_to_string(folder.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["vocab_size"] = tokens.into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let output = TempDir::new().unwrap();
    let mut recipe = recipe(output.path(), "finetuning_type: full\ntrain_from_scratch: true\n");
    (recipe.model_name_or_path, recipe.max_steps) = (folder.display().to_string(), 1);
    run(&recipe, None).unwrap();
    fs::copy(output.path().join("model.safetensors"), folder.join("model.safetensors")).unwrap();
}

/// Tokens that a template brings get rows of their own, which are trained, saved and found again.
#[test]
fn a_grown_vocabulary_is_trained_and_found_again() {
    let [base, whole, parts] = [(); 3].map(|()| TempDir::new().unwrap());
    small_vocabulary(base.path());
    let grown = |folder: &TempDir| {
        let mut recipe = recipe(folder.path(), "finetuning_type: lora\nresize_vocab: true\n");
        recipe.model_name_or_path = base.path().display().to_string();
        recipe.template = Some("llama3".to_owned());
        recipe
    };
    let (_, expected) = run(&grown(&whole), None).unwrap();
    let (_, first) = run(&grown(&parts), Some(3)).unwrap();
    let (_, second) = run(&grown(&parts), None).unwrap();
    assert_eq!(numbers(&[first, second].concat()), numbers(&expected));
    let file = candle_core::safetensors::load(
        whole.path().join("adapter_model.safetensors"),
        &candle_core::Device::Cpu,
    );
    let saved: Vec<(String, usize)> = file
        .unwrap()
        .into_iter()
        .filter(|(name, _)| !name.contains("lora_"))
        .map(|(name, tensor)| (name, tensor.dims()[0]))
        .collect();
    let rows = saved.iter().map(|(_, rows)| *rows).max().unwrap();
    assert!(rows.is_multiple_of(64) && saved.len() == 2, "{saved:?}");
    let source = engine::chat::ChatSource {
        model: base.path().to_owned(),
        revision: None,
        adapters: vec![whole.path().to_owned()],
        template: Some("llama3".to_owned()),
        use_cpu: false,
        ..Default::default()
    };
    engine::chat::ChatModel::load(&source, &mut engine::hub::quietly).unwrap();
}

/// A token that only the configuration names has an id behind the last row. Padding is never used, so a pad token may
/// do without one; an EOS token may not.
#[test]
fn a_token_without_a_row_is_in_the_way_once_it_is_needed() {
    let base = TempDir::new().unwrap();
    small_vocabulary(base.path());
    let try_with = |role: &str, extra: &str| {
        let text = fs::read_to_string(data().join("base/tokenizer_config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        config[role] = "[NEW]".into();
        fs::write(base.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let output = TempDir::new().unwrap();
        let mut recipe = recipe(output.path(), &format!("finetuning_type: lora\n{extra}"));
        (recipe.model_name_or_path, recipe.max_steps) = (base.path().display().to_string(), 2);
        run(&recipe, None).map(|(_, points)| numbers(&points))
    };
    let without = try_with("chandler_has_no_such_role", "").unwrap();
    assert_eq!(try_with("pad_token", "").unwrap(), without);
    assert_eq!(
        try_with("pad_token", "packing: true\n").unwrap(),
        try_with("other", "packing: true\n").unwrap()
    );
    let message = try_with("eos_token", "").unwrap_err().to_string();
    assert!(message.contains("`[NEW]`") && message.contains("`resize_vocab: true`"), "{message}");
    try_with("eos_token", "resize_vocab: true\n").unwrap();
}

/// Texts beyond the model's context stretch its positions, and the saved model says so.
#[test]
fn stretched_positions_are_written_into_the_configuration() {
    for kind in ["linear", "dynamic", "yarn", "llama3"] {
        let folder = TempDir::new().unwrap();
        let mut recipe = recipe(folder.path(), &format!("finetuning_type: full\nrope_scaling: {kind}\n"));
        (recipe.cutoff_len, recipe.max_steps) = (5000, 1);
        run(&recipe, None).unwrap();
        let text = fs::read_to_string(folder.path().join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["rope_scaling"]["rope_type"], kind);
        assert!(config["max_position_embeddings"].as_u64().unwrap() >= 5000, "{config}");
        engine::weights::open(folder.path(), None).unwrap();
    }
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
