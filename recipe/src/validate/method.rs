//! The method's own settings.

use crate::args::{FinetuningType, Recipe};
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if recipe.finetuning_type == FinetuningType::Freeze && recipe.freeze_trainable_layers == 0 {
        problems.push(Problem::of(
            "freeze_trainable_layers",
            words! {
                en: "`freeze_trainable_layers` is 0, so that no layer trains; give a number of last layers, or below zero of \
                     first ones",
                zh: "`freeze_trainable_layers` 为 0，没有可训练的层；请给出末尾层数，或用负数表示开头层数",
            },
        ));
    }
    if recipe.converts_adapter() && recipe.use_dora {
        problems.push(Problem::of(
            "pissa_convert",
            words! {
                en: "`pissa_convert` and `use_dora` exclude each other: magnitudes do not fit into a usual adapter; turn one \
                     of them off",
                zh: "`pissa_convert` 与 `use_dora` 互斥：幅度无法写入普通适配器；请关闭其中一个",
            },
        ));
    }
    if recipe.is_lora() && recipe.lora_target.is_empty() {
        problems.push(Problem::of(
            "lora_target",
            words! {
                en: "`lora_target` is empty; give module names, or `all`",
                zh: "`lora_target` 为空；请给出模块名称，或 `all`",
            },
        ));
    }
}
