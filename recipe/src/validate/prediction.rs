//! Prediction: by a run of its own, on data that there are, of what has answers to draw.

use crate::args::{Recipe, Stage};
use crate::problem::Problem;
use crate::text::Sentence;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let mut wrong = |key: &'static str, words: Sentence| problems.push(Problem::of(key, words));
    if recipe.do_predict {
        check_kind(recipe, &mut wrong);
    }
    if recipe.predict_with_generate {
        check_generation(recipe, &mut wrong);
    }
    let key = if recipe.do_predict { "do_predict" } else { "predict_with_generate" };
    if recipe.do_predict || recipe.predict_with_generate {
        check_data(recipe, key, &mut wrong);
    }
}

/// Examples are predicted one by one, as they come from their files.
fn check_data(recipe: &Recipe, key: &str, wrong: &mut dyn FnMut(&'static str, Sentence)) {
    let others = [("streaming", recipe.streaming), ("tokenized_path", recipe.tokenized_path.is_some())];
    for (other, _) in others.into_iter().filter(|(_, on)| *on) {
        wrong(
            other,
            sentence! {
                en: "`{other}` does not go with `{key}`, which encodes its data by itself; remove `{other}`",
                zh: "`{other}` 不能与 `{key}` 同时使用，后者自行编码数据；请删除 `{other}`",
            },
        );
    }
}

fn check_kind(recipe: &Recipe, wrong: &mut dyn FnMut(&'static str, Sentence)) {
    const KEY: &str = "do_predict";
    let stage = recipe.stage.name();
    if !matches!(recipe.stage, Stage::Sft | Stage::Rm) {
        wrong(
            KEY,
            sentence! {
                en: "`{KEY}` is for `stage: sft` (answers) and `stage: rm` (scores), not {stage}; predict with a recipe of \
                     one of them",
                zh: "`{KEY}` 仅用于 `stage: sft`（回答）与 `stage: rm`（评分），不能用于 {stage}；请改用其一",
            },
        );
    } else if recipe.stage == Stage::Sft && !recipe.predict_with_generate {
        wrong(
            KEY,
            sentence! {
                en: "`{KEY}` of `stage: sft` writes answers: it needs `predict_with_generate: true`",
                zh: "`stage: sft` 的 `{KEY}` 会生成回答，须设置 `predict_with_generate: true`",
            },
        );
    }
    if recipe.do_train {
        wrong(
            KEY,
            sentence! {
                en: "`do_train` and `{KEY}` are two runs; train first, then predict with the result as \
                     `model_name_or_path` or `adapter_name_or_path`",
                zh: "`do_train` 与 `{KEY}` 须分两次运行：先训练，再以其结果作为 `model_name_or_path` 或 \
                     `adapter_name_or_path` 预测",
            },
        );
    } else if recipe.predicted_on().is_empty() {
        wrong(
            KEY,
            sentence! {
                en: "`{KEY}` has no data; name them in `eval_dataset`",
                zh: "`{KEY}` 没有数据；请在 `eval_dataset` 中给出",
            },
        );
    }
}

fn check_generation(recipe: &Recipe, wrong: &mut dyn FnMut(&'static str, Sentence)) {
    const KEY: &str = "predict_with_generate";
    if recipe.stage != Stage::Sft {
        wrong(
            KEY,
            sentence! {
                en: "`{KEY}` means something for `stage: sft` only; remove it",
                zh: "`{KEY}` 只用于 `stage: sft`；请删除",
            },
        );
    }
    // Whoever predicts is told of `do_predict`.
    if recipe.do_train && !recipe.do_predict {
        wrong(
            KEY,
            sentence! {
                en: "`do_train` and `{KEY}` are two runs; train first, then predict with the result as \
                     `model_name_or_path` or `adapter_name_or_path`",
                zh: "`do_train` 与 `{KEY}` 须分两次运行：先训练，再以其结果作为 `model_name_or_path` 或 \
                     `adapter_name_or_path` 预测",
            },
        );
    }
    let others = [
        ("compute_accuracy", recipe.compute_accuracy),
        ("packing", recipe.packing == Some(true)),
        ("neat_packing", recipe.neat_packing),
    ];
    for (other, _) in others.into_iter().filter(|(_, on)| *on) {
        wrong(
            other,
            sentence! {
                en: "`{other}` and `{KEY}` exclude each other, for each example is a prompt of its own; remove one of them",
                zh: "`{other}` 与 `{KEY}` 不能同时使用，因为每个样本都是独立的提示；请删除其中一个",
            },
        );
    }
}
