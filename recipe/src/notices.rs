//! What a recipe asks for that changes nothing or happens otherwise: said, so that nothing is ignored in silence.

use std::fmt;

use crate::args::{
    Argument, BadamMode, Group, LrScheduler, PrefLoss, Recipe, RewardModelType, Stage, Strategy, arguments,
};
use crate::text::{Sentence, Text};

/// Arguments that were given, and why they do not do what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Keys with their values, at least one.
    pub given: Vec<(String, String)>,
    /// Why, as a sentence without capital and full stop.
    pub reason: Sentence,
}

impl Notice {
    /// The keys that were given.
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

/// Arguments that others make idle.
struct Rule {
    keys: &'static [&'static str],
    is_idle: fn(&Recipe) -> bool,
    reason: Text,
}

/// The rules; of several for one argument the first that holds counts.
static RULES: &[Rule] = &[
    Rule {
        keys: &["warmup_ratio"],
        is_idle: |recipe| recipe.warmup_steps.of(u64::MAX) > 0,
        reason: words! { en: "`warmup_steps` sets the warm-up", zh: "预热由 `warmup_steps` 决定" },
    },
    Rule {
        keys: &["warmup_steps", "warmup_ratio"],
        is_idle: |recipe| recipe.lr_scheduler_type == LrScheduler::Constant,
        reason: words! {
            en: "`constant` has no warm-up; take `constant_with_warmup`",
            zh: "`constant` 没有预热；请用 `constant_with_warmup`",
        },
    },
    Rule {
        keys: &["warmup_steps", "warmup_ratio"],
        is_idle: |recipe| recipe.lr_scheduler_type.is_measured(),
        reason: words! {
            en: "a schedule that follows evaluations has no warm-up",
            zh: "按评估调整的学习率没有预热",
        },
    },
    Rule {
        keys: &["fp16"],
        is_idle: |_| true,
        reason: words! {
            en: "it runs as `bf16: true`: bfloat16 reaches as far as float32, so that nothing overflows and no loss \
                 has to be scaled",
            zh: "按 `bf16: true` 运行：bfloat16 的数值范围与 float32 相同，不会溢出，也无需缩放损失",
        },
    },
    Rule {
        keys: &["fp8"],
        is_idle: |_| true,
        reason: words! {
            en: "it runs as `bf16: true`: there is no arithmetic of eight bits here",
            zh: "按 `bf16: true` 运行：此处没有 8 位浮点计算",
        },
    },
    Rule {
        keys: &["add_special_tokens"],
        is_idle: |recipe| recipe.new_special_tokens_config.is_some(),
        reason: words! {
            en: "`new_special_tokens_config` names the tokens",
            zh: "由 `new_special_tokens_config` 指定词元",
        },
    },
    Rule {
        keys: &["eaft_alpha"],
        is_idle: |recipe| !recipe.use_eaft_loss,
        reason: words! { en: "it matters for `use_eaft_loss` alone", zh: "仅用于 `use_eaft_loss`" },
    },
    Rule {
        keys: &["asft_alpha"],
        is_idle: |recipe| !recipe.use_asft_loss,
        reason: words! { en: "it matters for `use_asft_loss` alone", zh: "仅用于 `use_asft_loss`" },
    },
    Rule {
        keys: &["report_to"],
        is_idle: Recipe::reports_elsewhere,
        reason: words! {
            en: "the run's folder and the board hold its log, and TensorBoard's files where it is named; other services get \
                 nothing",
            zh: "日志在运行文件夹与面板中，指定 tensorboard 时也写其文件；不会发送给其他服务",
        },
    },
    Rule {
        keys: &["pure_bf16"],
        is_idle: |_| true,
        reason: words! {
            en: "it does what `bf16` does: what is trained and the optimizer's state stay in float32, which is more \
                 exact and takes more memory",
            zh: "与 `bf16` 相同：被训练的权重与优化器状态仍为 float32，更精确，也更占内存",
        },
    },
    Rule {
        keys: &["dpo_label_smoothing"],
        is_idle: |recipe| recipe.stage == Stage::Dpo && recipe.pref_loss != PrefLoss::Sigmoid,
        reason: words! { en: "it matters for `pref_loss: sigmoid` alone", zh: "仅用于 `pref_loss: sigmoid`" },
    },
    Rule {
        keys: &["simpo_gamma"],
        is_idle: |recipe| recipe.stage == Stage::Dpo && recipe.pref_loss != PrefLoss::Simpo,
        reason: words! { en: "it matters for `pref_loss: simpo` alone", zh: "仅用于 `pref_loss: simpo`" },
    },
    Rule {
        keys: &["ref_model", "ref_model_adapters"],
        is_idle: |recipe| !recipe.has_reference(),
        reason: words! { en: "this loss compares with no reference", zh: "该损失不与参考模型比较" },
    },
    Rule {
        keys: &["max_grad_norm"],
        is_idle: |recipe| recipe.is_layerwise(),
        reason: words! {
            en: "each parameter moves by itself, so that gradients are not clipped together",
            zh: "逐个参数更新，不对全部梯度一起裁剪",
        },
    },
    Rule {
        keys: &[
            "galore_target",
            "galore_rank",
            "galore_update_interval",
            "galore_scale",
            "galore_proj_type",
            "galore_layerwise",
        ],
        is_idle: |recipe| !recipe.use_galore,
        reason: words! { en: "it matters for `use_galore` alone", zh: "仅用于 `use_galore`" },
    },
    Rule {
        keys: &[
            "apollo_target",
            "apollo_rank",
            "apollo_update_interval",
            "apollo_scale",
            "apollo_proj",
            "apollo_proj_type",
            "apollo_scale_type",
            "apollo_layerwise",
            "apollo_scale_front",
        ],
        is_idle: |recipe| !recipe.use_apollo,
        reason: words! { en: "it matters for `use_apollo` alone", zh: "仅用于 `use_apollo`" },
    },
    Rule {
        keys: &["optim_target_modules"],
        is_idle: |recipe| !recipe.optim.is_galore() && !recipe.optim.is_apollo(),
        reason: words! {
            en: "it matters for the galore_ and apollo_ optimizers of `optim` alone",
            zh: "仅用于 `optim` 中的 galore_ 与 apollo_ 优化器",
        },
    },
    Rule {
        keys: &["reward_model_type", "reward_model_adapters", "reward_model_weight"],
        is_idle: |recipe| recipe.trains_on_answers() && recipe.reward_model().is_none(),
        reason: words! { en: "rules alone score the answers", zh: "仅由规则为回答打分" },
    },
    Rule {
        keys: &["reward_model_adapters"],
        is_idle: |recipe| recipe.reward_model().is_some_and(|(kind, _)| kind != RewardModelType::Full),
        reason: words! { en: "it matters for `reward_model_type: full` alone", zh: "仅用于 `reward_model_type: full`" },
    },
    Rule {
        keys: &["ref_model", "ref_model_adapters"],
        is_idle: |recipe| recipe.stage == Stage::Grpo && !recipe.has_reference(),
        reason: words! { en: "`grpo_beta` is 0, so that there is no reference", zh: "`grpo_beta` 为 0，不使用参考模型" },
    },
    Rule {
        keys: &["pissa_iter", "pissa_convert"],
        is_idle: |recipe| recipe.is_lora() && !recipe.pissa_init,
        reason: words! { en: "it matters with `pissa_init: true` alone", zh: "仅用于 `pissa_init: true`" },
    },
    Rule {
        keys: &["pissa_init", "use_dora"],
        is_idle: |recipe| recipe.is_lora() && !recipe.begins_adapter(),
        reason: words! {
            en: "an adapter is gone on with as it is; `create_new_adapter: true` begins one",
            zh: "将按原样继续训练已有适配器；设置 `create_new_adapter: true` 可新建",
        },
    },
    Rule {
        keys: &[
            "badam_mode",
            "badam_start_block",
            "badam_switch_mode",
            "badam_switch_interval",
            "badam_update_ratio",
            "badam_mask_mode",
            "badam_verbose",
        ],
        is_idle: |recipe| !recipe.use_badam,
        reason: words! { en: "it matters for `use_badam` alone", zh: "仅用于 `use_badam`" },
    },
    Rule {
        keys: &["badam_start_block", "badam_switch_mode", "badam_switch_interval"],
        is_idle: |recipe| recipe.badam_mode != BadamMode::Layer,
        reason: words! { en: "it matters for `badam_mode: layer` alone", zh: "仅用于 `badam_mode: layer`" },
    },
    Rule {
        keys: &["badam_update_ratio", "badam_mask_mode"],
        is_idle: |recipe| recipe.badam_mode != BadamMode::Ratio,
        reason: words! { en: "it matters for `badam_mode: ratio` alone", zh: "仅用于 `badam_mode: ratio`" },
    },
    Rule {
        keys: &["moe_aux_loss_coef"],
        is_idle: |recipe| recipe.stage == Stage::Kto,
        reason: words! { en: "`stage: kto` does not balance routers", zh: "`stage: kto` 不做路由均衡" },
    },
    Rule {
        keys: &["num_train_epochs"],
        is_idle: |recipe| recipe.step_limit().is_some(),
        reason: words! {
            en: "`max_steps` decides when training ends",
            zh: "训练何时结束由 `max_steps` 决定",
        },
    },
    Rule {
        keys: &["save_steps"],
        is_idle: |recipe| recipe.save_strategy != Strategy::Steps,
        reason: words! {
            en: "it matters for `save_strategy: steps` alone",
            zh: "仅用于 `save_strategy: steps`",
        },
    },
    Rule {
        keys: &["eval_steps"],
        is_idle: |recipe| recipe.eval_strategy != Strategy::Steps,
        reason: words! {
            en: "it matters for `eval_strategy: steps` alone",
            zh: "仅用于 `eval_strategy: steps`",
        },
    },
    Rule {
        keys: &["val_size", "eval_dataset"],
        is_idle: |recipe| !recipe.evaluates() && !recipe.do_predict,
        reason: words! {
            en: "nothing is evaluated on it; set `eval_strategy` or `do_eval`",
            zh: "未用于评估；请设置 `eval_strategy` 或 `do_eval`",
        },
    },
    Rule {
        keys: &["metric_for_best_model", "greater_is_better"],
        is_idle: |recipe| !recipe.compares_evaluations(),
        reason: words! {
            en: "it matters for `load_best_model_at_end`, `early_stopping_steps` and schedules that follow evaluations",
            zh: "仅用于 `load_best_model_at_end`、`early_stopping_steps` 与按评估调整的学习率",
        },
    },
    Rule {
        keys: &["eval_delay"],
        is_idle: |recipe| recipe.eval_strategy == Strategy::No,
        reason: words! {
            en: "nothing is evaluated during training; set `eval_strategy`",
            zh: "训练中不评估；请设置 `eval_strategy`",
        },
    },
    Rule {
        keys: &["logging_dir"],
        is_idle: |recipe| !recipe.reports_to_tensorboard(),
        reason: words! {
            en: "the run's folder and the board hold its log; it matters for `report_to: tensorboard` alone",
            zh: "日志在运行文件夹与面板中；仅用于 `report_to: tensorboard`",
        },
    },
    Rule {
        keys: &["eval_on_each_dataset"],
        is_idle: |recipe| recipe.eval_dataset.is_empty(),
        reason: words! {
            en: "there are no evaluation datasets; name them in `eval_dataset`",
            zh: "没有评估数据集；请在 `eval_dataset` 中给出",
        },
    },
];

