//! Arguments that mean nothing for the stage or the method: most are noticed (see [`Recipe::notices`]), those that
//! would change what is learned are refused.

use crate::args::{Recipe, find};
use crate::problem::Problem;
use crate::text::Text;

/// The arguments that are refused, and where there is more to say, why.
static REFUSED: &[(&str, Option<Text>)] = &[
    (
        "train_from_scratch",
        Some(words! {
            en: "an adapter on random weights learns nothing",
            zh: "在随机权重上训练适配器没有意义",
        }),
    ),
    (
        "adapter_name_or_path",
        Some(words! {
            en: "full tuning takes a model without adapters",
            zh: "全参数微调不能带适配器",
        }),
    ),
    ("use_llama_pro", None),
    ("neat_packing", None),
    ("train_on_prompt", None),
    ("mask_history", None),
];

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let defaults = Recipe::default();
    for (key, why) in REFUSED {
        let is_given = recipe.get(key) != defaults.get(key);
        let needed = find(key).filter(|_| is_given).and_then(|argument| recipe.lacks_for(argument));
        let Some(needed) = needed else { continue };
        let words = match why {
            Some(why) => sentence! {
                [needed, why]
                en: "`{key}` needs {needed}; {why}",
                zh: "`{key}` 需要 {needed}；{why}",
            },
            None => sentence! {
                [needed]
                en: "`{key}` means something for {needed} only; remove it",
                zh: "`{key}` 只用于 {needed}；请删除",
            },
        };
        problems.push(Problem::of(*key, words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_an_argument_of_some_stages_or_methods() {
        for (key, _) in REFUSED {
            let argument = find(key).unwrap();
            assert!(!argument.stages.is_empty() || !argument.methods.is_empty(), "{key}");
        }
    }
}
