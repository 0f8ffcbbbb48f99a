//! Rules, each a few names with a value.

use super::field::{Field, Shown, Typed, WrongType};
use super::kind::Kind;
use crate::raw::Raw;
use crate::reader::yaml;
use crate::scalar::yaml_text;

/// Rules in their order, each names with their values as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Vec<(String, String)>>);

impl Typed for Rules {
    const KIND: Kind = Kind::Rules;
    const OPTIONAL: bool = true;
}

/// A YAML list of mappings, or the same as text.
impl Field for Rules {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        let read = match raw {
            Raw::Null => Some(Vec::new()),
            Raw::Mappings(rules) => Some(rules.clone()),
            Raw::Mapping(rule) => Some(vec![rule.clone()]),
            Raw::List(items) if items.is_empty() => Some(Vec::new()),
            Raw::Scalar(text) => yaml::mappings(text),
            Raw::List(_) | Raw::Nested => None,
        };
        self.0 = read.ok_or(WrongType)?;
        Ok(())
    }

    fn show(&self) -> Shown {
        if self.0.is_empty() {
            return Shown::Nothing;
        }
        let rule = |rule: &Vec<(String, String)>| {
            let entries = rule.iter().map(|(name, value)| format!("{}: {}", within(name), within(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        };
        let rules: Vec<String> = self.0.iter().map(rule).collect();
        Shown::Plain(format!("[{}]", rules.join(", ")))
    }
}

/// Text within braces, where commas and brackets end what has no quotes. Numbers have none either way.
fn within(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._+-".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    if text.contains([',', '[', ']', '{', '}', ':']) { crate::scalar::quoted(text) } else { yaml_text(text) }
}
