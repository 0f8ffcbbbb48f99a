//! How much memory a training run takes at its peak, roughly, before it is started.
//!
//! ```text
//! peak = weights + adapters + trained parameters × (gradient + 2 moments) + activations + logits + program
//! ```
//! The form shows it, so that a run that cannot fit is seen before launch. `cargo xtask bench memory` compares it with what
//! runs take.

mod division;
mod shape;

pub use division::{Division, activation_budget, logit_rows};
pub use shape::ModelShape;

use serde::{Deserialize, Serialize};

use crate::args::{Recipe, Records, RewardModelType, Stage};

/// Bytes a run takes at its peak, part by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// All parameters of all models, in the type they are held in.
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
    /// The process itself.
    pub program: u64,
}

impl MemoryEstimate {
    /// Bytes of all parts together.
    pub fn total(&self) -> u64 {
        self.parts().into_iter().fold(0, u64::saturating_add)
    }

    /// All parts, in the order in which a run comes to need them, and what it is itself.
    pub fn parts(&self) -> [u64; 7] {
        [
            self.weights,
            self.adapters,
            self.gradients,
            self.optimizer,
            self.activations,
            self.logits,
            self.program,
        ]
    }
}

/// What a run has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of free memory.
    pub free: u64,
    /// Threads that compute.
    pub threads: u64,
}

/// What the program takes by itself: its code as far as it runs, its libraries, and what each thread works in.
const PROGRAM: u64 = 52 << 20;
const OF_THREAD: u64 = 2 << 20;
/// Bytes of a tokenizer in memory for each of its file.
const TOKENIZER: u64 = 6;
/// Blocks of unlike sizes that come and go leave gaps: of what lives for a step a fifth, of what lives as long as the
/// run a fiftieth.
const GAPS: [u64; 2] = [5, 50];
/// Answers that are drawn at the same time, at most.
const AT_ONCE: u64 = 64;

fn with_gaps(bytes: u64, share: u64) -> u64 {
    bytes.saturating_add(bytes / share)
}

/// Estimates the peak memory of a run.
///
/// * weights: 4 bytes a parameter that trains, with `pure_bf16` 2, as its optimizer's state, of frozen ones 2 with `bf16`/`pure_bf16`, or as they are quantised; the same
///   again for a reference model of its own, and for a reward model, which is taken to be as large.
/// * adapters, gradients and optimizer: the adapter's own weights, a gradient of each trained parameter in each part of a
///   batch, and what the optimizer remembers of it (of AdamW two moments), 4 bytes each.
/// * activations: f32 of the parts of a batch that threads work on at a time, from the first block that trains on, and of
///   one block more what its backward pass makes. Where gradient checkpointing is allowed and they would take too much of
///   what is free, every block keeps its input alone, and one block at a time the rest.
/// * logits: of a block of rows of each of those parts at a time, and with `bf16` rounded once more.
/// * program: the process itself, its tokenizer, and for each thread what it works in.
///
/// Tokens are `per_device_train_batch_size × cutoff_len`, of preferences twice as many, of answers that the model writes
/// itself with `max_new_tokens` for each: the worst case, since nothing is padded.
pub fn estimate(recipe: &Recipe, shape: &ModelShape, machine: Machine) -> MemoryEstimate {
    let (trained, added) = shape.trained(recipe);
    let adapters = 4 * added;
    let weights = weights(recipe, shape, trained - added);
    let program = PROGRAM + TOKENIZER * shape.tokenizer + OF_THREAD * machine.threads;
    let held = weights.saturating_add(adapters).saturating_add(program);
    let batch = Batch::of(recipe, shape, trained);
    let state = if recipe.trains_narrow() && !recipe.optim.is_8bit() { 2 } else { 4 };
    let (gradients, remembered) = shape.optimizer_floats(recipe, trained);
    let live = batch.live(machine.threads);
    let kept = if recipe.disable_gradient_checkpointing
        || batch.tokens.saturating_mul(4 * shape.activation_floats)
            <= activation_budget(machine.free.saturating_sub(held))
    {
        shape.recorded(recipe) + shape.adapter_floats(recipe) + shape.floats_of_block()
    } else {
        shape.layers * shape.hidden + 2 * shape.floats_of_block()
    };
    // Every second layer gets an eighth of the tokens.
    let kept = if recipe.mixture_of_depths.is_some() { kept * 9 / 16 } else { kept };
    let activations = with_gaps(live.saturating_mul(4 * kept), GAPS[0]);
    MemoryEstimate {
        weights: with_gaps(weights, GAPS[1]),
        adapters,
        gradients: with_gaps(4 * gradients * batch.parts, GAPS[1]),
        optimizer: with_gaps(state * remembered, GAPS[1]),
        activations: activations.max(batch.drawing(recipe, shape)),
        logits: batch.logits(recipe, shape, machine.threads),
        program,
    }
}

