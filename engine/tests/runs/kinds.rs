//! Recipes of every kind run, with a small model and small data in the place of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, JobKind, Outcome, Recipe, RewardModelType, Stage};
use tempfile::TempDir;

use super::{changed, data, run};

/// A recipe of each kind, and further ones of `$CHANDLER_GOLDENS/recipes`, where `kinds.json` says which train.
fn kinds() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipe/tests/kinds");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    if let Some(goldens) = std::env::var_os("CHANDLER_GOLDENS") {
        let folder = Path::new(&goldens).join("recipes");
        let text = fs::read_to_string(folder.join("kinds.json")).unwrap();
        let named: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
        let wanted = ["train", "predict"].into_iter().flat_map(|kind| &named[kind]);
        found.extend(wanted.map(|name| folder.join(format!("{name}.yaml"))).filter(|path| is_trained(path)));
    }
    found
}

/// Whether it asks for no quantised training, which is refused by that key alone.
fn is_trained(path: &Path) -> bool {
    match Recipe::from_yaml(&fs::read_to_string(path).unwrap()) {
        Ok(_) => true,
        Err(problems) => {
            let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_deref()).collect();
            assert_eq!(keys, [Some("quantization_bit")], "{}", path.display());
            false
        }
    }
}

/// Reward models of each kind, by what their weights are called.
struct Rewards([(RewardModelType, TempDir); 2]);

impl Rewards {
    fn train() -> Rewards {
        let of = |kind, method| {
            let folder = TempDir::new().unwrap();
            let values =
                [("stage", "rm"), ("dataset", "dpo"), ("max_steps", "1"), ("finetuning_type", method)];
            let recipe = changed(folder.path(), "", &values);
            run(&recipe, None).unwrap();
            (kind, folder)
        };
        Rewards([of(RewardModelType::Lora, "lora"), of(RewardModelType::Full, "full")])
    }

    fn of(&self, kind: RewardModelType) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == kind);
        found.map(|(_, folder)| folder.path().display().to_string())
    }
}

/// The recipe as it stands, but for the model, its template, the data and their size.
fn small(path: &Path, rewards: &Rewards, output: &Path) -> Recipe {
    let recipe = Recipe::from_yaml(&fs::read_to_string(path).unwrap()).unwrap();
    let dataset = match recipe.stage {
        Stage::Pt => "pt_jsonl",
        Stage::Sft | Stage::Ppo | Stage::Grpo => "alpaca",
        Stage::Kto => "kto",
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
        ref_model: None,
        reward_model: recipe.reward_model.clone().and_then(|_| rewards.of(recipe.reward_model_type)),
        reward_model_adapters: Vec::new(),
        tokenized_path: recipe.tokenized_path.as_ref().map(|_| output.join("tokens").display().to_string()),
        output_dir: output.join("out").display().to_string(),
        // What is held out of a few texts makes a sequence, too.
        cutoff_len: if recipe.stage == Stage::Pt { 16 } else { 64 },
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
    let rewards = Rewards::train();
    for path in kinds() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let folder = TempDir::new().unwrap();
        let recipe = small(&path, &rewards, folder.path());
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
        // A curve wants points.
        assert_eq!(output.join("training_loss.svg").exists(), recipe.plot_loss && wanted > 0, "{name}");
    }
}
