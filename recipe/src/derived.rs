//! What follows from the arguments of a recipe: values left unset, and settings that depend on others.

use crate::args::{FinetuningType, LrScheduler, Recipe, Stage, Steps, Strategy};

impl Recipe {
    /// What the form of a new run starts from: LLaMA-Factory's board rather than its command line,
    /// with a point for every step.
    pub fn new_run() -> Recipe {
        Recipe {
            do_train: true,
            per_device_train_batch_size: 2,
            gradient_accumulation_steps: 8,
            lr_scheduler_type: LrScheduler::Cosine,
            logging_steps: Steps::Count(1),
            save_steps: Steps::Count(100),
            ..Recipe::default()
        }
    }

    /// Whether examples are joined into sequences of the cutoff length.
    pub fn packs(&self) -> bool {
        self.neat_packing || self.packing.unwrap_or(self.stage == Stage::Pt)
    }

    /// LoRA's alpha; twice the rank when unset.
    pub fn alpha(&self) -> usize {
        self.lora_alpha.unwrap_or(2 * self.lora_rank)
    }

    /// What multiplies LoRA's update: alpha / rank, or alpha / sqrt(rank) when rank-stabilised
    /// (Kalajdzievski 2023).
    pub fn lora_scale(&self) -> f64 {
        let rank = self.lora_rank as f64;
        self.alpha() as f64 / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Whether every linear layer but the output head gets low-rank matrices.
    pub fn targets_all(&self) -> bool {
        self.lora_target.iter().any(|name| name == "all")
    }

    pub fn is_lora(&self) -> bool {
        self.finetuning_type == FinetuningType::Lora
    }

    /// The limit on optimizer steps, if there is one.
    pub fn step_limit(&self) -> Option<u64> {
        u64::try_from(self.max_steps).ok().filter(|&steps| steps > 0)
    }

    /// Warm-up steps of a run of `total_steps`; a share is rounded up. `constant` knows no warm-up.
    pub fn warmup(&self, total_steps: u64) -> u64 {
        if self.lr_scheduler_type == LrScheduler::Constant {
            return 0;
        }
        match self.warmup_steps {
            Steps::Count(0) => Steps::Share(self.warmup_ratio).of(total_steps),
            steps => steps.of(total_steps),
        }
    }

    /// Steps between two logged points; at least 1.
    pub fn logging_interval(&self, total_steps: u64) -> u64 {
        self.logging_steps.of(total_steps).max(1)
    }

    /// Steps between two checkpoints, if they are written by steps.
    pub fn save_interval(&self, total_steps: u64) -> Option<u64> {
        (self.save_strategy == Strategy::Steps).then(|| self.save_steps.of(total_steps).max(1))
    }

    /// Steps between two evaluations, if they happen by steps. Unset: as often as logging.
    pub fn eval_interval(&self, total_steps: u64) -> Option<u64> {
        let steps = self.eval_steps.unwrap_or(self.logging_steps);
        (self.eval_strategy == Strategy::Steps).then(|| steps.of(total_steps).max(1))
    }

    /// Seed of the data's order.
    pub fn order_seed(&self) -> u64 {
        self.data_seed.unwrap_or(self.seed)
    }

    /// Examples per optimizer step.
    pub fn examples_per_step(&self) -> usize {
        self.per_device_train_batch_size * self.gradient_accumulation_steps
    }
}
