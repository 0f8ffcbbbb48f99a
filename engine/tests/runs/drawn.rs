//! Stages that train on answers of their own: who scores them, and that scores rise.

use std::path::Path;
use std::sync::Arc;

use engine::job;
use engine::observer::Observer;
use recipe::{EventBody, Recipe};
use tempfile::TempDir;

use super::{changed, recipe, run};

const LORA: &str = "finetuning_type: lora\n";

/// An adapter with a value head scores alike beside the model that trains, and merged into a model of its own.
#[test]
fn a_reward_model_scores_wherever_it_is() {
    let reward = TempDir::new().unwrap();
    run(&changed(reward.path(), LORA, &[("stage", "rm"), ("dataset", "dpo"), ("max_steps", "4")]), None)
        .unwrap();
    let adapter = reward.path().display().to_string();
    let base = recipe(reward.path(), LORA).model_name_or_path;
    let scored = |stage: &str, values: &[(&str, &str)]| {
        let output = TempDir::new().unwrap();
        let values = [&[("stage", stage), ("max_new_tokens", "5"), ("max_steps", "2")], values].concat();
        let (_, points) = run(&changed(output.path(), LORA, &values), None).unwrap();
        let of = |name: &str| points[0].metrics.get(name).unwrap();
        (of("reward"), of("rewards/model"), points)
    };
    for stage in ["ppo", "grpo"] {
        let (beside, by_model, points) = scored(stage, &[("reward_model", &adapter)]);
        assert!(beside == by_model && beside != 0.0, "{beside} {by_model}");
        let own =
            [("reward_model", &*base), ("reward_model_type", "full"), ("reward_model_adapters", &*adapter)];
        let (merged, ..) = scored(stage, &own);
        assert!((merged - beside).abs() < 1e-4 * beside.abs().max(0.1), "{stage}: {merged} != {beside}");
        let rules = [
            ("reward_model", &*adapter),
            ("reward_model_weight", "0"),
            ("reward_rules", "[{type: length, min: 5, weight: 2}]"),
        ];
        let (total, _, ruled) = scored(stage, &rules);
        let length = ruled[0].metrics.get("rewards/length").unwrap();
        assert!((total - 2.0 * length).abs() < 1e-9, "{stage}: {total} != 2 · {length}");
        for name in ["response_length", "response_clipped", "policy/entropy"] {
            assert!(points[0].metrics.get(name).is_some_and(|value| value >= 0.0), "{stage} {name}");
        }
    }
}

#[test]
fn what_cannot_score_is_refused_by_name() {
    let output = TempDir::new().unwrap();
    let values = |name: &str, kind: &str| {
        let values =
            [("stage", "grpo"), ("reward_model", name), ("reward_model_type", kind), ("max_steps", "1")];
        run(&changed(output.path(), LORA, &values), None).unwrap_err().to_string()
    };
    let base = recipe(output.path(), LORA).model_name_or_path;
    assert!(values(&base, "full").contains("has no value_head.safetensors"), "{}", values(&base, "full"));
    let broken = [("stage", "ppo"), ("reward_rules", "[{type: regex, pattern: '(a'}]")];
    let refused = run(&changed(output.path(), LORA, &broken), None).unwrap_err().to_string();
    assert!(refused.starts_with("reward_rules: `(a` is no regular expression"), "{refused}");
}

/// Answers are shown with their scores.
#[test]
fn the_newest_answers_are_told() {
    let output = TempDir::new().unwrap();
    let values = [
        ("stage", "grpo"),
        ("reward_rules", "[{type: length, max: 3}]"),
        ("max_new_tokens", "5"),
        ("max_steps", "1"),
    ];
    let mut said = Vec::new();
    let mut sink = |event| {
        if let EventBody::Log { message, .. } = event {
            said.push(message);
        }
    };
    job::run(&changed(output.path(), LORA, &values), &mut Observer::new(&mut sink, Arc::default())).unwrap();
    let shown: Vec<&String> = said.iter().filter(|line| line.starts_with("An answer that scored")).collect();
    assert!(matches!(shown[..], [_] | [_, _]), "{said:?}");
}

/// The bundled model with a rule that wants short answers.
fn bundled(stage: &str, seed: u64, steps: u64, output: &Path) -> Recipe {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = match stage {
        "ppo" => "per_device_train_batch_size: 8\nppo_buffer_size: 2\nppo_kl_coef: 0.02\n",
        _ => "per_device_train_batch_size: 2\nnum_generations: 8\ngrpo_beta: 0.02\n",
    };
    let text = format!(
        "model_name_or_path: {root}/models/wick\ndataset_dir: {root}/data\ndataset: identity\ntemplate: chatml\n\
         stage: {stage}\ndo_train: true\nfinetuning_type: lora\nlora_rank: 8\ncutoff_len: 64\nmax_new_tokens: 32\n\
         temperature: 1.0\ntop_p: 1.0\ntop_k: 0\nlearning_rate: 1.0e-3\nlr_scheduler_type: constant\n\
         reward_rules: [{{type: length, max: 8}}]\nlogging_steps: 1\nsave_strategy: 'no'\nmax_steps: {steps}\n\
         seed: {seed}\noutput_dir: {output}\n{own}",
        root = root.display(),
        output = output.display(),
    );
    Recipe::from_yaml(&text).unwrap()
}

/// Of the first and the last ten steps: mean reward, its deviation among those steps, and the largest distance from the
/// reference.
fn risen(stage: &str, seed: u64, steps: u64) -> (f64, f64, f64, f64) {
    let output = TempDir::new().unwrap();
    let (_, points) = run(&bundled(stage, seed, steps, output.path()), None).unwrap();
    let of = |name: &str| points.iter().map(|point| point.metrics.get(name).unwrap()).collect::<Vec<_>>();
    let rewards = of("reward");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (&rewards[..10], &rewards[rewards.len() - 10..]);
    let start = mean(first);
    let spread = (first.iter().map(|x| (x - start).powi(2)).sum::<f64>() / 9.0).sqrt();
    // PPO's is of a whole answer, GRPO's of a token.
    let distance = of(if stage == "ppo" { "objective/kl" } else { "kl" });
    (start, mean(last), spread, distance.into_iter().fold(0.0, f64::max))
}

#[test]
fn a_reward_that_a_rule_gives_rises() {
    for (stage, steps) in [("ppo", 30), ("grpo", 60)] {
        let (start, end, spread, _) = risen(stage, 1, steps);
        assert!(end > start + 2.0 * spread, "{stage}: from {start} to {end}, deviation {spread}");
    }
}

/// Takes minutes: `cargo test -p engine --test runs -- --ignored --nocapture with_every_seed`.
#[test]
#[ignore = "a measurement"]
fn rewards_rise_with_every_seed() {
    for stage in ["ppo", "grpo"] {
        for seed in 1..=3 {
            let (start, end, spread, distance) = risen(stage, seed, 60);
            println!(
                "{stage} seed {seed}: {start:.4} -> {end:.4}, deviation {spread:.4}, largest KL {distance:.3}"
            );
            assert!(end > start + 2.0 * spread, "{stage} {seed}");
            // Five times what PPO steers for; a token's share of it for GRPO.
            assert!(distance < if stage == "ppo" { 30.0 } else { 5.0 }, "{stage} {seed}: {distance}");
        }
    }
}
