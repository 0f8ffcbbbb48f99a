//! How much memory a training run takes at its peak, roughly, before it is started.
//!
//! ```text
//! peak = weights + adapters + trained parameters × (gradient + 2 moments) + activations + logits
//! ```
//! The form shows it, so that a run that cannot fit is seen before launch. It counts what grows with
//! model and recipe; the process itself adds some tens of MB.

use serde::{Deserialize, Serialize};

use crate::args::{BadamMode, FinetuningType, MixtureOfDepths, Optim, Recipe, Records, RewardModelType};
use crate::modules::module_matches;
use crate::optimizer::LowRank;

/// What of a model decides how much memory its training takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelShape {
    /// Rows of the token table.
    pub vocab: u64,
    /// Width of the hidden states.
    pub hidden: u64,
    /// Blocks of the decoder.
    pub layers: u64,
    /// Parameters of the whole model.
    pub parameters: u64,
    /// Floats per token that a forward pass keeps for the backward one.
    pub activation_floats: u64,
    /// Last name, inputs and outputs of every linear layer but the output head.
    pub linears: Vec<(String, u64, u64)>,
}

/// Bytes a run takes at its peak, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// All parameters, in the type they are held in; with a float32 master copy where bfloat16 ones are trained.
    pub weights: u64,
    /// Adapters' own weights.
    pub adapters: u64,
    /// One gradient for each number that is trained.
    pub gradients: u64,
    /// What the optimizer remembers of what is trained.
    pub optimizer: u64,
    /// What forward keeps for backward.
    pub activations: u64,
    /// The logits that exist at one time.
    pub logits: u64,
}

impl MemoryEstimate {
    /// Bytes of all parts together.
    pub fn total(&self) -> u64 {
        self.parts().into_iter().fold(0, u64::saturating_add)
    }

    /// All parts, in the order in which a run comes to need them.
    pub fn parts(&self) -> [u64; 6] {
        [self.weights, self.adapters, self.gradients, self.optimizer, self.activations, self.logits]
    }
}

/// Floats of logits that the cross-entropy holds at a time, about; their gradient takes their place.
pub const LOGIT_FLOATS: u64 = 24 << 20;

/// Bytes of free memory that activations may fill before they are computed again instead of kept: a third.
pub fn activation_budget(free: u64) -> u64 {
    free / 3
}

impl ModelShape {
    /// Parameters that a recipe adds as low-rank matrices: rank × (inputs + outputs) per target, and a magnitude for each
    /// output with DoRA.
    fn lora_parameters(&self, recipe: &Recipe) -> u64 {
        let targeted = |module: &str| {
            recipe.targets_all() || recipe.lora_target.iter().any(|name| module_matches(module, name))
        };
        let sides = self.linears.iter().filter(|(name, ..)| targeted(name));
        let rank = recipe.lora_rank as u64;
        let magnitudes = |outputs: u64| if recipe.use_dora { outputs } else { 0 };
        sides.map(|(_, inputs, outputs)| rank * (inputs + outputs) + magnitudes(*outputs)).sum()
    }

    /// Parameters that a recipe adds as rotations: b·(b − 1)/2 for each block of b columns of a target's input.
    fn oft_parameters(&self, recipe: &Recipe) -> u64 {
        let targeted =
            |module: &str| recipe.oft_target.iter().any(|name| name == "all" || module_matches(module, name));
        let widths = self.linears.iter().filter(|(name, ..)| targeted(name)).map(|(_, inputs, _)| *inputs);
        let block = |width: u64| match recipe.oft_rank as u64 {
            0 => width.min(recipe.oft_block_size as u64),
            count => width / count,
        };
        widths.map(|width| width * block(width).saturating_sub(1) / 2).sum()
    }

    /// The model's own parameters that train; of freeze tuning those of its layers.
    fn whole_parameters(&self, recipe: &Recipe) -> u64 {
        if recipe.finetuning_type == FinetuningType::Full {
            return self.parameters;
        }
        let layers = self.layers.max(1);
        let in_layers = self.parameters.saturating_sub(self.vocab * self.hidden);
        in_layers / layers * recipe.freeze_trainable_layers.unsigned_abs().min(layers)
    }

