//! Evaluation: what it is made on, and which checkpoint it finds the best.

use crate::args::{Recipe, Steps, Strategy};
use crate::problem::Problem;
use crate::schedule::Curve;
use crate::suggest::offer;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let size = recipe.val_size;
    let held_out = size > 0.0;
    let data = held_out || !recipe.eval_dataset.is_empty();
    if held_out && !recipe.eval_dataset.is_empty() {
        problems.push(Problem::of(
            "val_size",
            words! {
                en: "`val_size` and `eval_dataset` both give evaluation data; keep one of them",
                zh: "`val_size` 与 `eval_dataset` 都提供评估数据；请保留其中一个",
            },
        ));
    }
    if held_out && recipe.dataset.is_empty() {
        problems.push(Problem::of(
            "val_size",
            words! {
                en: "`val_size` takes a part of `dataset`, which is missing",
                zh: "`val_size` 从 `dataset` 中划分，但未给出 `dataset`",
            },
        ));
    }
    if size >= 1.0 && size.fract() != 0.0 {
        problems.push(Problem::of(
            "val_size",
            sentence! {
                en: "`val_size` is {size}; from 1 on it is a number of rows, so give a whole one",
                zh: "`val_size` 为 {size}；大于等于 1 时表示行数，请给出整数",
            },
        ));
    }
    if !data && recipe.evaluates() {
        let key = if recipe.eval_strategy != Strategy::No { "eval_strategy" } else { "do_eval" };
        problems.push(Problem::of(
            key,
            sentence! {
                en: "`{key}` asks for evaluation, but there is no data for it; set `val_size` or `eval_dataset`",
                zh: "`{key}` 要求评估，但没有评估数据；请设置 `val_size` 或 `eval_dataset`",
            },
        ));
    }
}

/// What counts evaluations wants some during training.
pub(crate) fn check_early_stopping(recipe: &Recipe, problems: &mut Vec<Problem>) {
    const KEY: &str = "early_stopping_steps";
    if recipe.early_stopping_steps.is_some() && recipe.eval_strategy == Strategy::No {
        problems.push(Problem::of(
            KEY,
            sentence! {
                en: "`{KEY}` counts evaluations during training, but there are none; set `eval_strategy` to steps or epoch",
                zh: "`{KEY}` 统计训练中的评估次数，但训练中不评估；请将 `eval_strategy` 设为 steps 或 epoch",
            },
        ));
    }
}

/// A schedule that follows evaluations wants some during training, and to know which are better.
pub(crate) fn check_schedule(recipe: &Recipe, problems: &mut Vec<Problem>) {
    const KEY: &str = "lr_scheduler_type";
    let kind = recipe.lr_scheduler_type;
    if !kind.is_measured() {
        return;
    }
    let name = kind.name();
    if recipe.eval_strategy == Strategy::No {
        problems.push(Problem::of(
            KEY,
            sentence! {
                en: "`{KEY}: {name}` follows evaluations during training, but there are none; set `eval_strategy` to steps \
                     or epoch",
                zh: "`{KEY}: {name}` 依据训练中的评估，但训练中不评估；请将 `eval_strategy` 设为 steps 或 epoch",
            },
        ));
    }
    let (metric, greater) = recipe.best_metric();
    if let Ok(Curve::Measured(measured)) = recipe.curve()
        && measured.greater != greater
    {
        let (mode, better) = if greater { ("max", "more") } else { ("min", "less") };
        problems.push(Problem::of(
            "lr_scheduler_kwargs",
            sentence! {
                en: "of {metric} {better} is better (`metric_for_best_model`, `greater_is_better`), but the schedule takes it \
                     the other way round; give `lr_scheduler_kwargs: {{mode: {mode}}}`",
                zh: "{metric} 的优劣方向（`metric_for_best_model`、`greater_is_better`）与学习率调度相反；请设置 \
                     `lr_scheduler_kwargs: {{mode: {mode}}}`",
            },
        ));
    }
}

/// The best checkpoint can be told only where checkpoints are evaluated, and what tells it must be measured.
pub(crate) fn check_best(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if recipe.load_best_model_at_end {
        check_checkpoints(recipe, problems);
    }
    if recipe.compares_evaluations() {
        check_metric(recipe, problems);
    }
}

fn check_checkpoints(recipe: &Recipe, problems: &mut Vec<Problem>) {
    const KEY: &str = "load_best_model_at_end";
    if recipe.eval_strategy == Strategy::No || recipe.eval_strategy != recipe.save_strategy {
        problems.push(Problem::of(
            KEY,
            sentence! {
                en: "`{KEY}` needs `eval_strategy` and `save_strategy` to be the same, steps or epoch",
                zh: "`{KEY}` 要求 `eval_strategy` 与 `save_strategy` 相同，均为 steps 或 epoch",
            },
        ));
    }
    let evaluated = recipe.eval_steps.unwrap_or(recipe.logging_steps);
    if let (Strategy::Steps, Steps::Count(save), Steps::Count(eval)) =
        (recipe.save_strategy, recipe.save_steps, evaluated)
        && !save.is_multiple_of(eval)
    {
        problems.push(Problem::of(
            "save_steps",
            sentence! {
                en: "`save_steps` is {save}; with `{KEY}` it must be a multiple of `eval_steps`, {eval}",
                zh: "`save_steps` 为 {save}；使用 `{KEY}` 时须为 `eval_steps`（{eval}）的倍数",
            },
        ));
    }
}

fn check_metric(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let known = metrics(recipe);
    let (metric, _) = recipe.best_metric();
    let metric = metric.trim_start_matches("eval_");
    if !known.iter().any(|name| name == metric) {
        let meant = offer(metric, known.iter().map(String::as_str));
        let known = known.join(", ");
        problems.push(Problem::of(
            "metric_for_best_model",
            sentence! {
                [meant]
                en: "`metric_for_best_model` is {metric}; evaluation gives {known}{meant}",
                zh: "`metric_for_best_model` 为 {metric}；评估给出的指标为 {known}{meant}",
            },
        ));
    }
}

/// What evaluation measures, of each data set where each is evaluated by itself.
fn metrics(recipe: &Recipe) -> Vec<String> {
    let sets: Vec<String> = match recipe.eval_on_each_dataset {
        true => recipe.eval_dataset.iter().map(|name| format!("{name}_")).collect(),
        false => vec![String::new()],
    };
    let metrics = ["loss", "accuracy"].into_iter().take(1 + usize::from(recipe.compute_accuracy));
    metrics.flat_map(|metric| sets.iter().map(move |set| format!("{set}{metric}"))).collect()
}
