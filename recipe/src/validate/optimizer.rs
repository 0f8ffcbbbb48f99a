//! The optimizer: one at a time, with what it is made for.

use crate::args::{BadamMode, Optim, Recipe};
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    check_alone(recipe, problems);
    check_base(recipe, problems);
    check_badam(recipe, problems);
    check_low_rank(recipe, problems);
    problems.extend(recipe.optim_args_problem());
}

/// Switches that each choose how parameters move, with whether they are on.
fn switches(recipe: &Recipe) -> Vec<&'static str> {
    let all = [
        ("use_galore", recipe.use_galore),
        ("use_apollo", recipe.use_apollo),
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
const WHOLE_ONLY: &[&str] = &["use_galore", "use_apollo", "use_badam"];

/// What is made of AdamW does not go with another `optim`.
fn check_base(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let of_adamw = [
        ("use_adam_mini", recipe.use_adam_mini),
        ("use_muon", recipe.use_muon),
        ("use_apollo", recipe.use_apollo),
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

/// GaLore and APOLLO, whether by a switch or by the optimizer's name.
fn check_low_rank(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let (optim, name) = (recipe.optim, recipe.optim.name());
    if recipe.use_galore && !optim.is_adamw() && optim != Optim::Adafactor {
        problems.push(Problem::of(
            "optim",
            sentence! {
                en: "`use_galore` is made for AdamW and Adafactor, not for `optim: {name}`; give adamw_torch, adamw_8bit or \
                     adafactor",
                zh: "`use_galore` 适用于 AdamW 与 Adafactor，不适用于 `optim: {name}`；请用 adamw_torch、adamw_8bit 或 adafactor",
            },
        ));
    }
    let is_named = optim.is_galore() || optim.is_apollo();
    if is_named && recipe.optim_target_modules.is_empty() {
        problems.push(Problem::of(
            "optim",
            sentence! {
                en: "`optim: {name}` needs `optim_target_modules`: names of linear layers, or all-linear",
                zh: "`optim: {name}` 需要 `optim_target_modules`：线性层名称，或 all-linear",
            },
        ));
    }
    if is_named && recipe.is_lora() {
        problems.push(Problem::of(
            "optim",
            sentence! {
                en: "`optim: {name}` projects gradients of the model's own matrices, not of low-rank ones; set \
                     `finetuning_type` to full or freeze",
                zh: "`optim: {name}` 投影模型自身矩阵的梯度，而非低秩矩阵的；请将 `finetuning_type` 设为 full 或 freeze",
            },
        ));
    }
    for (key, targets) in [("galore_target", &recipe.galore_target), ("apollo_target", &recipe.apollo_target)]
    {
        let is_used = if key == "galore_target" { recipe.use_galore } else { recipe.use_apollo };
        if is_used && targets.is_empty() {
            problems.push(Problem::of(
                key,
                sentence! {
                    en: "`{key}` is empty; give names of linear layers, or `all`",
                    zh: "`{key}` 为空；请给出线性层名称，或 `all`",
                },
            ));
        }
    }
    let layerwise = match () {
        () if recipe.use_galore && recipe.galore_layerwise => "galore_layerwise",
        () if recipe.use_apollo && recipe.apollo_layerwise => "apollo_layerwise",
        () if is_named && recipe.is_layerwise() => "optim",
        () => return,
    };
    if recipe.gradient_accumulation_steps > 1 {
        problems.push(Problem::of(
            layerwise,
            sentence! {
                en: "`{layerwise}` moves each parameter as soon as it has a gradient, which `gradient_accumulation_steps` would \
                     add up first; set that to 1, or leave layer-wise steps",
                zh: "`{layerwise}` 在参数得到梯度后立即更新，而 `gradient_accumulation_steps` 需先累加梯度；请将其设为 1，或不使用逐层更新",
            },
        ));
    }
}