    /// Floats of gradients, and floats that the optimizer remembers, for so many parameters that train.
    fn optimizer_floats(&self, recipe: &Recipe, trained: u64) -> (u64, u64) {
        if recipe.use_badam {
            return match recipe.badam_mode {
                // Of one layer at a time.
                BadamMode::Layer => {
                    let of_layer = trained.min(self.parameters / self.layers.max(1));
                    (of_layer, 2 * of_layer)
                }
                // Gradients of all, moments of a share.
                BadamMode::Ratio => (trained, (2.0 * recipe.badam_update_ratio * trained as f64) as u64),
            };
        }
        if recipe.use_adam_mini || recipe.use_muon {
            return (trained, trained);
        }
        if let Ok(Some(LowRank { rank, .. })) = recipe.low_rank() {
            // Both moments of the longer side and a projection of the shorter, instead of moments of whole matrices.
            let rank = rank as u64;
            let low = |inputs: u64, outputs: u64| rank * (2 * inputs.max(outputs) + inputs.min(outputs));
            let small: u64 = self.linears.iter().map(|(_, inputs, outputs)| low(*inputs, *outputs)).sum();
            let others = self.parameters
                - self.linears.iter().map(|(_, i, o)| i * o).sum::<u64>().min(self.parameters);
            return (trained, (small + 2 * others).min(2 * trained));
        }
        let means = match recipe.optim {
            Optim::Sgd | Optim::Adafactor | Optim::Lomo | Optim::AdaLomo => 0,
            Optim::Lion | Optim::Lion8bit | Optim::Adagrad | Optim::RmsProp | Optim::RmsProp8bit => 1,
            Optim::AdEmaMix | Optim::AdEmaMix8bit => 3,
            _ => 2,
        };
        (trained, if recipe.optim.is_8bit() { trained * means / 4 } else { trained * means })
    }

    /// Parameters trained in full beside the adapter (`additional_target`).
    fn additional_parameters(&self, recipe: &Recipe) -> u64 {
        let embeddings = ["embed_tokens", "lm_head"];
        let copies =
            recipe.additional_target.iter().filter(|name| embeddings.contains(&name.as_str())).count();
        copies as u64 * self.vocab * self.hidden
    }
}

