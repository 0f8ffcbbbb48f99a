//! Which modules an adapter's configuration means, by PEFT's rules.

use fancy_regex::Regex;
use recipe::module_matches;
use serde_json::{Value, json};

use crate::Result;
use crate::families::Config;

/// Modules by their names.
#[derive(Clone, Debug)]
pub enum Modules {
    /// Whole names, or their ends after a dot.
    Names(Vec<String>),
    /// A regular expression that fits whole names; a text instead of a list.
    Pattern(String, Box<Regex>),
}

impl Default for Modules {
    fn default() -> Self {
        Modules::Names(Vec::new())
    }
}

impl Modules {
    pub(super) fn read(json: &Config, key: &str) -> Result<Option<Modules>> {
        Ok(match json.get(key) {
            Some(Value::String(pattern)) => {
                let regex = whole(pattern).map_err(|error| {
                    json.error(key, format!("is `{pattern}`, which is no regular expression: {error}"))
                })?;
                Some(Modules::Pattern(pattern.clone(), Box::new(regex)))
            }
            Some(_) => Some(Modules::Names(names(json, key)?)),
            None => None,
        })
    }

    pub(super) fn contain(&self, module: &str) -> bool {
        match self {
            Modules::Names(names) => names.iter().any(|name| module_matches(module, name)),
            Modules::Pattern(_, regex) => regex.is_match(module).unwrap_or(false),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Modules::Names(names) => json!(names),
            Modules::Pattern(pattern, _) => json!(pattern),
        }
    }
}

/// Python's `fullmatch`.
fn whole(pattern: &str) -> std::result::Result<Regex, Box<fancy_regex::Error>> {
    Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(Box::new)
}

/// A list of names.
pub(super) fn names(json: &Config, key: &str) -> Result<Vec<String>> {
    let Some(value) = json.get(key) else { return Ok(Vec::new()) };
    let names = value.as_array().map(|list| list.iter().map(|x| x.as_str().map(str::to_owned)));
    let names = names.and_then(Iterator::collect::<Option<_>>);
    names.ok_or_else(|| json.error(key, format!("must be a list of names, found {value}")))
}

/// Layers that are adapted alone: `layers_to_transform`, found in a module's name behind `layers_pattern`.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    numbers: Vec<u64>,
    /// Each has the number of the layer as its first group; the first that fits counts.
    places: Vec<Regex>,
}

impl Layers {
    pub(super) fn read(json: &Config) -> Result<Option<Layers>> {
        const NUMBERS: &str = "layers_to_transform";
        const PATTERN: &str = "layers_pattern";
        let numbers = match json.get(NUMBERS) {
            None => return Ok(None),
            Some(Value::Array(list)) if list.is_empty() => return Ok(None),
            Some(Value::Array(list)) => list.iter().map(Value::as_u64).collect(),
            Some(one) => one.as_u64().map(|one| vec![one]),
        };
        let numbers = numbers.ok_or_else(|| {
            let found = json.get(NUMBERS).unwrap_or(&Value::Null);
            json.error(NUMBERS, format!("must be a number or a list of numbers, found {found}"))
        })?;
        let mut patterns = match json.get(PATTERN) {
            Some(Value::String(one)) => vec![one.clone()],
            _ => names(json, PATTERN)?,
        };
        patterns.retain(|pattern| !pattern.is_empty());
        if patterns.is_empty() {
            patterns.push(r"[^.]*".to_owned());
        }
        let place = |pattern: &String| {
            Regex::new(&format!(r"\A.*\.{pattern}\.(\d+)\.")).map_err(|error| {
                json.error(PATTERN, format!("has `{pattern}`, which is no pattern: {error}"))
            })
        };
        Ok(Some(Layers { numbers, places: patterns.iter().map(place).collect::<Result<_>>()? }))
    }

    pub(super) fn contain(&self, module: &str) -> bool {
        let number = self.places.iter().find_map(|place| place.captures(module).ok().flatten());
        let number = number.and_then(|found| found.get(1)?.as_str().parse().ok());
        number.is_some_and(|number| self.numbers.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(value: Value) -> Config {
        Config { path: PathBuf::from("adapter_config.json"), values: value.as_object().unwrap().clone() }
    }

    fn read(value: Value) -> Modules {
        Modules::read(&config(json!({"target_modules": value})), "target_modules").unwrap().unwrap()
    }

    #[test]
    fn a_list_means_ends_of_names_and_a_text_fits_whole_ones() {
        let (q, mlp) = ("model.layers.10.self_attn.q_proj", "model.layers.1.mlp.up_proj");
        let list = read(json!(["q_proj", "model.layers.1.mlp.up_proj"]));
        assert!(list.contain(q) && list.contain(mlp) && !list.contain("model.layers.0.self_attn.eq_proj"));
        let text = read(json!(r"model\.layers\.\d+\.(?!mlp).*\.(q|up)_proj"));
        assert!(text.contain(q) && !text.contain(mlp));
        assert!(!read(json!("q_proj")).contain(q));
        assert_eq!(text.to_json(), json!(r"model\.layers\.\d+\.(?!mlp).*\.(q|up)_proj"));
        let wrong = Modules::read(&config(json!({"target_modules": "(q"})), "target_modules").unwrap_err();
        assert!(wrong.to_string().contains("`target_modules` is `(q`, which is no regular"), "{wrong}");
    }

    #[test]
    fn layers_are_found_in_names() {
        let layers = |value: Value| Layers::read(&config(value)).unwrap();
        assert!(layers(json!({})).is_none() && layers(json!({"layers_to_transform": []})).is_none());
        let some = layers(json!({"layers_to_transform": [0, 11]})).unwrap();
        assert!(some.contain("model.layers.11.mlp.up_proj") && !some.contain("model.layers.1.mlp.up_proj"));
        assert!(!some.contain("lm_head"));
        let one = layers(json!({"layers_to_transform": 2, "layers_pattern": ["blocks", "h"]})).unwrap();
        assert!(one.contain("transformer.h.2.attn.c_attn") && !one.contain("model.layers.2.mlp.up_proj"));
    }
}
