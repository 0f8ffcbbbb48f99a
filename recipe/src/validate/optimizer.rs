//! The optimizer: one at a time, with what it is made for.

use crate::args::{BadamMode, Optim, Recipe};
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    check_alone(recipe, problems);
    check_base(recipe, problems);
    check_badam(recipe, problems);
}

/// Switches that each choose how parameters move, with whether they are on.
fn switches(recipe: &Recipe) -> Vec<&'static str> {
    let all = [
        ("use_badam", recipe.use_badam),
        ("use_adam_mini", recipe.use_adam_mini),
        ("use_muon", recipe.use_muon),
        ("loraplus_lr_ratio", recipe.loraplus_lr_ratio.is_some() && recipe.is_lora()),
    ];
    all.into_iter().filter(|(_, is_on)| *is_on).map(|(key, _)| key).collect()
}

fn check_alone(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let on = switches(recipe);
    if let [first, second, ..] = on[..] {
        problems.push(Problem::of(
            second,
            sentence! {
                en: "`{first}` and `{second}` each choose how parameters move; keep one of them",
                zh: "`{first}` 与 `{second}` 都决定参数如何更新；请保留其中一个",
            },
        ));
    }
    if let Some(&key) = on.iter().find(|key| WHOLE_ONLY.contains(key))
        && recipe.is_lora()
    {
        problems.push(Problem::of(
            key,
            sentence! {
                en: "`{key}` trains the model's own weights, not low-rank matrices; set `finetuning_type` to full or freeze, or \
                     remove `{key}`",
                zh: "`{key}` 训练模型自身的权重，而非低秩矩阵；请将 `finetuning_type` 设为 full 或 freeze，或删除 `{key}`",
            },
        ));
    }
}

/// Switches that mean nothing beside LoRA.
const WHOLE_ONLY: &[&str] = &["use_badam"];

/// What is made of AdamW does not go with another `optim`.
fn check_base(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let of_adamw = [
        ("use_adam_mini", recipe.use_adam_mini),
        ("use_muon", recipe.use_muon),
        ("badam_mode", recipe.use_badam && recipe.badam_mode == BadamMode::Ratio),
    ];
    let optim = recipe.optim.name();
    if recipe.optim == Optim::AdamwTorch {
        return;
    }
    if let Some((key, _)) = of_adamw.into_iter().find(|(_, is_on)| *is_on) {
        problems.push(Problem::of(
            "optim",
            sentence! {
                en: "`{key}` brings an optimizer of its own, made of AdamW, so that `optim: {optim}` would not be used; leave \
                     `optim` at adamw_torch, or remove `{key}`",
                zh: "`{key}` 自带基于 AdamW 的优化器，`optim: {optim}` 不会被使用；请保留 `optim` 为 adamw_torch，或删除 `{key}`",
            },
        ));
    }
}

fn check_badam(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if recipe.use_badam && recipe.badam_switch_interval == 0 {
        problems.push(Problem::of(
            "badam_switch_interval",
            words! {
                en: "`badam_switch_interval` is 0; give a number of steps, or -1 to stay with the first layer",
                zh: "`badam_switch_interval` 为 0；请给出步数，或用 -1 表示不切换",
            },
        ));
    }
}