/// Estimates the peak memory of a run on a machine with `free` bytes.
///
/// * weights: 4 bytes a parameter, 2 with `bf16`/`pure_bf16`; the same again for a reference model of its own, and for a
///   reward model, which is taken to be as large. Full tuning with `bf16` trains a float32 master copy beside the
///   bfloat16 weights.
/// * adapters, gradients and optimizer: the adapter's own weights, a gradient of each trained parameter, and what the
///   optimizer remembers of it (of AdamW two moments), 4 bytes each.
/// * activations: where gradient checkpointing is allowed and they would take too much of what is free, every
///   block keeps its input alone, and one block at a time the rest.
/// * logits: of a block of rows at a time.
///
/// Tokens are `per_device_train_batch_size × cutoff_len`, of preferences twice as many, of answers that the model writes
/// itself with `max_new_tokens` for each: the worst case, since nothing is padded.
pub fn estimate(recipe: &Recipe, shape: &ModelShape, free: u64) -> MemoryEstimate {
    let half = recipe.uses_bf16();
    let width = if half { 2 } else { 4 };
    let parameters = shape.parameters;
    let (trained, added, copied) = match recipe.finetuning_type {
        FinetuningType::Lora => {
            let added = shape.lora_parameters(recipe) + shape.additional_parameters(recipe);
            (added, added, 0)
        }
        FinetuningType::Oft => {
            let added = shape.oft_parameters(recipe) + shape.additional_parameters(recipe);
            (added, added, 0)
        }
        FinetuningType::Freeze | FinetuningType::Full => {
            let trained = shape.whole_parameters(recipe);
            (trained, 0, if half { trained } else { 0 })
        }
    };
    let is_shared = recipe.trains_adapter() && recipe.ref_model.is_none() && !recipe.pissa_init;
    let has_reward_model = recipe.trains_on_answers()
        && recipe.reward_model().is_some_and(|(kind, _)| kind == RewardModelType::Full);
    let models = 1 + u64::from(recipe.has_reference() && !is_shared) + u64::from(has_reward_model);
    let weights = models * parameters * width;

    let (sequences, longest) = match recipe.stage.records() {
        Records::Preferences => (2, recipe.cutoff_len),
        Records::Text | Records::Answers | Records::Judged => (1, recipe.cutoff_len),
        Records::Prompts => {
            (recipe.answers_per_prompt() as u64, recipe.cutoff_len.saturating_add(recipe.max_new_tokens))
        }
    };
    let tokens = (sequences * recipe.per_device_train_batch_size as u64).saturating_mul(longest as u64);
    let floats = match recipe.mixture_of_depths {
        // Every second layer gets an eighth of the tokens.
        Some(MixtureOfDepths::Convert) => shape.activation_floats * 9 / 16,
        _ => shape.activation_floats,
    };
    let whole = tokens.saturating_mul(floats);
    let budget = activation_budget(free.saturating_sub(weights));
    let kept = if recipe.disable_gradient_checkpointing || whole.saturating_mul(4) <= budget {
        whole
    } else {
        let layers = shape.layers.max(1);
        tokens.saturating_mul(layers * shape.hidden + shape.activation_floats / layers)
    };
    let (gradients, remembered) = shape.optimizer_floats(recipe, trained);
    MemoryEstimate {
        weights: weights + 4 * copied,
        adapters: 4 * added,
        gradients: 4 * gradients,
        optimizer: 4 * remembered,
        activations: kept.saturating_mul(width),
        logits: 4 * LOGIT_FLOATS.min(tokens.saturating_mul(shape.vocab)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{FinetuningType, Stage};

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
            linears: linears.collect(),
        }
    }

    const SCARCE: u64 = 1 << 30;
    const PLENTY: u64 = 64 << 30;

    fn lora() -> Recipe {
        Recipe { per_device_train_batch_size: 2, cutoff_len: 256, ..Recipe::default() }
    }

    #[test]
    fn counts_what_is_trained() {
        assert_eq!(smollm2().lora_parameters(&Recipe::default()), 2_442_240);
        let some =
            Recipe { lora_target: vec!["q_proj".to_owned(), "v_proj".to_owned()], ..Recipe::default() };
        assert_eq!(smollm2().lora_parameters(&some), 8 * 30 * (1152 + 768));
        let dora = Recipe { use_dora: true, ..some };
        assert_eq!(smollm2().lora_parameters(&dora), 8 * 30 * (1152 + 768) + 30 * (576 + 192));
    }

    #[test]
    fn counts_the_entries_of_rotations() {
        let oft = |recipe: Recipe| Recipe {
            finetuning_type: FinetuningType::Oft,
            oft_target: vec!["q_proj".to_owned()],
            ..recipe
        };
        assert_eq!(smollm2().oft_parameters(&oft(Recipe::default())), 30 * 18 * 496);
        let four = Recipe { oft_rank: 4, oft_block_size: 0, ..Recipe::default() };
        assert_eq!(smollm2().oft_parameters(&oft(four)), 30 * 4 * (144 * 143 / 2));
    }

    /// Peaks measured for 2 × 256 tokens in float32.
    #[test]
    fn comes_near_what_runs_take() {
        let full = Recipe { finetuning_type: FinetuningType::Full, ..lora() };
        let kept = Recipe { disable_gradient_checkpointing: true, ..lora() };
        for (recipe, free, low, high) in [
            (&lora(), SCARCE, 0.65, 0.85),
            (&lora(), PLENTY, 0.9, 1.2),
            (&kept, SCARCE, 0.9, 1.2),
            (&full, PLENTY, 2.0, 3.0),
        ] {
            let total = estimate(recipe, &smollm2(), free).total() as f64 / 1e9;
            assert!((low..high).contains(&total), "{total} GB: {recipe:?}");
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
        let of = |recipe: &Recipe| estimate(recipe, &smollm2(), PLENTY);
        assert_eq!(of(&grpo).activations, 2 * 4 * 356 * smollm2().activation_floats * 4);
        let scored = Recipe {
            reward_model: Some("reward".to_owned()),
            reward_model_type: RewardModelType::Full,
            ..grpo.clone()
        };
        assert_eq!(of(&scored).weights, 2 * of(&grpo).weights);
    }

    #[test]
    fn every_saving_saves() {
        let total = |recipe: &Recipe| estimate(recipe, &smollm2(), SCARCE).total();
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
        let depths = Recipe { mixture_of_depths: Some(MixtureOfDepths::Convert), ..kept.clone() };
        assert!(total(&depths) < total(&kept));
        let galore = Recipe { use_galore: true, ..full.clone() };
        assert!(total(&eight) < total(&mini) && total(&galore) < total(&full));
        assert!(total(&badam) < total(&sgd) && total(&sgd) < total(&mini) && total(&mini) < total(&full));
    }
}
