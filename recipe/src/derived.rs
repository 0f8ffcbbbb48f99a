//! What follows from the arguments of a recipe: values left unset, and settings that depend on others.

use crate::args::{
    DataOrder, FinetuningType, LrScheduler, MixtureOfDepths, PrefLoss, Recipe, Records, RewardModelType,
    Stage, Steps, Strategy,
};
use crate::job::JobKind;

/// The tool that `report_to` may name.
pub(crate) const TENSORBOARD: &str = "tensorboard";
/// Services that transformers reports to, and Chandler does not.
pub(crate) const SERVICES: [&str; 13] = [
    "all",
    "azure_ml",
    "clearml",
    "codecarbon",
    "comet_ml",
    "dagshub",
    "dvclive",
    "flyte",
    "mlflow",
    "neptune",
    "swanlab",
    "trackio",
    "wandb",
];

/// Where a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume<'a> {
    /// From the newest checkpoint in the output folder if it holds one and may not be overwritten;
    /// otherwise afresh.
    Auto,
    /// From the newest checkpoint in the output folder; without one there is nothing to go on from.
    Newest,
    /// From this checkpoint.
    From(&'a str),
}

impl Recipe {
    /// Whether the model is compared with one that does not change.
    pub fn has_reference(&self) -> bool {
        match self.stage {
            Stage::Sft => self.use_asft_loss && self.do_train,
            Stage::Dpo => !matches!(self.pref_loss, PrefLoss::Orpo | PrefLoss::Simpo),
            Stage::Grpo => self.grpo_beta > 0.0,
            stage => stage.has_reference(),
        }
    }

    /// Whether the model gets rows for tokens that it has none for.
    pub fn resizes_vocab(&self) -> bool {
        self.resize_vocab
            || !self.add_tokens.is_empty()
            || !self.add_special_tokens.is_empty()
            || self.new_special_tokens_config.is_some()
    }

    /// Whether examples are joined into sequences of the cutoff length.
    pub fn packs(&self) -> bool {
        let can = matches!(self.stage.records(), Records::Text | Records::Answers);
        can && (self.neat_packing || self.packing.unwrap_or(self.stage == Stage::Pt))
    }

    /// The given adapters that become part of the model: all but the last one, which is trained on, unless a new one is
    /// asked for.
    pub fn merged_adapters(&self) -> &[String] {
        match self.adapter_name_or_path.split_last() {
            _ if !self.trains_adapter() => &[],
            Some((_, merged)) if !self.create_new_adapter => merged,
            _ => &self.adapter_name_or_path,
        }
    }

    /// Whether an adapter is begun, rather than gone on with.
    pub fn begins_adapter(&self) -> bool {
        self.trains_adapter() && (self.adapter_name_or_path.is_empty() || self.create_new_adapter)
    }

