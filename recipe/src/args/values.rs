//! What keys without effect take: another value shows that something else was meant.

use crate::problem::Problem;
use crate::raw::Raw;
use crate::scalar::whole_number;
use crate::suggest::offer;
use crate::text::Sentence;

/// What a key takes.
enum Takes {
    /// A whole number, at least 1.
    Count,
    /// True or false.
    Truth,
    /// A file of JSON, or what stands in one.
    Json,
    /// One or more of these words.
    Words(&'static [&'static str]),
}

/// The words of transformers' `FSDPOption`; on newer versions the option is a truth value.
const FSDP: &[&str] = &[
    "full_shard",
    "shard_grad_op",
    "no_shard",
    "hybrid_shard",
    "hybrid_shard_zero2",
    "offload",
    "auto_wrap",
    "true",
    "false",
];

static TAKES: &[(&str, Takes)] = &[
    ("deepspeed", Takes::Json),
    ("fsdp_config", Takes::Json),
    ("fsdp", Takes::Words(FSDP)),
    ("fp8_backend", Takes::Words(&["auto", "torchao", "te", "msamp"])),
    ("fp8_enable_fsdp_float8_all_gather", Takes::Truth),
    ("upcast_layernorm", Takes::Truth),
    ("upcast_lmhead_output", Takes::Truth),
    ("use_ray", Takes::Truth),
    ("ray_num_workers", Takes::Count),
    ("ddp_timeout", Takes::Count),
];

/// Refuses a value that the key does not take.
pub(super) fn check(key: &'static str, value: &Raw) -> Result<(), Problem> {
    let Some((_, takes)) = TAKES.iter().find(|(known, _)| *known == key) else { return Ok(()) };
    let wrong = takes.wrong(value);
    let Some(given) = wrong else { return Ok(()) };
    let wanted = takes.wanted(&given);
    Err(Problem::of(
        key,
        sentence! {
            [wanted]
            en: "`{key}` is {given}; give {wanted}",
            zh: "`{key}` 为 {given}；请给出{wanted}",
        },
    ))
}

impl Takes {
    /// What of the value is not taken.
    fn wrong(&self, value: &Raw) -> Option<String> {
        let words =
            |text: &str| text.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let scalar = value.scalar().map(str::trim);
        let fits = match self {
            _ if *value == Raw::Null => true,
            Takes::Count => scalar.and_then(whole_number).is_some_and(|count| count >= 1),
            Takes::Truth => scalar
                .is_some_and(|text| ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))),
            Takes::Json => match value {
                Raw::Mapping(_) | Raw::Nested => true,
                value => value.scalar().is_some_and(|path| path.ends_with(".json") || path.starts_with('{')),
            },
            Takes::Words(known) => {
                let given: Vec<String> = match value {
                    Raw::List(items) => items.clone(),
                    Raw::Scalar(text) => words(text),
                    _ => return Some(value.to_string()),
                };
                let is_known = |word: &String| known.iter().any(|known| word.eq_ignore_ascii_case(known));
                return given.into_iter().find(|word| !is_known(word));
            }
        };
        (!fits).then(|| value.to_string())
    }

    fn wanted(&self, given: &str) -> Sentence {
        match self {
            Takes::Count => words! { en: "a whole number, at least 1", zh: "不小于 1 的整数" }.into(),
            Takes::Truth => words! { en: "true or false", zh: " true 或 false" }.into(),
            Takes::Json => words! { en: "a .json file", zh: " .json 文件" }.into(),
            Takes::Words(known) => {
                let names = known.join(", ");
                let meant = offer(given, known.iter().copied());
                sentence! { [meant] en: "some of {names}{meant}", zh: "以下各项：{names}{meant}" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::accepted;
    use super::*;

    #[test]
    fn what_takes_something_has_no_effect() {
        for (key, _) in TAKES {
            assert!(accepted::find(key).is_some_and(|accepted| accepted.only.is_empty()), "{key}");
        }
    }
}
