//! Steps, learning rate and precision.

use crate::args::{DataOrder, Recipe, TokenInit};
use crate::problem::Problem;

/// From this learning rate on hardly anything is learned any more.
const FAST: f64 = 0.05;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    problems.extend(recipe.curve().err());
    for (key, on) in [("bf16", recipe.bf16), ("pure_bf16", recipe.pure_bf16)] {
        if recipe.fp16 && on {
            problems.push(Problem::of(
                "fp16",
                sentence! {
                    en: "`fp16` and `{key}` name two precisions; keep one of them (both run in bfloat16)",
                    zh: "`fp16` 与 `{key}` 指定了两种精度；请保留其中一个（两者均以 bfloat16 运行）",
                },
            ));
        }
    }
    check_losses(recipe, problems);
    check_order(recipe, problems);
    if recipe.init_special_tokens != TokenInit::NoiseInit && recipe.new_special_tokens_config.is_none() {
        let given = recipe.init_special_tokens.name();
        problems.push(Problem::of(
            "init_special_tokens",
            sentence! {
                en: "`init_special_tokens: {given}` needs the descriptions of `new_special_tokens_config`; give that, or \
                     keep noise_init",
                zh: "`init_special_tokens: {given}` 需要 `new_special_tokens_config` 中的说明；请给出该文件，或保留 noise_init",
            },
        ));
    }
    if recipe.shift_attn && recipe.trains_on_answers() {
        let stage = recipe.stage.name();
        problems.push(Problem::of(
            "shift_attn",
            sentence! {
                en: "`shift_attn` is for texts that are given; answers are drawn with all of attention, so that `stage: {stage}` \
                     would not learn from its own; remove it",
                zh: "`shift_attn` 用于给定的文本；回答以完整注意力生成，`stage: {stage}` 因而无法从自身的回答中学习；请删除",
            },
        ));
    }
    if recipe.max_steps == 0 {
        problems.push(Problem::of(
            "max_steps",
            words! {
                en: "`max_steps` is 0; give a number of steps, or -1 to train by `num_train_epochs`",
                zh: "`max_steps` 为 0；请给出步数，或用 -1 表示按 `num_train_epochs` 训练",
            },
        ));
    }
}

/// Examples have one order, and a stream has that of its files.
fn check_order(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let by_length = if recipe.group_by_length { "group_by_length" } else { "train_sampling_strategy" };
    let groups = recipe.data_order() == DataOrder::GroupByLength;
    let is_sequential = recipe.train_sampling_strategy == DataOrder::Sequential;
    for (key, other, clashes) in [
        (by_length, "disable_shuffling", groups && recipe.disable_shuffling),
        (by_length, "train_sampling_strategy: sequential", recipe.group_by_length && is_sequential),
        (by_length, "streaming", groups && recipe.streaming),
        ("dataloader_drop_last", "streaming", recipe.dataloader_drop_last && recipe.streaming),
    ] {
        if clashes {
            problems.push(Problem::of(
                key,
                sentence! {
                    en: "`{key}` and `{other}` exclude each other; keep one of them",
                    zh: "`{key}` 与 `{other}` 互斥；请保留其中一个",
                },
            ));
        }
    }
}

/// One loss can be had at a time.
fn check_losses(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let losses = [
        ("use_dft_loss", recipe.use_dft_loss),
        ("use_eaft_loss", recipe.use_eaft_loss),
        ("use_asft_loss", recipe.use_asft_loss),
        ("label_smoothing_factor", recipe.label_smoothing_factor > 0.0),
    ];
    let mut given = losses.into_iter().filter(|(_, on)| *on).map(|(key, _)| key);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        problems.push(Problem::of(
            second,
            sentence! {
                en: "`{first}` and `{second}` both change the loss of a token; keep one of them",
                zh: "`{first}` 与 `{second}` 都改变词元的损失；请保留其中一个",
            },
        ));
    }
}

pub(crate) fn doubt(recipe: &Recipe, doubts: &mut Vec<Problem>) {
    let rate = recipe.learning_rate;
    if rate >= FAST {
        doubts.push(Problem::of(
            "learning_rate",
            sentence! {
                en: "{rate} is far above what models are tuned with (1e-6 to 1e-2): training will diverge",
                zh: "{rate} 远高于常用范围（1e-6 至 1e-2）：训练会发散",
            },
        ));
    }
    doubts.extend(implicit_reference(recipe));
}

/// An adapter that is gone on with is no part of the reference, which is the model without it: after SFT, the one before.
fn implicit_reference(recipe: &Recipe) -> Option<Problem> {
    let goes_on = recipe.trains_adapter() && !recipe.begins_adapter();
    let adapter = recipe.adapter_name_or_path.last().filter(|_| goes_on)?;
    (recipe.has_reference() && recipe.ref_model.is_none()).then(|| {
        Problem::of(
            "adapter_name_or_path",
            sentence! {
                en: "{adapter} is gone on with, so that the reference is the model without it; to be held to what it has \
                     learnt, set `create_new_adapter: true`, or name it in `ref_model_adapters` beside `ref_model`",
                zh: "将继续训练 {adapter}，参考模型因而是不含它的模型；若应以其所学为参考，请设 `create_new_adapter: true`，或在 \
                     `ref_model` 之外以 `ref_model_adapters` 指定它",
            },
        )
    })
}
