//! What must hold between the arguments of a training run.

use crate::args::{
    Field, FinetuningType, Kind, MixStrategy, Recipe, Shown, Stage, Steps, Strategy, arguments,
};
use crate::derived::TENSORBOARD;
use crate::problem::Problem;
use crate::reader::offer;

/// Names in a list, at most.
const NAMES: usize = 1000;
/// How often a data set may be named.
const TIMES: usize = 10;

impl Recipe {
    /// Everything that keeps this recipe from being trained. Values alone were checked when they were read.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_lists(&mut problems);
        self.check_required(&mut problems);
        self.check_method(&mut problems);
        self.check_data(&mut problems);
        self.check_mixing(&mut problems);
        self.check_streaming(&mut problems);
        self.check_training(&mut problems);
        self.check_evaluation(&mut problems);
        self.check_best(&mut problems);
        self.check_reports(&mut problems);
        problems
    }

    /// A list is not endless, and no data set is named again and again: each name is read by itself.
    fn check_lists(&self, problems: &mut Vec<Problem>) {
        for argument in arguments().iter().filter(|argument| argument.kind == Kind::List) {
            let key = argument.key;
            let names = match self.field(key).map(Field::show) {
                Some(Shown::List(names)) => names,
                _ => continue,
            };
            let count = names.len();
            if count > NAMES {
                problems.push(Problem::of(
                    key,
                    format!("`{key}` has {count} names; at most {NAMES} are allowed"),
                    format!("`{key}` 含 {count} 个名称；最多允许 {NAMES} 个"),
                ));
                continue;
            }
            let times = |name: &String| names.iter().filter(|other| *other == name).count();
            let is_data = ["dataset", "eval_dataset"].contains(&key);
            if let Some(name) = names.iter().find(|name| is_data && times(name) > TIMES) {
                let count = times(name);
                problems.push(Problem::of(
                    key,
                    format!("`{key}` names `{name}` {count} times; at most {TIMES} times are allowed"),
                    format!("`{key}` 中 `{name}` 出现 {count} 次；最多允许 {TIMES} 次"),
                ));
            }
        }
    }

    fn check_required(&self, problems: &mut Vec<Problem>) {
        if self.model_name_or_path.trim().is_empty() {
            problems.push(Problem::of(
                "model_name_or_path",
                "`model_name_or_path` is missing; give a model folder, a .gguf file or a model's name on a hub (owner/name)",
                "缺少 `model_name_or_path`；请给出模型文件夹、.gguf 文件或模型站点上的名称（owner/name）",
            ));
        }
        if self.output_dir.trim().is_empty() {
            problems.push(Problem::of(
                "output_dir",
                "`output_dir` is missing; give a folder for the result",
                "缺少 `output_dir`；请给出存放结果的文件夹",
            ));
        }
        if !self.do_train && !self.evaluates() {
            problems.push(Problem::of(
                "do_train",
                "there is nothing to do: set `do_train: true` (or `do_eval: true`)",
                "没有要做的事：请设置 `do_train: true`（或 `do_eval: true`）",
            ));
        }
        if self.do_train && self.dataset.is_empty() {
            problems.push(Problem::of(
                "dataset",
                "`dataset` is missing; name a dataset of dataset_info.json",
                "缺少 `dataset`；请给出 dataset_info.json 中的数据集名称",
            ));
        }
    }

    fn check_method(&self, problems: &mut Vec<Problem>) {
        match self.finetuning_type {
            FinetuningType::Lora => {
                if self.train_from_scratch {
                    problems.push(Problem::of(
                        "train_from_scratch",
                        "`train_from_scratch` needs `finetuning_type: full`; an adapter on random weights learns nothing",
                        "`train_from_scratch` 需要 `finetuning_type: full`；在随机权重上训练适配器没有意义",
                    ));
                }
                if self.lora_target.is_empty() {
                    problems.push(Problem::of(
                        "lora_target",
                        "`lora_target` is empty; give module names, or `all`",
                        "`lora_target` 为空；请给出模块名称，或 `all`",
                    ));
                }
            }
            FinetuningType::Full => {
                if !self.adapter_name_or_path.is_empty() {
                    problems.push(Problem::of(
                        "adapter_name_or_path",
                        "`adapter_name_or_path` needs `finetuning_type: lora`; full tuning takes a model without adapters",
                        "`adapter_name_or_path` 需要 `finetuning_type: lora`；全参数微调不能带适配器",
                    ));
                }
            }
        }
    }

    fn check_data(&self, problems: &mut Vec<Problem>) {
        let sft_only = [
            ("neat_packing", self.neat_packing),
            ("train_on_prompt", self.train_on_prompt),
            ("mask_history", self.mask_history),
        ];
        for (key, on) in sft_only {
            if on && self.stage != Stage::Sft {
                problems.push(Problem::of(
                    key,
                    format!("`{key}` means something for `stage: sft` only; remove it"),
                    format!("`{key}` 只用于 `stage: sft`；请删除"),
                ));
            }
        }
        if self.train_on_prompt && self.mask_history {
            problems.push(Problem::of(
                "mask_history",
                "`mask_history` and `train_on_prompt` contradict each other; keep one of them",
                "`mask_history` 与 `train_on_prompt` 相互矛盾；请保留其中一个",
            ));
        }
        if self.neat_packing && self.packing == Some(false) {
            problems.push(Problem::of(
                "packing",
                "`neat_packing: true` packs, but `packing` is false; remove one of them",
                "`neat_packing: true` 会打包，但 `packing` 为 false；请删除其中一个",
            ));
        }
    }

    fn check_mixing(&self, problems: &mut Vec<Problem>) {
        const KEY: &str = "interleave_probs";
        if self.interleave_probs.is_empty() {
            return;
        }
        let Some(shares) = self.interleave_shares() else {
            let given = self.interleave_probs.join(", ");
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}` is {given}; give numbers above 0 with commas between them"),
                format!("`{KEY}` 为 {given}；请给出以逗号分隔的正数"),
            ));
            return;
        };
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}` sums to {sum}; it must sum to 1"),
                format!("`{KEY}` 之和为 {sum}，应为 1"),
            ));
        }
        if self.mix_strategy == MixStrategy::Concat {
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}` is for interleaving, but `mix_strategy` is concat; set it to interleave_under or interleave_over"),
                format!("`{KEY}` 用于交错混合，但 `mix_strategy` 为 concat；请设为 interleave_under 或 interleave_over"),
            ));
        }
        if shares.len() != self.dataset.len() {
            let (given, sets) = (shares.len(), self.dataset.len());
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}` gives {given} shares for {sets} datasets; give one for each"),
                format!("`{KEY}` 给出了 {given} 个比例，但有 {sets} 个数据集；请一一对应"),
            ));
        }
    }

    fn check_streaming(&self, problems: &mut Vec<Problem>) {
        if !self.streaming {
            return;
        }
        if self.step_limit().is_none() {
            problems.push(Problem::of(
                "max_steps",
                "streamed data have no length: `streaming` needs `max_steps`",
                "流式数据没有长度：使用 `streaming` 时须设置 `max_steps`",
            ));
        }
        if self.max_samples.is_some() {
            problems.push(Problem::of(
                "max_samples",
                "`max_samples` does not go with `streaming`; remove one of them",
                "`max_samples` 不能与 `streaming` 同时使用；请删除其中一个",
            ));
        }
        if self.val_size > 0.0 && self.val_size < 1.0 {
            problems.push(Problem::of(
                "val_size",
                "of streamed data no share can be taken; give `val_size` as a number of rows",
                "流式数据无法按比例划分；请将 `val_size` 设为行数",
            ));
        }
    }

    fn check_training(&self, problems: &mut Vec<Problem>) {
        problems.extend(self.curve().err());
        for (key, on) in [("bf16", self.bf16), ("pure_bf16", self.pure_bf16)] {
            if self.fp16 && on {
                problems.push(Problem::of(
                    "fp16",
                    format!(
                        "`fp16` and `{key}` name two precisions; keep one of them (both run in bfloat16)"
                    ),
                    format!("`fp16` 与 `{key}` 指定了两种精度；请保留其中一个（两者均以 bfloat16 运行）"),
                ));
            }
        }
        if self.max_steps == 0 {
            problems.push(Problem::of(
                "max_steps",
                "`max_steps` is 0; give a number of steps, or -1 to train by `num_train_epochs`",
                "`max_steps` 为 0；请给出步数，或用 -1 表示按 `num_train_epochs` 训练",
            ));
        }
    }

    fn check_evaluation(&self, problems: &mut Vec<Problem>) {
        let held_out = self.val_size > 0.0;
        let data = held_out || !self.eval_dataset.is_empty();
        if held_out && !self.eval_dataset.is_empty() {
            problems.push(Problem::of(
                "val_size",
                "`val_size` and `eval_dataset` both give evaluation data; keep one of them",
                "`val_size` 与 `eval_dataset` 都提供评估数据；请保留其中一个",
            ));
        }
        if held_out && self.dataset.is_empty() {
            problems.push(Problem::of(
                "val_size",
                "`val_size` takes a part of `dataset`, which is missing",
                "`val_size` 从 `dataset` 中划分，但未给出 `dataset`",
            ));
        }
        if self.val_size >= 1.0 && self.val_size.fract() != 0.0 {
            problems.push(Problem::of(
                "val_size",
                format!(
                    "`val_size` is {}; from 1 on it is a number of rows, so give a whole one",
                    self.val_size
                ),
                format!("`val_size` 为 {}；大于等于 1 时表示行数，请给出整数", self.val_size),
            ));
        }
        if !data && self.evaluates() {
            let key = if self.eval_strategy != Strategy::No { "eval_strategy" } else { "do_eval" };
            problems.push(Problem::of(
                key,
                format!("`{key}` asks for evaluation, but there is no data for it; set `val_size` or `eval_dataset`"),
                format!("`{key}` 要求评估，但没有评估数据；请设置 `val_size` 或 `eval_dataset`"),
            ));
        }
    }

    /// The best checkpoint can be told only where checkpoints are evaluated.
    fn check_best(&self, problems: &mut Vec<Problem>) {
        const KEY: &str = "load_best_model_at_end";
        if !self.load_best_model_at_end {
            return;
        }
        if self.eval_strategy == Strategy::No || self.eval_strategy != self.save_strategy {
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}` needs `eval_strategy` and `save_strategy` to be the same, steps or epoch"),
                format!("`{KEY}` 要求 `eval_strategy` 与 `save_strategy` 相同，均为 steps 或 epoch"),
            ));
        }
        let evaluated = self.eval_steps.unwrap_or(self.logging_steps);
        if let (Strategy::Steps, Steps::Count(save), Steps::Count(eval)) =
            (self.save_strategy, self.save_steps, evaluated)
            && !save.is_multiple_of(eval)
        {
            problems.push(Problem::of(
                "save_steps",
                format!("`save_steps` is {save}; with `{KEY}` it must be a multiple of `eval_steps`, {eval}"),
                format!("`save_steps` 为 {save}；使用 `{KEY}` 时须为 `eval_steps`（{eval}）的倍数"),
            ));
        }
        let sets: Vec<String> = match self.eval_on_each_dataset {
            true => self.eval_dataset.iter().map(|name| format!("{name}_")).collect(),
            false => vec![String::new()],
        };
        let metrics = ["loss", "accuracy"].into_iter().take(1 + usize::from(self.compute_accuracy));
        let known: Vec<String> =
            metrics.flat_map(|metric| sets.iter().map(move |set| format!("{set}{metric}"))).collect();
        let (metric, _) = self.best_metric();
        let metric = metric.trim_start_matches("eval_");
        if !known.iter().any(|name| name == metric) {
            let (meant_en, meant_zh) = offer(metric, known.iter().map(String::as_str));
            let known = known.join(", ");
            problems.push(Problem::of(
                "metric_for_best_model",
                format!("`metric_for_best_model` is {metric}; evaluation gives {known}{meant_en}"),
                format!("`metric_for_best_model` 为 {metric}；评估给出的指标为 {known}{meant_zh}"),
            ));
        }
    }

    fn check_reports(&self, problems: &mut Vec<Problem>) {
        const KEY: &str = "report_to";
        let known = [TENSORBOARD, "none"];
        let unknown = |tool: &&String| !known.contains(&tool.as_str());
        if let Some(tool) = self.report_to.iter().find(unknown) {
            let (meant_en, meant_zh) = offer(tool, known);
            problems.push(Problem::of(
                KEY,
                format!("`{KEY}: {tool}` is not supported; allowed are none and {TENSORBOARD}{meant_en}"),
                format!("不支持 `{KEY}: {tool}`；可用 none 与 {TENSORBOARD}{meant_zh}"),
            ));
        }
    }
}
