//! Keys that nobody knows.

use crate::args::{self, accepted, tokens};
use crate::problem::Problem;
use crate::suggest::closest;

/// The problem of a key nobody knows. `mark` stands before keys where they are flags.
pub(crate) fn unknown(key: &str, mark: &str) -> Problem {
    let words = match closest(&key.replace('-', "_"), known_keys()) {
        Some(known) => sentence! {
            en: "`{mark}{key}` is not an argument; did you mean `{mark}{known}`?",
            zh: "没有名为 `{mark}{key}` 的参数；是否想写 `{mark}{known}`？",
        },
        None => sentence! {
            en: "`{mark}{key}` is not an argument; remove it or see docs/arguments.md for those there are",
            zh: "没有名为 `{mark}{key}` 的参数；请删除，或在 docs/arguments.md 中查看全部参数",
        },
    };
    Problem::of(key, words)
}

fn known_keys() -> impl Iterator<Item = &'static str> {
    let arguments = args::arguments().iter().map(|argument| argument.key);
    arguments.chain(accepted::all().map(|accepted| accepted.key)).chain(tokens::keys())
}
