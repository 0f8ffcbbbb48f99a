//! How much memory a training run takes at its peak, roughly, before it is started.
//!
//! ```text
//! peak = weights + trained parameters × (gradient + 2 moments) + adapter + activations + logits
//! ```
//! The form shows it, so that a run that cannot fit is seen before launch. It counts what grows with
//! model and recipe; the process itself adds some tens of MB.

use crate::args::{FinetuningType, Recipe};

/// The shape of a decoder, as its config.json states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShape {
    pub vocab_size: u64,
    pub hidden_size: u64,
    pub intermediate_size: u64,
    pub num_layers: u64,
    pub num_heads: u64,
    pub num_kv_heads: u64,
    pub head_dim: u64,
    /// Whether input and output embeddings are one matrix.
    pub tied_embeddings: bool,
}

/// Bytes a run takes at its peak, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// All parameters, in the type they are held in.
    pub weights: u64,
    /// Gradients and AdamW's two moments of what is trained, and adapters' own weights.
    pub training: u64,
    /// What forward keeps for backward.
    pub activations: u64,
    /// The logits that exist at one time.
    pub logits: u64,
}

impl MemoryEstimate {
    pub fn total(&self) -> u64 {
        self.weights + self.training + self.activations + self.logits
    }
}

/// Rows of logits that the chunked cross-entropy holds at a time.
const LOGIT_ROWS: u64 = 256;

impl ModelShape {
    /// (inputs, outputs) of the seven linear layers of a block, by module name.
    fn linears(&self) -> [(&'static str, u64, u64); 7] {
        let (hidden, inner) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim);
        [
            ("q_proj", hidden, q),
            ("k_proj", hidden, kv),
            ("v_proj", hidden, kv),
            ("o_proj", q, hidden),
            ("gate_proj", hidden, inner),
            ("up_proj", hidden, inner),
            ("down_proj", inner, hidden),
        ]
    }

    /// Parameters of the whole model (biases left out).
    pub fn parameters(&self) -> u64 {
        let block: u64 = self.linears().iter().map(|(_, inputs, outputs)| inputs * outputs).sum();
        let embeddings = self.vocab_size * self.hidden_size * if self.tied_embeddings { 1 } else { 2 };
        self.num_layers * (block + 2 * self.hidden_size) + embeddings + self.hidden_size
    }

    /// Parameters that a recipe adds as low-rank matrices: rank × (inputs + outputs) per target.
    pub fn lora_parameters(&self, recipe: &Recipe) -> u64 {
        let targeted =
            |name: &str| recipe.targets_all() || recipe.lora_target.iter().any(|target| target == name);
        let sides: u64 = self
            .linears()
            .iter()
            .filter(|(name, ..)| targeted(name))
            .map(|(_, inputs, outputs)| inputs + outputs)
            .sum();
        self.num_layers * recipe.lora_rank as u64 * sides
    }

    /// Parameters trained in full beside the adapter (`additional_target`).
    fn additional_parameters(&self, recipe: &Recipe) -> u64 {
        let embeddings = ["embed_tokens", "lm_head"];
        let copies =
            recipe.additional_target.iter().filter(|name| embeddings.contains(&name.as_str())).count();
        copies as u64 * self.vocab_size * self.hidden_size
    }
}

/// Estimates the peak memory of a run.
///
/// * weights: 4 bytes a parameter, 2 with `bf16`/`pure_bf16`. Full tuning with `bf16` trains a float32
///   master copy beside the bfloat16 weights.
/// * training: gradient and two moments of each trained parameter, 4 bytes each, and the adapter's own
///   weights.
/// * activations: per token and block, what backward needs of the block: its input, the two
///   normalised inputs, q, k, v, the attention's output, gate, up and their product. With gradient
///   checkpointing every block keeps its input alone, and one block at a time the rest.
/// * logits: of some hundred tokens at a time, and their gradient.
///
/// Tokens are `per_device_train_batch_size × cutoff_len`: the worst case, since nothing is padded.
pub fn estimate(recipe: &Recipe, shape: &ModelShape) -> MemoryEstimate {
    let half = recipe.bf16 || recipe.pure_bf16;
    let width = if half { 2 } else { 4 };
    let parameters = shape.parameters();
    let (trained, added) = match recipe.finetuning_type {
        FinetuningType::Full => (parameters, if half { parameters } else { 0 }),
        FinetuningType::Lora => {
            let added = shape.lora_parameters(recipe) + shape.additional_parameters(recipe);
            (added, added)
        }
    };

    let tokens = (recipe.per_device_train_batch_size * recipe.cutoff_len) as u64;
    let heads = (shape.num_heads * 2 + shape.num_kv_heads * 2) * shape.head_dim;
    let block = 4 * shape.hidden_size + heads + 3 * shape.intermediate_size;
    let kept = if recipe.disable_gradient_checkpointing {
        shape.num_layers * block
    } else {
        shape.num_layers * shape.hidden_size + block
    };

    let rows = LOGIT_ROWS.min(tokens);
    MemoryEstimate {
        weights: parameters * width,
        training: (trained * 3 + added) * 4,
        activations: tokens * kept * width,
        logits: 2 * rows * shape.vocab_size * 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOLLM2_135M: ModelShape = ModelShape {
        vocab_size: 49152,
        hidden_size: 576,
        intermediate_size: 1536,
        num_layers: 30,
        num_heads: 9,
        num_kv_heads: 3,
        head_dim: 64,
        tied_embeddings: true,
    };

    #[test]
    fn counts_parameters_as_the_model_has_them() {
        assert_eq!(SMOLLM2_135M.parameters(), 134_515_008);
        assert_eq!(SMOLLM2_135M.lora_parameters(&Recipe::default()), 2_442_240);
        let some =
            Recipe { lora_target: vec!["q_proj".to_owned(), "v_proj".to_owned()], ..Recipe::default() };
        assert_eq!(SMOLLM2_135M.lora_parameters(&some), 8 * 30 * (1152 + 768));
    }

    #[test]
    fn every_saving_saves() {
        let lora = Recipe { per_device_train_batch_size: 2, cutoff_len: 256, ..Recipe::default() };
        let total = |recipe: &Recipe| estimate(recipe, &SMOLLM2_135M).total();
        let full = Recipe { finetuning_type: FinetuningType::Full, ..lora.clone() };
        let kept = Recipe { disable_gradient_checkpointing: true, ..lora.clone() };
        let half = Recipe { bf16: true, ..lora.clone() };
        assert!(total(&lora) < total(&kept));
        assert!(total(&half) < total(&lora));
        assert!(total(&lora) < total(&full));
        // Full tuning in float32: the weights four times over.
        assert_eq!(estimate(&full, &SMOLLM2_135M).training, 3 * 4 * 134_515_008);
    }

    #[test]
    fn activations_grow_with_the_tokens_of_a_batch() {
        let one = Recipe { per_device_train_batch_size: 1, cutoff_len: 512, ..Recipe::default() };
        let four = Recipe { per_device_train_batch_size: 4, ..one.clone() };
        let activations = |recipe: &Recipe| estimate(recipe, &SMOLLM2_135M).activations;
        assert_eq!(activations(&four), 4 * activations(&one));
    }
}
