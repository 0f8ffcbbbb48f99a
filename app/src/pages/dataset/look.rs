//! What of a data set is looked at, and how. All of it is in the address, so that a view can be kept and shared, and
//! works without script.

use leptos_router::location::Url;
use leptos_router::params::ParamsMap;

use crate::pages::datasets;

#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub name: String,
    /// Number of the first row, counted from 1.
    pub first: u64,
    /// Rows as they stand in their files.
    pub raw: bool,
    /// The row whose tokens are shown.
    pub row: Option<u64>,
    pub settings: Settings,
}

/// How rows are encoded; empty is the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub model: String,
    pub template: String,
    pub cutoff_len: Option<usize>,
    pub plain_text: bool,
    pub train_on_prompt: bool,
    pub mask_history: bool,
    pub default_system: String,
    /// `false` or `null`.
    pub enable_thinking: String,
}

impl Settings {
    /// Whether anything but model, template and cutoff is set.
    pub fn has_advanced(&self) -> bool {
        self.plain_text
            || self.train_on_prompt
            || self.mask_history
            || !self.default_system.is_empty()
            || !self.enable_thinking.is_empty()
    }
}

impl Look {
    pub fn read(name: String, query: &ParamsMap) -> Look {
        let text = |key: &str| query.get(key).unwrap_or_default();
        Look {
            name,
            first: text("first").parse().unwrap_or(1).max(1),
            raw: text("view") == "raw",
            row: text("row").parse().ok(),
            settings: Settings {
                model: text("model"),
                template: text("template"),
                cutoff_len: text("cutoff_len").parse().ok().filter(|length| *length > 0),
                plain_text: text("stage") == "pt",
                train_on_prompt: text("train_on_prompt") == "true",
                mask_history: text("mask_history") == "true",
                default_system: text("default_system"),
                enable_thinking: text("enable_thinking"),
            },
        }
    }

    /// The page that shows this.
    pub fn address(&self) -> String {
        let mut query = Vec::new();
        for (key, value) in self.parts() {
            query.push(format!("{key}={}", Url::escape(&value)));
        }
        let page = datasets::address(&self.name);
        if query.is_empty() { page } else { format!("{page}?{}", query.join("&")) }
    }

    /// The query's keys and values: what differs from the default.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings.clone();
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let on = |on: bool| on.then(|| "true".to_owned());
        let parts = [
            ("first", (self.first > 1).then(|| self.first.to_string())),
            ("view", self.raw.then(|| "raw".to_owned())),
            ("row", self.row.map(|row| row.to_string())),
            ("model", given(settings.model)),
            ("template", given(settings.template)),
            ("cutoff_len", settings.cutoff_len.map(|length| length.to_string())),
            ("stage", settings.plain_text.then(|| "pt".to_owned())),
            ("train_on_prompt", on(settings.train_on_prompt)),
            ("mask_history", on(settings.mask_history)),
            ("default_system", given(settings.default_system)),
            ("enable_thinking", given(settings.enable_thinking)),
        ];
        parts.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back() {
        let mut look = Look::read("a b/ü".into(), &ParamsMap::new());
        assert_eq!(look.address(), "/datasets/a%20b%2F%C3%BC");
        look.raw = true;
        look.row = Some(7);
        look.first = 21;
        look.settings = Settings {
            model: "models/wick".into(),
            template: "qwen".into(),
            cutoff_len: Some(64),
            plain_text: true,
            train_on_prompt: true,
            mask_history: true,
            default_system: "Be brief & kind.".into(),
            enable_thinking: "null".into(),
        };
        let query: ParamsMap = look.parts().into_iter().collect();
        assert_eq!(Look::read(look.name.clone(), &query), look);
        assert!(
            look.address().contains("?first=21&view=raw&row=7&model=models%2Fwick"),
            "{}",
            look.address()
        );
    }
}