impl Recipe {
    /// What was asked for and is done otherwise in this run or not at all: the keys without effect together, the
    /// others one by one.
    pub fn notices(&self) -> Vec<Notice> {
        let idle = arguments().iter().filter_map(|argument| self.idle(argument));
        self.without_effect_notice().into_iter().chain(idle).collect()
    }

    /// The one notice of all keys without effect, if there are any.
    pub fn without_effect_notice(&self) -> Option<Notice> {
        let reason = words! {
            en: "no effect here; docs/arguments.md says why",
            zh: "在此无效；原因见 docs/arguments.md",
        };
        let notice = Notice { given: self.without_effect.clone(), reason: reason.into() };
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
    fn out_of_place(&self, argument: &Argument) -> Option<Sentence> {
        if let Some(needed) = self.lacks_for(argument) {
            return Some(sentence! { [needed] en: "it matters for {needed} alone", zh: "仅用于 {needed}" });
        }
        let elsewhere = words! {
            en: "this run draws no answers; it matters in a chat, for `predict_with_generate` and for stages that draw some",
            zh: "本次运行不生成回答；仅用于对话、`predict_with_generate` 与自行生成回答的阶段",
        };
        (argument.group == Group::Generating && !self.generates() && !self.trains_on_answers())
            .then_some(elsewhere.into())
    }

    /// Why another argument makes this one idle.
    fn overruled(&self, key: &str) -> Option<Sentence> {
        let rule = RULES.iter().find(|rule| rule.keys.contains(&key) && (rule.is_idle)(self))?;
        Some(rule.reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_about_arguments() {
        for key in RULES.iter().flat_map(|rule| rule.keys) {
            assert_eq!(crate::args::find(key).map(|argument| argument.key), Some(*key));
        }
    }
}
