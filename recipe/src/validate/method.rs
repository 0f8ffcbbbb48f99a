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
    if recipe.finetuning_type == FinetuningType::Freeze
        && recipe.use_llama_pro
        && recipe.freeze_trainable_layers < 0
    {
        let layers = recipe.freeze_trainable_layers;
        problems.push(Problem::of(
            "freeze_trainable_layers",
            sentence! {
                en: "`freeze_trainable_layers` is {layers}: with `use_llama_pro` it is the number of layers that were added; \
                     give that, or turn `use_llama_pro` off",
                zh: "`freeze_trainable_layers` 为 {layers}：启用 `use_llama_pro` 时它是新增的层数；请给出该数，或关闭 `use_llama_pro`",
            },
        ));
    }
    let is_oft = recipe.finetuning_type == FinetuningType::Oft;
    if is_oft && (recipe.oft_rank == 0) == (recipe.oft_block_size == 0) {
        let (rank, size) = (recipe.oft_rank, recipe.oft_block_size);
        problems.push(Problem::of(
            "oft_block_size",
            sentence! {
                en: "`oft_rank` is {rank} and `oft_block_size` is {size}: one of them must be 0, for the other decides",
                zh: "`oft_rank` 为 {rank}，`oft_block_size` 为 {size}：其中一个须为 0，由另一个决定",
            },
        ));
    }
    if is_oft && recipe.oft_target.is_empty() {
        problems.push(Problem::of(
            "oft_target",
            words! {
                en: "`oft_target` is empty; give module names, or `all`",
                zh: "`oft_target` 为空；请给出模块名称，或 `all`",
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
