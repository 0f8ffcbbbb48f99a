//! Training on scores: who gives them, and what there is no place for.

use crate::args::{Recipe, RewardModelType};
use crate::problem::Problem;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    if !recipe.trains_on_answers() {
        return;
    }
    problems.extend(recipe.rules().err());
    check_rewards(recipe, problems);
    let stage = recipe.stage.name();
    if !recipe.do_train {
        problems.push(Problem::of(
            "stage",
            sentence! {
                en: "`stage: {stage}` needs `do_train: true`: it can do nothing but train",
                zh: "`stage: {stage}` 需要 `do_train: true`：该阶段只能训练",
            },
        ));
    }
    if recipe.neftune_noise_alpha.is_some() {
        problems.push(Problem::of(
            "neftune_noise_alpha",
            sentence! {
                en: "`neftune_noise_alpha` does not go with `stage: {stage}`, which compares probabilities with those that its \
                     answers were drawn by; remove it",
                zh: "`neftune_noise_alpha` 不能与 `stage: {stage}` 同用：后者将概率与生成回答时的概率比较；请删除",
            },
        ));
    }
    if recipe.evaluates() {
        let key = if recipe.do_eval { "do_eval" } else { "eval_strategy" };
        problems.push(Problem::of(
            key,
            sentence! {
                en: "`stage: {stage}` has no loss on held-out data, its rewards are measured as it trains; remove `{key}`",
                zh: "`stage: {stage}` 没有留出数据上的损失，奖励在训练中度量；请删除 `{key}`",
            },
        ));
    }
}

fn check_rewards(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let stage = recipe.stage.name();
    let Some((kind, name)) = recipe.reward_model() else {
        if recipe.reward_rules.0.is_empty() {
            problems.push(Problem::of(
                "reward_model",
                sentence! {
                    en: "`stage: {stage}` needs something that scores answers; give `reward_model`, or `reward_rules`",
                    zh: "`stage: {stage}` 需要为回答打分者；请给出 `reward_model` 或 `reward_rules`",
                },
            ));
        }
        return;
    };
    if kind == RewardModelType::Lora && !recipe.is_lora() {
        problems.push(Problem::of(
            "reward_model_type",
            words! {
                en: "`reward_model_type: lora` scores with an adapter on the model that `finetuning_type: lora` leaves as it \
                     is; set `finetuning_type: lora`, or `reward_model_type: full`",
                zh: "`reward_model_type: lora` 在 `finetuning_type: lora` 不改动的模型上以适配器打分；请设 `finetuning_type: lora` 或 \
                     `reward_model_type: full`",
            },
        ));
    }
    if kind == RewardModelType::Lora && recipe.is_lora() && recipe.pissa_init {
        problems.push(Problem::of(
            "pissa_init",
            words! {
                en: "`pissa_init` takes a part out of the model that `reward_model_type: lora` scores with; turn it off, or set \
                     `reward_model_type: full`",
                zh: "`pissa_init` 会从 `reward_model_type: lora` 所用模型中取出一部分权重；请关闭，或设 `reward_model_type: full`",
            },
        ));
    }
    let is_address = name.starts_with("http://") || name.starts_with("https://");
    if is_address != (kind == RewardModelType::Api) {
        let wanted = if is_address { "api" } else { "full" };
        let kind = kind.name();
        problems.push(Problem::of(
            "reward_model_type",
            sentence! {
                en: "`reward_model_type: {kind}` does not go with `reward_model: {name}`; set `reward_model_type: {wanted}`, or \
                     give as `reward_model` an address (http://…) for api and a folder for the others",
                zh: "`reward_model_type: {kind}` 与 `reward_model: {name}` 不符；请设 `reward_model_type: {wanted}`，或将 `reward_model` \
                     设为地址（api）或文件夹（其他）",
            },
        ));
    }
}