    /// Whether the adapter is also written as a usual one, for the model as it was.
    pub fn converts_adapter(&self) -> bool {
        self.is_lora() && self.begins_adapter() && self.pissa_init && self.pissa_convert
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

    /// Whether frozen weights and products are in bfloat16: `bf16`, and what runs as it does.
    pub fn uses_bf16(&self) -> bool {
        self.bf16 || self.pure_bf16 || self.fp16 || self.fp8
    }

    /// Whether matrices that train, and what the optimizer remembers of them, are in bfloat16.
    pub fn trains_narrow(&self) -> bool {
        self.pure_bf16 && !self.trains_adapter()
    }

    /// Whether what trains is an adapter beside frozen weights.
    pub fn trains_adapter(&self) -> bool {
        matches!(self.finetuning_type, FinetuningType::Lora | FinetuningType::Oft)
    }

    /// Whether adapters are trained instead of the model's own weights.
    pub fn is_lora(&self) -> bool {
        self.finetuning_type == FinetuningType::Lora
    }

    /// What does not go with routers (`mixture_of_depths`), as a key and its value: answers are written by another choice
    /// of tokens than texts are learnt by, and new routers have to train.
    pub fn depths_conflict(&self) -> Option<(&'static str, &'static str)> {
        let converts = self.mixture_of_depths == Some(MixtureOfDepths::Convert);
        let method = self.finetuning_type;
        let misses = method == FinetuningType::Freeze || converts && method != FinetuningType::Full;
        match () {
            () if self.job() != JobKind::Train => None,
            () if self.trains_on_answers() => Some(("stage", self.stage.name())),
            () => misses.then(|| ("finetuning_type", method.name())),
        }
    }

    /// The limit on optimizer steps, if there is one.
    pub fn step_limit(&self) -> Option<u64> {
        u64::try_from(self.max_steps).ok().filter(|&steps| steps > 0)
    }

    /// Warm-up steps of a run of `total_steps`; a share is rounded up. `constant` knows no warm-up, nor do schedules that
    /// follow evaluations.
    pub fn warmup(&self, total_steps: u64) -> u64 {
        if self.lr_scheduler_type == LrScheduler::Constant || self.lr_scheduler_type.is_measured() {
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

    /// Whether it is too early for an evaluation after `done` steps, or `epoch` epochs.
    pub fn delays_evaluation(&self, done: u64, epoch: f64) -> bool {
        let now = if self.eval_strategy == Strategy::Epoch { epoch } else { done as f64 };
        now < self.eval_delay
    }

    /// Whether anything is evaluated, during training or after it.
    pub fn evaluates(&self) -> bool {
        self.do_eval || self.eval_strategy != Strategy::No
    }

    /// The metric that tells the best checkpoint, with `eval_` in front, and whether more of it is better.
    pub fn best_metric(&self) -> (String, bool) {
        let name = self.metric_for_best_model.as_deref().map_or("loss", str::trim);
        let name = name.strip_prefix("eval_").unwrap_or(name);
        (format!("eval_{name}"), self.greater_is_better.unwrap_or(!name.ends_with("loss")))
    }

    /// Whether anything depends on which evaluation is better.
    pub fn compares_evaluations(&self) -> bool {
        self.load_best_model_at_end
            || self.early_stopping_steps.is_some()
            || self.lr_scheduler_type.is_measured()
    }

    /// Whether event files for TensorBoard are written.
    pub fn reports_to_tensorboard(&self) -> bool {
        self.report_to.iter().any(|tool| tool == TENSORBOARD || tool == "all")
    }

    /// Whether `report_to` names a service that gets nothing.
    pub(crate) fn reports_elsewhere(&self) -> bool {
        self.report_to.iter().any(|tool| SERVICES.contains(&tool.as_str()))
    }

    /// Where the run starts, by `resume_from_checkpoint`: a path, or a truth value.
    pub fn resume(&self) -> Resume<'_> {
        match self.resume_from_checkpoint.as_deref().map(str::trim) {
            None | Some("" | "false" | "False") => Resume::Auto,
            Some("true" | "True") => Resume::Newest,
            Some(path) => Resume::From(path),
        }
    }

    /// In which order examples are trained on, save those of a stream.
    pub fn data_order(&self) -> DataOrder {
        match self.train_sampling_strategy {
            _ if self.group_by_length => DataOrder::GroupByLength,
            _ if self.disable_shuffling => DataOrder::Sequential,
            strategy => strategy,
        }
    }

    /// Seed of the data's order.
    pub fn order_seed(&self) -> u64 {
        self.data_seed.unwrap_or(self.seed)
    }

    /// `interleave_probs` as numbers; `None` if there are none or one is no number above 0.
    pub fn interleave_shares(&self) -> Option<Vec<f64>> {
        let share =
            |text: &String| text.trim().parse().ok().filter(|share: &f64| *share > 0.0 && share.is_finite());
        let shares: Option<Vec<f64>> = self.interleave_probs.iter().map(share).collect();
        shares.filter(|shares| !shares.is_empty())
    }

    /// Batches of `per_device_train_batch_size` examples per step; PPO gathers several updates' worth.
    pub fn batches_per_step(&self) -> usize {
        let buffer = if self.stage == Stage::Ppo { self.ppo_buffer_size } else { 1 };
        self.gradient_accumulation_steps * buffer
    }

    /// Examples per step.
    pub fn examples_per_step(&self) -> usize {
        self.per_device_train_batch_size * self.batches_per_step()
    }

    /// Whether training draws the answers that it learns from.
    pub fn trains_on_answers(&self) -> bool {
        self.stage.records() == Records::Prompts
    }

    /// Answers that are drawn to each prompt.
    pub fn answers_per_prompt(&self) -> usize {
        if self.stage == Stage::Grpo { self.num_generations } else { 1 }
    }

    /// The model that scores answers, if one does.
    pub fn reward_model(&self) -> Option<(RewardModelType, &str)> {
        let named = self.reward_model.as_deref().map(str::trim).filter(|name| !name.is_empty());
        named.map(|name| (self.reward_model_type, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_steps_rounded_up() {
        let recipe = Recipe {
            warmup_ratio: 0.03,
            save_steps: Steps::Share(0.5),
            logging_steps: Steps::Share(0.001),
            eval_strategy: Strategy::Steps,
            ..Recipe::default()
        };
        assert_eq!(recipe.warmup(101), 4);
        assert_eq!(recipe.save_interval(101), Some(51));
        assert_eq!((recipe.logging_interval(101), recipe.eval_interval(101)), (1, Some(1)));
    }

    #[test]
    fn steps_win_over_an_unset_ratio_and_constant_has_no_warmup() {
        let mut recipe = Recipe { warmup_steps: Steps::Count(3), ..Recipe::default() };
        assert_eq!(recipe.warmup(100), 3);
        recipe.lr_scheduler_type = LrScheduler::ConstantWithWarmup;
        assert_eq!(recipe.warmup(100), 3);
        recipe.lr_scheduler_type = LrScheduler::Constant;
        assert_eq!(recipe.warmup(100), 0);
    }

    #[test]
    fn unset_values_follow_from_others() {
        let recipe = Recipe { lora_rank: 16, ..Recipe::default() };
        assert_eq!((recipe.alpha(), recipe.lora_scale()), (32, 2.0));
        assert_eq!(Recipe { use_rslora: true, ..recipe.clone() }.lora_scale(), 8.0);
        assert!(!recipe.packs() && recipe.targets_all());
        assert!(Recipe { stage: Stage::Pt, ..recipe.clone() }.packs());
        assert!(!Recipe { stage: Stage::Pt, packing: Some(false), ..recipe.clone() }.packs());
        assert!(Recipe { neat_packing: true, ..recipe.clone() }.packs());
        assert_eq!((recipe.step_limit(), recipe.order_seed()), (None, 42));
    }

    #[test]
    fn resuming_takes_a_path_or_a_truth_value() {
        let given =
            |text: &str| Recipe { resume_from_checkpoint: Some(text.to_owned()), ..Recipe::default() };
        assert_eq!(Recipe::default().resume(), Resume::Auto);
        assert_eq!(given("false").resume(), Resume::Auto);
        assert_eq!(given("true").resume(), Resume::Newest);
        assert_eq!(given("out/checkpoint-5").resume(), Resume::From("out/checkpoint-5"));
    }
}
