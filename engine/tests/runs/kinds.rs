//! Recipes of every kind run, with a small model and small data in the place of theirs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, JobKind, Outcome, Recipe, Stage};
use tempfile::TempDir;

use super::data;

fn kinds() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipe/tests/kinds");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The recipe as it stands, but for the model, its template, the data and their size.
fn small(path: &Path, output: &Path) -> Recipe {
    let recipe = Recipe::from_yaml(&fs::read_to_string(path).unwrap()).unwrap();
    let dataset = match recipe.stage {
        Stage::Pt => "pt_jsonl",
        Stage::Sft => "alpaca",
        _ => "dpo",
    };
    let named = |names: &[String]| if names.is_empty() { Vec::new() } else { vec![dataset.to_owned()] };
    Recipe {
        model_name_or_path: data().join("base").display().to_string(),
        dataset_dir: data().display().to_string(),
        dataset: named(&recipe.dataset),
        eval_dataset: named(&recipe.eval_dataset),
        template: Some("default".to_owned()),
        adapter_name_or_path: Vec::new(),
        tokenized_path: recipe.tokenized_path.as_ref().map(|_| output.join("tokens").display().to_string()),
        output_dir: output.join("out").display().to_string(),
        cutoff_len: 64,
        max_samples: Some(12),
        max_steps: 2,
        warmup_steps: recipe::Steps::Count(0),
        freeze_trainable_layers: 1,
        max_new_tokens: 4,
        ..recipe
    }
}

#[test]
fn every_kind_runs() {
    for path in kinds() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = TempDir::new().unwrap();
        let recipe = small(&path, folder.path());
        assert_eq!(recipe.validate(), [], "{name}");
        let (mut losses, mut evaluations) = (Vec::new(), 0);
        let take = |event| match event {
            EventBody::Point(point) => losses.extend(point.metrics.get("loss")),
            EventBody::Eval(_) => evaluations += 1,
            _ => {}
        };
        let summary = job::run(&recipe, &mut Observer::new(take, Arc::default()));
        let summary = summary.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(summary.outcome, Outcome::Finished, "{name}");
        let output = folder.path().join("out");
        if recipe.job() == JobKind::Predict {
            assert_eq!(evaluations, 1, "{name}");
            assert!(output.join("generated_predictions.jsonl").exists(), "{name}");
            continue;
        }
        let wanted = if recipe.logging_steps == recipe::Steps::Count(1) { 2 } else { 0 };
        assert_eq!(losses.len(), wanted, "{name}");
        assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0), "{name}: {losses:?}");
        let results = fs::read_to_string(output.join("train_results.json")).unwrap();
        assert!(results.contains("train_tokens_per_second"), "{name}: {results}");
        let weights = if recipe.trains_adapter() { "adapter_model.safetensors" } else { "model.safetensors" };
        assert!(output.join(weights).exists(), "{name}");
        assert_eq!(output.join("training_loss.svg").exists(), recipe.plot_loss, "{name}");
    }
}
