//! What an argument takes, in words.

use super::{Argument, Kind, Range};
use crate::text::Lang;

impl Argument {
    /// Kind and range as a phrase that completes "give …": `a whole number, at least 1`.
    pub fn takes(&self, lang: Lang) -> String {
        let kind = match (self.kind, lang) {
            (Kind::Text, Lang::En) => "a text".to_owned(),
            (Kind::Text, Lang::Zh) => "文本".to_owned(),
            (Kind::Path, Lang::En) => "a path".to_owned(),
            (Kind::Path, Lang::Zh) => "路径".to_owned(),
            (Kind::Bool, Lang::En) => "true or false".to_owned(),
            (Kind::Bool, Lang::Zh) => "true 或 false".to_owned(),
            (Kind::Integer, Lang::En) => "a whole number".to_owned(),
            (Kind::Integer, Lang::Zh) => "整数".to_owned(),
            (Kind::Real, Lang::En) => "a number".to_owned(),
            (Kind::Real, Lang::Zh) => "数值".to_owned(),
            (Kind::Steps, Lang::En) => "a whole number of steps or a share below 1".to_owned(),
            (Kind::Steps, Lang::Zh) => "步数（整数）或小于 1 的比例".to_owned(),
            (Kind::List, Lang::En) => "names, separated by commas".to_owned(),
            (Kind::List, Lang::Zh) => "以逗号分隔的名称".to_owned(),
            (Kind::Settings, Lang::En) => "settings such as {name: 1}".to_owned(),
            (Kind::Settings, Lang::Zh) => "形如 {name: 1} 的参数".to_owned(),
            (Kind::Choice(choices), lang) => {
                let names: Vec<_> = choices.iter().map(|choice| choice.value).collect();
                match (lang, names.len()) {
                    (_, 1) => names.concat(),
                    (Lang::En, _) => format!("one of {}", names.join(", ")),
                    (Lang::Zh, _) => names.join("、"),
                }
            }
        };
        self.range.iter().fold(kind, |kind, range| kind + &bounds(range, lang))
    }
}

fn bounds(range: &Range, lang: Lang) -> String {
    let min = range.min.map(|min| match (lang, range.min_allowed) {
        (Lang::En, true) => format!(", at least {min}"),
        (Lang::En, false) => format!(", above {min}"),
        (Lang::Zh, true) => format!("，不小于 {min}"),
        (Lang::Zh, false) => format!("，大于 {min}"),
    });
    let max = range.max.map(|max| match (lang, range.max_allowed) {
        (Lang::En, true) => format!(" and at most {max}"),
        (Lang::En, false) => format!(" and below {max}"),
        (Lang::Zh, true) => format!("，不大于 {max}"),
        (Lang::Zh, false) => format!("，小于 {max}"),
    });
    min.into_iter().chain(max).collect()
}
