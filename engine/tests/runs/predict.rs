//! Predictions: answers to held-out prompts, and scores of a reward model.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use engine::device::with_plain_operations;
use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, Metrics, Outcome, Recipe};
use serde_json::Value;
use tempfile::TempDir;

use super::changed;

/// Predicts, and answers with what the run reported.
fn predict(recipe: &Recipe) -> Result<Vec<Metrics>, engine::Error> {
    let mut reported = Vec::new();
    let sink = |event| {
        if let EventBody::Eval(eval) = event {
            reported.push(eval.metrics);
        }
    };
    let summary = job::run(recipe, &mut Observer::new(sink, Arc::default()))?;
    assert_eq!(summary.outcome, Outcome::Finished);
    Ok(reported)
}

fn lines(output: &Path) -> Vec<Value> {
    let text = fs::read_to_string(output.join("generated_predictions.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The answers of LLaMA-Factory's own run, letter by letter, and what it measured; however many are written at once.
#[test]
fn answers_are_the_peers() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/train/predict");
    let text = fs::read_to_string(case.join("config.yaml")).unwrap();
    let expected = fs::read_to_string(case.join("generated_predictions.jsonl")).unwrap();
    let results = json(&case.join("predict_results.json"));
    for batch in ["1", "3", "64"] {
        let output = TempDir::new().unwrap();
        let place = |path: &str| case.join(path).display().to_string();
        let values = [
            ("model_name_or_path", place("../../data/base")),
            ("dataset_dir", place("../../data")),
            ("adapter_name_or_path", place("init_adapter")),
            ("output_dir", output.path().display().to_string()),
            ("per_device_eval_batch_size", batch.to_owned()),
        ];
        let values: Vec<_> = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let recipe = Recipe::from_yaml_with(&text, &values).unwrap();
        let run = || predict(&recipe).unwrap();
        let reported = if batch == "3" { with_plain_operations(run) } else { run() };
        let got = fs::read_to_string(output.path().join("generated_predictions.jsonl")).unwrap();
        assert_eq!(got, expected, "{batch} at once");
        let got = json(&output.path().join("predict_results.json"));
        for (name, value) in results.as_object().unwrap() {
            let (got, value) = (got[name].as_f64().unwrap(), value.as_f64().unwrap());
            assert!((got - value).abs() < 1e-9, "{name}: {got}, not {value}");
            let reported = reported[0].get(&name.replace("predict_", "eval_"));
            assert_eq!(reported, Some(got), "{name}");
        }
        assert!(!output.path().join("eval_results.json").exists());
    }
}

const GENERATING: &str = "predict_with_generate: true\nmax_samples: 5\nmax_new_tokens: 6\n";

/// What is drawn depends on the seed, and on nobody else in the batch.
#[test]
fn the_seed_decides_what_is_drawn() {
    let answers = |seed: &str, batch: &str| {
        let output = TempDir::new().unwrap();
        let extra = format!("{GENERATING}do_predict: true\ndo_eval: true\neval_dataset: alpaca\n");
        let values = [("do_train", "false"), ("seed", seed), ("per_device_eval_batch_size", batch)];
        predict(&changed(output.path(), &extra, &values)).unwrap();
        // Whoever evaluates as well finds the same numbers under the names of an evaluation.
        let (eval, predicted) = (
            json(&output.path().join("eval_results.json")),
            json(&output.path().join("predict_results.json")),
        );
        assert_eq!(eval["eval_bleu-4"], predicted["predict_bleu-4"]);
        lines(output.path())
    };
    let first = answers("7", "2");
    assert_eq!((first.len(), &first), (5, &answers("7", "5")));
    assert_ne!(first, answers("8", "2"));
}

/// Without data of its own a prediction is on those that the recipe names; a share of them where that is asked for.
#[test]
fn data_are_those_of_the_evaluation_or_all() {
    for (size, count) in [("0", 5), ("0.4", 2)] {
        let output = TempDir::new().unwrap();
        let extra = format!("{GENERATING}do_predict: true\ndo_sample: false\n");
        predict(&changed(output.path(), &extra, &[("do_train", "false"), ("val_size", size)])).unwrap();
        assert_eq!(lines(output.path()).len(), count);
    }
}

/// Each score is that of the answer as the head values its last token, which evaluation measures as well.
#[test]
fn a_reward_model_scores_both_answers() {
    let output = TempDir::new().unwrap();
    let values =
        [("do_train", "false"), ("stage", "rm"), ("dataset", "dpo"), ("per_device_eval_batch_size", "3")];
    let extra = "do_predict: true\nmax_samples: 7\nfinetuning_type: lora\n";
    let reported = predict(&changed(output.path(), extra, &values)).unwrap();
    let lines = lines(output.path());
    let scores = |name: &str| lines.iter().map(|line| line[name].as_f64().unwrap()).collect::<Vec<_>>();
    let (chosen, rejected) = (scores("chosen"), scores("rejected"));
    assert_eq!(chosen.len(), 7);
    for score in chosen.iter().chain(&rejected) {
        assert!((score * 100.0 - (score * 100.0).round()).abs() < 1e-9, "{score}");
    }
    let results = json(&output.path().join("predict_results.json"));
    assert_eq!(results["predict_accuracy"].as_f64(), reported[0].get("eval_accuracy"));

    let output = TempDir::new().unwrap();
    let values =
        [&values[..], &[("do_predict", "false"), ("do_eval", "true"), ("eval_dataset", "dpo")]].concat();
    let evaluated = changed(output.path(), extra, &values);
    let same = predict(&Recipe { dataset: Vec::new(), ..evaluated }).unwrap();
    for name in ["eval_loss", "eval_accuracy"] {
        let (one, other) = (reported[0].get(name).unwrap(), same[0].get(name).unwrap());
        assert!((one - other).abs() < 1e-12, "{name}: {one}, {other}");
    }
}

#[test]
fn a_prompt_without_room_for_an_answer_is_named() {
    let output = TempDir::new().unwrap();
    let values = [("do_train", "false"), ("dataset", "long"), ("cutoff_len", "100000")];
    let data = TempDir::new().unwrap();
    let row = serde_json::json!([{"instruction": "a b c d e f ".repeat(4000), "output": "x"}]);
    fs::write(data.path().join("long.json"), row.to_string()).unwrap();
    fs::write(data.path().join("dataset_info.json"), r#"{"long": {"file_name": "long.json"}}"#).unwrap();
    let recipe = changed(output.path(), &format!("{GENERATING}do_predict: true\n"), &values);
    let recipe = Recipe { dataset_dir: data.path().display().to_string(), ..recipe };
    let error = predict(&recipe).unwrap_err().to_string();
    assert!(error.contains("cutoff_len") && error.contains("example 1"), "{error}");
}