/// Bytes of the weights of all models, of the trained one so many of which train.
fn weights(recipe: &Recipe, shape: &ModelShape, trained: u64) -> u64 {
    let width = if recipe.uses_bf16() { 2 } else { 4 };
    let frozen = shape.quantised.filter(|_| recipe.trains_adapter()).unwrap_or(width * shape.parameters);
    let narrow = if recipe.trains_narrow() { 2 } else { 4 };
    let own = if trained > 0 { narrow * trained + width * (shape.parameters - trained) } else { frozen };
    let is_shared = recipe.trains_adapter() && recipe.ref_model.is_none() && !recipe.pissa_init;
    let has_reward_model = recipe.trains_on_answers()
        && recipe.reward_model().is_some_and(|(kind, _)| kind == RewardModelType::Full);
    let others = u64::from(recipe.has_reference() && !is_shared) + u64::from(has_reward_model);
    own.saturating_add(others.saturating_mul(frozen))
}

/// The largest batch of a run.
struct Batch {
    tokens: u64,
    sequences: u64,
    /// Parts that threads take side by side.
    parts: u64,
}

impl Batch {
    fn of(recipe: &Recipe, shape: &ModelShape, trained: u64) -> Batch {
        let examples = recipe.per_device_train_batch_size as u64;
        let (each, longest) = match recipe.stage.records() {
            Records::Preferences => (2, recipe.cutoff_len),
            Records::Text | Records::Answers | Records::Judged => (1, recipe.cutoff_len),
            Records::Prompts => {
                (recipe.answers_per_prompt() as u64, recipe.cutoff_len.saturating_add(recipe.max_new_tokens))
            }
        };
        let sequences = each.saturating_mul(examples);
        let tokens = sequences.saturating_mul(longest as u64);
        let division = Division {
            tokens: tokens as usize,
            sequences: sequences as usize,
            block: shape.block() as usize,
            trainable: trained as usize,
            activation_floats: shape.activation_floats as usize,
        };
        // What belongs together stays so: pairs, and what PPO clips or a reward model compares as a whole.
        let wholes = match recipe.stage {
            Stage::Rm | Stage::Ppo => 1,
            Stage::Grpo => sequences,
            _ => examples,
        };
        Batch { tokens, sequences, parts: (division.parts() as u64).min(wholes).max(1) }
    }

    /// Tokens whose activations are there at a time.
    fn live(&self, threads: u64) -> u64 {
        (self.tokens / self.parts).saturating_mul(self.parts.min(threads.max(1)))
    }

    fn logits(&self, recipe: &Recipe, shape: &ModelShape, threads: u64) -> u64 {
        let labels = match recipe.stage {
            // Values stand in their place.
            Stage::Rm => return 0,
            Stage::Ppo | Stage::Grpo => self.sequences.saturating_mul(recipe.max_new_tokens as u64),
            _ => self.tokens,
        };
        let rows = logit_rows((labels / self.parts) as usize, shape.vocab as usize) as u64;
        let copies = 1 + u64::from(shape.keeps_logits) + u64::from(recipe.use_asft_loss);
        let floats = rows.saturating_mul(shape.vocab).saturating_mul(self.parts.min(threads.max(1)));
        floats.saturating_mul(4 * copies + if recipe.uses_bf16() { 2 } else { 0 })
    }

    /// Keys and values of answers while they are drawn.
    fn drawing(&self, recipe: &Recipe, shape: &ModelShape) -> u64 {
        if !recipe.trains_on_answers() {
            return 0;
        }
        let all = self.sequences.saturating_mul(recipe.batches_per_step() as u64).min(AT_ONCE);
        let tokens = all.saturating_mul(self.tokens / self.sequences.max(1));
        tokens.saturating_mul(4 * shape.cached_floats)
    }
}

#[cfg(test)]
mod tests;
