//! The estimate beside what runs were measured to take.

use super::*;
use crate::args::{FinetuningType, Optim};

/// SmolLM2-135M.
fn smollm2() -> ModelShape {
    let (hidden, inner, q, kv) = (576, 1536, 576, 192);
    let block = [
        ("q_proj", hidden, q),
        ("k_proj", hidden, kv),
        ("v_proj", hidden, kv),
        ("o_proj", q, hidden),
        ("gate_proj", hidden, inner),
        ("up_proj", hidden, inner),
        ("down_proj", inner, hidden),
    ];
    let linears =
        (0..30).flat_map(|_| block).map(|(name, inputs, outputs)| (name.to_owned(), inputs, outputs));
    ModelShape {
        vocab: 49152,
        hidden,
        layers: 30,
        parameters: 134_515_008,
        activation_floats: 30 * 5769,
        cached_floats: 30 * 2 * kv,
        linears: linears.collect(),
        ..ModelShape::default()
    }
}

const SCARCE: u64 = 1 << 30;
const PLENTY: u64 = 64 << 30;

fn of(recipe: &Recipe, free: u64) -> MemoryEstimate {
    estimate(recipe, &smollm2(), Machine { free, threads: 2 })
}

fn lora() -> Recipe {
    Recipe { per_device_train_batch_size: 2, cutoff_len: 256, ..Recipe::default() }
}

#[test]
fn counts_what_is_trained() {
    assert_eq!(smollm2().trained(&Recipe::default()).0, 2_442_240);
    let some = Recipe { lora_target: vec!["q_proj".to_owned(), "v_proj".to_owned()], ..Recipe::default() };
    assert_eq!(smollm2().trained(&some).0, 8 * 30 * (1152 + 768));
    let dora = Recipe { use_dora: true, ..some };
    assert_eq!(smollm2().trained(&dora).0, 8 * 30 * (1152 + 768) + 30 * (576 + 192));
}

#[test]
fn counts_the_entries_of_rotations() {
    let oft = |recipe: Recipe| Recipe {
        finetuning_type: FinetuningType::Oft,
        oft_target: vec!["q_proj".to_owned()],
        ..recipe
    };
    assert_eq!(smollm2().trained(&oft(Recipe::default())).0, 30 * 18 * 496);
    let four = Recipe { oft_rank: 4, oft_block_size: 0, ..Recipe::default() };
    assert_eq!(smollm2().trained(&oft(four)).0, 30 * 4 * (144 * 143 / 2));
}

/// Peaks of `cargo xtask bench memory` on two threads, in MiB.
#[test]
fn comes_near_what_runs_take() {
    let full = Recipe { finetuning_type: FinetuningType::Full, ..lora() };
    let half = Recipe { bf16: true, cutoff_len: 512, ..lora() };
    let pairs = Recipe { stage: Stage::Dpo, ..lora() };
    for (recipe, measured) in [
        (&lora(), 1166),
        (&Recipe { cutoff_len: 1024, ..lora() }, 2486),
        (&half, 1448),
        (&full, 2510),
        (&Recipe { optim: Optim::Sgd, ..full.clone() }, 1646),
        (&pairs, 1618),
        (&Recipe { stage: Stage::Dpo, ..full.clone() }, 3390),
        (&Recipe { stage: Stage::Rm, ..lora() }, 1448),
    ] {
        let total = of(recipe, PLENTY).total() as f64 / f64::from(1 << 20);
        let ratio = total / f64::from(measured);
        assert!((0.85..1.15).contains(&ratio), "{total} MiB, {ratio}: {recipe:?}");
    }
}

/// As `comes_near_what_runs_take` runs: what is scarce is computed again.
#[test]
fn what_is_scarce_is_computed_again() {
    let longer = Recipe { cutoff_len: 1024, ..lora() };
    let kept = Recipe { disable_gradient_checkpointing: true, ..longer.clone() };
    let activations = |recipe: &Recipe, free| of(recipe, free).activations;
    assert!(5 * activations(&longer, SCARCE) < activations(&longer, PLENTY));
    assert_eq!(activations(&kept, SCARCE), activations(&longer, PLENTY));
}

/// Parts of a batch are worked on by as many threads as there are, each with the activations of one.
#[test]
fn threads_count_as_far_as_there_are_parts() {
    let four = Recipe { per_device_train_batch_size: 4, ..lora() };
    let with = |recipe: &Recipe, threads| {
        estimate(recipe, &smollm2(), Machine { free: PLENTY, threads }).activations
    };
    assert_eq!(with(&four, 2), 2 * with(&four, 1));
    assert_eq!(with(&four, 64), 4 * with(&four, 1));
    let full = Recipe { finetuning_type: FinetuningType::Full, ..four };
    assert_eq!(with(&full, 64), with(&full, 1), "its gradients would be held by each");
}

#[test]
fn a_typical_model_has_about_the_parameters_it_is_made_for() {
    for billions in [1, 3, 8, 14, 32, 70] {
        let shape = ModelShape::typical(billions * 1_000_000_000);
        let tables = 2 * shape.vocab * shape.hidden;
        let all = (shape.layers * shape.block() + tables) as f64 / 1e9;
        assert!((0.8..1.6).contains(&(all / billions as f64)), "{all} of {billions}: {}", shape.hidden);
    }
}

#[test]
fn answers_and_the_models_that_judge_them_count() {
    let grpo = Recipe {
        stage: Stage::Grpo,
        num_generations: 4,
        max_new_tokens: 100,
        disable_gradient_checkpointing: true,
        ..lora()
    };
    let of = |recipe: &Recipe| of(recipe, PLENTY);
    let as_long = Recipe {
        stage: Stage::Sft,
        per_device_train_batch_size: 2 * 4,
        cutoff_len: 256 + 100,
        ..grpo.clone()
    };
    assert_eq!(of(&grpo).activations, of(&as_long).activations);
    assert!(of(&grpo).logits < of(&as_long).logits, "prompts have no labels");
    let scored = Recipe {
        reward_model: Some("reward".to_owned()),
        reward_model_type: RewardModelType::Full,
        ..grpo.clone()
    };
    assert!(of(&scored).weights.abs_diff(2 * of(&grpo).weights) <= 1);
}

#[test]
fn every_saving_saves() {
    let total = |recipe: &Recipe| of(recipe, SCARCE).total();
    let full = Recipe { finetuning_type: FinetuningType::Full, ..lora() };
    let kept = Recipe { disable_gradient_checkpointing: true, ..lora() };
    let half = Recipe { bf16: true, ..lora() };
    assert!(total(&lora()) < total(&kept));
    assert!(total(&half) < total(&lora()));
    assert!(total(&lora()) < total(&full));
    let badam = Recipe { use_badam: true, ..full.clone() };
    let mini = Recipe { use_adam_mini: true, ..full.clone() };
    let sgd = Recipe { optim: Optim::Sgd, ..full.clone() };
    let eight = Recipe { optim: Optim::Adamw8bit, ..full.clone() };
    let galore = Recipe { use_galore: true, ..full.clone() };
    assert!(total(&eight) < total(&mini) && total(&galore) < total(&full));
    assert!(total(&badam) < total(&sgd) && total(&sgd) < total(&mini) && total(&mini) < total(&full));
}
