//! What is said of settings that are given by name in one argument (`lr_scheduler_kwargs`, `optim_args`).

use crate::problem::Problem;
use crate::text::Text;

/// A setting that `kind`, which the settings are for, does not take.
pub(crate) fn unknown(key: &str, name: &str, kind: &str, taken: &[&str]) -> Problem {
    let taken = taken.join(", ");
    let words = match taken.as_str() {
        "" => sentence! {
            en: "`{key}` has `{name}`, but `{kind}` takes no settings; remove it",
            zh: "`{key}` 中有 `{name}`，但 `{kind}` 没有参数；请删除",
        },
        taken => sentence! {
            en: "`{key}` has `{name}`, which `{kind}` does not take; it takes {taken}",
            zh: "`{key}` 中有 `{name}`，但 `{kind}` 没有该参数；可用参数：{taken}",
        },
    };
    Problem::of(key, words)
}

/// A setting with a value that it cannot have.
pub(crate) fn refused(key: &str, name: &str, typed: &str, wanted: Text) -> Problem {
    let words = sentence! {
        [wanted]
        en: "`{key}` sets `{name}` to {typed}; give {wanted}",
        zh: "`{key}` 将 `{name}` 设为 {typed}；请给出{wanted}",
    };
    Problem::of(key, words)
}
