//! What a recipe asks for that changes nothing or happens otherwise: said, so that nothing is ignored in silence.

use std::fmt;

use crate::args::{Argument, FinetuningType, Group, LrScheduler, Recipe, Stage, Strategy, arguments};
use crate::text::Text;

/// Arguments that were given, and why they do not do what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Keys with their values, at least one.
    pub given: Vec<(String, String)>,
    /// Why, as a sentence without capital and full stop.
    pub reason: Text,
}

impl Notice {
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(|(key, _)| key.as_str())
    }
}

/// In one line: `fp16: true (it runs as …)`, or of several keys the names alone.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given.as_slice() {
            [(key, value)] => write!(f, "{key}: {value}")?,
            _ => f.write_str(&self.keys().collect::<Vec<_>>().join(", "))?,
        }
        write!(f, " ({})", self.reason.en)
    }
}

impl Recipe {
    /// What was asked for and is done otherwise in this run or not at all: the keys without effect together, the
    /// others one by one.
    pub fn notices(&self) -> Vec<Notice> {
        let idle = arguments().iter().filter_map(|argument| self.idle(argument));
        self.without_effect_notice().into_iter().chain(idle).collect()
    }

    /// The one notice of all keys without effect, if there are any.
    pub fn without_effect_notice(&self) -> Option<Notice> {
        let reason =
            Text::new("no effect here; docs/arguments.md says why", "在此无效；原因见 docs/arguments.md");
        let notice = Notice { given: self.without_effect.clone(), reason };
        Some(notice).filter(|notice| !notice.given.is_empty())
    }

    /// The notice of an argument that was changed and does not matter beside the others.
    fn idle(&self, argument: &Argument) -> Option<Notice> {
        let value = self.get(argument.key)?;
        if value == argument.default_text() {
            return None;
        }
        let reason = self.out_of_place(argument).or_else(|| self.overruled(argument.key))?;
        Some(Notice { given: vec![(argument.key.to_owned(), value)], reason })
    }

    /// Why an argument does not belong to this kind of run.
    fn out_of_place(&self, argument: &Argument) -> Option<Text> {
        let lora_alone = argument.methods == [FinetuningType::Lora];
        let sft_alone = argument.stages == [Stage::Sft];
        if lora_alone && self.finetuning_type != FinetuningType::Lora {
            return Some(Text::new(
                "it matters for `finetuning_type: lora` alone",
                "仅用于 `finetuning_type: lora`",
            ));
        }
        if sft_alone && self.stage != Stage::Sft {
            return Some(Text::new("it matters for `stage: sft` alone", "仅用于 `stage: sft`"));
        }
        (argument.group == Group::Generating).then_some(Text::new(
            "training draws no answers; it matters in a chat alone",
            "训练不生成回答；仅在对话时使用",
        ))
    }

    /// Which other argument makes this one idle.
    fn overruled(&self, key: &str) -> Option<Text> {
        let (idle, reason) = match key {
            "warmup_ratio" if self.warmup_steps.of(u64::MAX) > 0 => {
                (true, Text::new("`warmup_steps` sets the warm-up", "预热由 `warmup_steps` 决定"))
            }
            "warmup_steps" | "warmup_ratio" => (
                self.lr_scheduler_type == LrScheduler::Constant,
                Text::new(
                    "`constant` has no warm-up; take `constant_with_warmup`",
                    "`constant` 没有预热；请用 `constant_with_warmup`",
                ),
            ),
            "fp16" => (
                true,
                Text::new(
                    "it runs as `bf16: true`: bfloat16 reaches as far as float32, so that nothing overflows and no \
                     loss has to be scaled",
                    "按 `bf16: true` 运行：bfloat16 的数值范围与 float32 相同，不会溢出，也无需缩放损失",
                ),
            ),
            "pure_bf16" => (
                true,
                Text::new(
                    "it does what `bf16` does: what is trained and the optimizer's state stay in float32, which is \
                     more exact and takes more memory",
                    "与 `bf16` 相同：被训练的权重与优化器状态仍为 float32，更精确，也更占内存",
                ),
            ),
            "num_train_epochs" => (
                self.step_limit().is_some(),
                Text::new("`max_steps` decides when training ends", "训练何时结束由 `max_steps` 决定"),
            ),
            "save_steps" => (
                self.save_strategy != Strategy::Steps,
                Text::new("it matters for `save_strategy: steps` alone", "仅用于 `save_strategy: steps`"),
            ),
            "eval_steps" => (
                self.eval_strategy != Strategy::Steps,
                Text::new("it matters for `eval_strategy: steps` alone", "仅用于 `eval_strategy: steps`"),
            ),
            "val_size" | "eval_dataset" => (
                !self.evaluates(),
                Text::new(
                    "nothing is evaluated on it; set `eval_strategy` or `do_eval`",
                    "未用于评估；请设置 `eval_strategy` 或 `do_eval`",
                ),
            ),
            "metric_for_best_model" | "greater_is_better" => (
                !self.load_best_model_at_end,
                Text::new("it matters for `load_best_model_at_end` alone", "仅用于 `load_best_model_at_end`"),
            ),
            "logging_dir" => (
                !self.reports_to_tensorboard(),
                Text::new(
                    "the run's folder and the board hold its log; it matters for `report_to: tensorboard` alone",
                    "日志在运行文件夹与面板中；仅用于 `report_to: tensorboard`",
                ),
            ),
            "eval_on_each_dataset" => (
                self.eval_dataset.is_empty(),
                Text::new(
                    "there are no evaluation datasets; name them in `eval_dataset`",
                    "没有评估数据集；请在 `eval_dataset` 中给出",
                ),
            ),
            _ => return None,
        };
        idle.then_some(reason)
    }
}
