//! What an argument takes, in words.

use super::argument::{Argument, Range};
use super::kind::Kind;
use crate::text::{Lang, Sentence};

impl Argument {
    /// Kind and range as a phrase that completes "give …": `an integer ≥ 1`.
    pub fn takes(&self, lang: Lang) -> String {
        self.wanted().get(lang).to_owned()
    }

    /// The phrase of [`Argument::takes`] in every language.
    pub(crate) fn wanted(&self) -> Sentence {
        let kind = kind(self.kind);
        self.range.iter().fold(kind, |kind, range| kind + bounds(range))
    }
}

fn kind(kind: Kind) -> Sentence {
    let words = match kind {
        Kind::Text => words! { en: "a text", zh: "文本" },
        Kind::Path => words! { en: "a path", zh: "路径" },
        Kind::Bool => words! { en: "true or false", zh: "true 或 false" },
        Kind::Integer => words! { en: "an integer", zh: "整数" },
        Kind::Real => words! { en: "a number", zh: "数值" },
        Kind::Steps => {
            words! { en: "an integer, or a ratio below 1,", zh: "整数，或小于 1 的比例，" }
        }
        Kind::List => words! { en: "names, separated by commas", zh: "以逗号分隔的名称" },
        Kind::Settings => words! { en: "settings such as {name: 1}", zh: "形如 {name: 1} 的参数" },
        Kind::Rules => {
            words! { en: "a list of rules such as [{type: length, max: 20}]", zh: "形如 [{type: length, max: 20}] 的规则列表" }
        }
        Kind::Choice([only]) => return Sentence::english(only.value.to_owned()),
        Kind::Choice(choices) => {
            let names: Vec<String> = choices.iter().map(|choice| choice.value.to_owned()).collect();
            let names = Sentence::joined(&names, words! { en: ", ", zh: "、" });
            return sentence! { [names] en: "one of {names}", zh: "{names}" };
        }
    };
    words.into()
}

fn bounds(range: &Range) -> Sentence {
    let min = match (range.min, range.min_allowed) {
        (None, _) => Sentence::default(),
        (Some(min), true) => sentence! { en: " ≥ {min}", zh: " ≥ {min}" },
        (Some(min), false) => sentence! { en: " > {min}", zh: " > {min}" },
    };
    let max = match (range.max, range.max_allowed) {
        (None, _) => Sentence::default(),
        (Some(max), true) => sentence! { en: " and ≤ {max}", zh: " 且 ≤ {max}" },
        (Some(max), false) => sentence! { en: " and < {max}", zh: " 且 < {max}" },
    };
    min + max
}
