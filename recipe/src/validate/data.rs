//! Data: what is learned of it, how several sets are mixed, and what cannot be done with a stream.

use crate::args::{MixStrategy, Recipe};
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if recipe.train_on_prompt && recipe.mask_history {
        problems.push(Problem::of(
            "mask_history",
            words! {
                en: "`mask_history` and `train_on_prompt` contradict each other; keep one of them",
                zh: "`mask_history` 与 `train_on_prompt` 相互矛盾；请保留其中一个",
            },
        ));
    }
    if recipe.neat_packing && recipe.packing == Some(false) {
        problems.push(Problem::of(
            "packing",
            words! {
                en: "`neat_packing: true` packs, but `packing` is false; remove one of them",
                zh: "`neat_packing: true` 会打包，但 `packing` 为 false；请删除其中一个",
            },
        ));
    }
}

pub(crate) fn check_mixing(recipe: &Recipe, problems: &mut Vec<Problem>) {
    const KEY: &str = "interleave_probs";
    let mut wrong = |words| problems.push(Problem::of(KEY, words));
    if recipe.interleave_probs.is_empty() {
        return;
    }
    let Some(shares) = recipe.interleave_shares() else {
        let given = recipe.interleave_probs.join(", ");
        return wrong(sentence! {
            en: "`{KEY}` is {given}; give numbers above 0 with commas between them",
            zh: "`{KEY}` 为 {given}；请给出以逗号分隔的正数",
        });
    };
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        wrong(sentence! {
            en: "`{KEY}` sums to {sum}; it must sum to 1",
            zh: "`{KEY}` 之和为 {sum}，应为 1",
        });
    }
    if recipe.mix_strategy == MixStrategy::Concat {
        wrong(sentence! {
            en: "`{KEY}` is for interleaving, but `mix_strategy` is concat; set it to interleave_under or interleave_over",
            zh: "`{KEY}` 用于交错混合，但 `mix_strategy` 为 concat；请设为 interleave_under 或 interleave_over",
        });
    }
    let (given, sets) = (shares.len(), recipe.dataset.len());
    if given != sets {
        wrong(sentence! {
            en: "`{KEY}` gives {given} ratios for {sets} datasets; give one for each",
            zh: "`{KEY}` 给出了 {given} 个比例，但有 {sets} 个数据集；请一一对应",
        });
    }
    // Evaluation data that are taken together are mixed as training data are.
    let sets = recipe.eval_dataset.len();
    let is_mixed = recipe.mix_strategy != MixStrategy::Concat && !recipe.eval_on_each_dataset && sets > 1;
    if is_mixed && given != sets {
        wrong(sentence! {
            en: "`{KEY}` gives {given} ratios, but `eval_dataset` names {sets} datasets, which are mixed as those of \
                 `dataset` are; give as many, or set `eval_on_each_dataset: true`",
            zh: "`{KEY}` 给出了 {given} 个比例，但 `eval_dataset` 有 {sets} 个数据集，其混合方式与 `dataset` 相同；\
                 请给出同样数量的数据集，或设置 `eval_on_each_dataset: true`",
        });
    }
}

pub(crate) fn check_streaming(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if !recipe.streaming {
        return;
    }
    if recipe.step_limit().is_none() {
        problems.push(Problem::of(
            "max_steps",
            words! {
                en: "streamed data have no length: `streaming` needs `max_steps`",
                zh: "流式数据没有长度：使用 `streaming` 时须设置 `max_steps`",
            },
        ));
    }
    if recipe.max_samples.is_some() {
        problems.push(Problem::of(
            "max_samples",
            words! {
                en: "`max_samples` does not go with `streaming`; remove one of them",
                zh: "`max_samples` 不能与 `streaming` 同时使用；请删除其中一个",
            },
        ));
    }
    if recipe.val_size > 0.0 && recipe.val_size < 1.0 {
        problems.push(Problem::of(
            "val_size",
            words! {
                en: "of streamed data no ratio can be taken; give `val_size` as a number of rows",
                zh: "流式数据无法按比例划分；请将 `val_size` 设为行数",
            },
        ));
    }
}
