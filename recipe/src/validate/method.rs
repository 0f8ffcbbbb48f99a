//! The method's own settings.

use crate::args::Recipe;
use crate::problem::Problem;

pub fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
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
