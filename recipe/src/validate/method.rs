//! The method's own settings.

use crate::args::{FinetuningType, MixtureOfDepths, Recipe};
use crate::job::JobKind;
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
    check_depths(recipe, problems);
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

/// Routers go with training on texts, and new ones with training whole.
fn check_depths(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let Some(given) = recipe.mixture_of_depths else { return };
    let mode = given.name();
    if given == MixtureOfDepths::Convert && recipe.job() != JobKind::Train {
        problems.push(Problem::of(
            "mixture_of_depths",
            words! {
                en: "`mixture_of_depths: convert` gives the model routers that have yet to train, and `do_train` is false; \
                     train first, then use the result, which needs no word of it",
                zh: "`mixture_of_depths: convert` 加入尚待训练的路由器，而 `do_train` 为 false；请先训练，再直接使用其结果",
            },
        ));
    }
    let Some((key, value)) = recipe.depths_conflict() else { return };
    let message = match (key, given) {
        ("stage", _) => sentence! {
            en: "`mixture_of_depths: {mode}` is for texts that are given; answers are written by another choice of tokens, so \
                 that `stage: {value}` would not learn from its own; remove it",
            zh: "`mixture_of_depths: {mode}` 用于给定的文本；生成回答时选择词元的方式不同，`stage: {value}` 因而无法从自身的回答中\
                 学习；请删除",
        },
        (_, MixtureOfDepths::Convert) => sentence! {
            en: "`mixture_of_depths: {mode}` adds routers, which have to train, and `{key}: {value}` trains none of them; use \
                 `finetuning_type: full`",
            zh: "`mixture_of_depths: {mode}` 加入须训练的路由器，而 `{key}: {value}` 不训练它们；请使用 `finetuning_type: full`",
        },
        (_, MixtureOfDepths::Load) => sentence! {
            en: "`mixture_of_depths: {mode}` does not go with `{key}: {value}`; use `finetuning_type: full`, lora or oft",
            zh: "`mixture_of_depths: {mode}` 不能与 `{key}: {value}` 同用；请使用 `finetuning_type: full`、lora 或 oft",
        },
    };
    problems.push(Problem::of("mixture_of_depths", message));
}
