//! Lists are not endless, and no data set is named again and again: each name is read by itself.

use crate::args::{Kind, Recipe, Shown, arguments};
use crate::problem::Problem;

/// Names in a list, at most.
const NAMES: usize = 1000;
/// How often a data set may be named.
const TIMES: usize = 10;

pub(crate) fn check(recipe: &Recipe, problems: &mut Vec<Problem>) {
    for argument in arguments().iter().filter(|argument| argument.kind == Kind::List) {
        if let Some(Shown::List(names)) = recipe.field(argument.key).map(|field| field.show()) {
            problems.extend(too_many(argument.key, &names));
        }
    }
}

fn too_many(key: &str, names: &[String]) -> Option<Problem> {
    let count = names.len();
    if count > NAMES {
        let words = sentence! {
            en: "`{key}` has {count} names; at most {NAMES} are allowed",
            zh: "`{key}` 含 {count} 个名称；最多允许 {NAMES} 个",
        };
        return Some(Problem::of(key, words));
    }
    let times = |name: &String| names.iter().filter(|other| *other == name).count();
    let is_data = ["dataset", "eval_dataset"].contains(&key);
    let name = names.iter().find(|name| is_data && times(name) > TIMES)?;
    let count = times(name);
    let words = sentence! {
        en: "`{key}` names `{name}` {count} times; at most {TIMES} times are allowed",
        zh: "`{key}` 中 `{name}` 出现 {count} 次；最多允许 {TIMES} 次",
    };
    Some(Problem::of(key, words))
}
