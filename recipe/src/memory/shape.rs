//! What of a model decides how much memory its training takes, and what a recipe trains of it.

use crate::args::{BadamMode, FinetuningType, Optim, Recipe};
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
    /// Floats of keys and values that generation keeps of a token.
    pub cached_floats: u64,
    /// Whether logits are kept beside their gradient: those of a cap, or of rows of length one.
    pub keeps_logits: bool,
    /// Last name, inputs and outputs of every linear layer but the output head.
    pub linears: Vec<(String, u64, u64)>,
    /// Bytes of weights that are stored quantised, and stay so where they are frozen.
    pub quantised: Option<u64>,
    /// Bytes of the tokenizer's file.
    pub tokenizer: u64,
}

/// Tensors as large as a parameter that a rule makes on the way which cannot take it in pieces.
const WORKED_ON: u64 = 3;

impl ModelShape {
    /// A decoder of so many parameters as most are: blocks of 12·hidden² weights, hidden = 128·layers, a quarter of the
    /// heads for keys and values (Llama, Mistral and Qwen of 1B to 70B are within a fifth of it).
    pub fn typical(parameters: u64) -> ModelShape {
        const PER_LAYER: u64 = 128;
        const VOCAB: u64 = 128_000;
        let layers = ((parameters as f64 / (12 * PER_LAYER * PER_LAYER) as f64).cbrt().round() as u64).max(2);
        let hidden = PER_LAYER * layers;
        let (inner, kv) = (3 * hidden, hidden / 4);
        let block = [
            ("q_proj", hidden, hidden),
            ("k_proj", hidden, kv),
            ("v_proj", hidden, kv),
            ("o_proj", hidden, hidden),
            ("gate_proj", hidden, inner),
            ("up_proj", hidden, inner),
            ("down_proj", inner, hidden),
        ];
        let all = (0..layers).flat_map(|_| block);
        ModelShape {
            vocab: VOCAB,
            hidden,
            layers,
            parameters,
            activation_floats: layers * (4 * hidden + 2 * kv + 2 * inner),
            cached_floats: layers * 2 * kv,
            linears: all.map(|(name, inputs, outputs)| (name.to_owned(), inputs, outputs)).collect(),
            tokenizer: 64 * VOCAB,
            ..ModelShape::default()
        }
    }

    /// Weights of a block's linear layers.
    pub(super) fn block(&self) -> u64 {
        self.linears.iter().map(|(_, inputs, outputs)| inputs * outputs).sum::<u64>() / self.layers.max(1)
    }

    /// Floats per token that a block keeps for the backward pass.
    pub(super) fn floats_of_block(&self) -> u64 {
        self.activation_floats / self.layers.max(1)
    }

    /// Floats per token that the forward pass keeps: of freeze tuning from the first block that trains on.
    pub(super) fn recorded(&self, recipe: &Recipe) -> u64 {
        let last = u64::try_from(recipe.freeze_trainable_layers).unwrap_or(self.layers);
        let below = recipe.use_llama_pro
            || recipe.freeze_extra_modules.iter().any(|name| name != "lm_head" && name != "norm");
        if recipe.finetuning_type == FinetuningType::Freeze && !below {
            self.floats_of_block() * last.min(self.layers)
        } else {
            self.activation_floats
        }
    }

    /// Parameters that train, and those of them that are added to the model's own.
    pub(super) fn trained(&self, recipe: &Recipe) -> (u64, u64) {
        let added = match recipe.finetuning_type {
            FinetuningType::Lora => self.lora_parameters(recipe),
            FinetuningType::Oft => self.oft_parameters(recipe),
            FinetuningType::Freeze | FinetuningType::Full => return (self.whole_parameters(recipe), 0),
        };
        let added = added + self.additional_parameters(recipe);
        (added, added)
    }

    /// Linear layers that get a LoRA.
    fn lora_targets<'a>(&'a self, recipe: &'a Recipe) -> impl Iterator<Item = &'a (String, u64, u64)> {
        let targeted = |module: &str| {
            recipe.targets_all() || recipe.lora_target.iter().any(|name| module_matches(module, name))
        };
        self.linears.iter().filter(move |(name, ..)| targeted(name))
    }

    /// Floats per token that adapters keep for the backward pass: the products with the first matrices of LoRAs.
    pub(super) fn adapter_floats(&self, recipe: &Recipe) -> u64 {
        if recipe.finetuning_type == FinetuningType::Lora {
            recipe.lora_rank as u64 * self.lora_targets(recipe).count() as u64
        } else {
            0
        }
    }

    /// Parameters that a recipe adds as low-rank matrices: rank × (inputs + outputs) per target, and a magnitude for each
    /// output with DoRA.
    fn lora_parameters(&self, recipe: &Recipe) -> u64 {
        let rank = recipe.lora_rank as u64;
        let magnitudes = |outputs: u64| if recipe.use_dora { outputs } else { 0 };
        let sides = self.lora_targets(recipe);
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
    pub(super) fn optimizer_floats(&self, recipe: &Recipe, trained: u64) -> (u64, u64) {
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
        if recipe.use_adam_mini {
            return (trained, trained + WORKED_ON * self.largest(recipe));
        }
        if recipe.use_muon {
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
        if recipe.optim.is_adafactor() {
            return (trained, WORKED_ON * self.largest(recipe));
        }
        if !recipe.optim.is_8bit() {
            return (trained, trained * means);
        }
        // Those of the token table stay whole; of the others a byte each.
        let whole = if trained == self.parameters { self.vocab * self.hidden } else { 0 };
        (trained, means * (whole + (trained - whole) / 4))
    }

    /// Numbers of the largest parameter that trains.
    fn largest(&self, recipe: &Recipe) -> u64 {
        let linear = self.linears.iter().map(|(_, inputs, outputs)| inputs * outputs).max().unwrap_or(0);
        match recipe.finetuning_type {
            FinetuningType::Full => linear.max(self.vocab * self.hidden),
            FinetuningType::Freeze => linear,
            FinetuningType::Lora | FinetuningType::Oft => 0,
        }
    }

    /// Parameters trained in full beside the adapter (`additional_target`).
    fn additional_parameters(&self, recipe: &Recipe) -> u64 {
        let embeddings = ["embed_tokens", "lm_head"];
        let copies =
            recipe.additional_target.iter().filter(|name| embeddings.contains(&name.as_str())).count();
        copies as u64 * self.vocab * self.hidden
    }
}
