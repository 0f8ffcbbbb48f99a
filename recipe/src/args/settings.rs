//! Names with a value each, such as a schedule's own settings.

use super::field::{Field, Shown, Typed, WrongType};
use super::kind::Kind;
use crate::raw::Raw;

/// Names with their values as typed, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(pub Vec<(String, String)>);

impl Typed for Settings {
    const KIND: Kind = Kind::Settings;
    const OPTIONAL: bool = true;
}

/// A YAML mapping; as text JSON, or the same without quotes and braces: `num_cycles: 3`, `num_cycles=3`.
impl Field for Settings {
    fn read(&mut self, raw: &Raw) -> Result<(), WrongType> {
        let read = match raw {
            Raw::Null => Some(Vec::new()),
            Raw::Mapping(entries) => {
                entries.iter().map(|(name, value)| Some((word(name)?, word(value)?))).collect()
            }
            Raw::Scalar(text) => entries(text),
            Raw::List(_) | Raw::Mappings(_) | Raw::Nested => None,
        };
        self.0 = read.ok_or(WrongType)?;
        Ok(())
    }

    fn show(&self) -> Shown {
        if self.0.is_empty() {
            return Shown::Nothing;
        }
        let entries: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Shown::Plain(format!("{{{}}}", entries.join(", ")))
    }
}

fn entries(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let entry = |entry: &str| {
        let (name, value) = entry.split_once([':', '='])?;
        Some((word(name)?, word(value)?))
    };
    inner.split(',').filter(|part| !part.trim().is_empty()).map(entry).collect()
}

/// A name or number, which needs no quotes.
fn word(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']);
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    is_word.then(|| text.to_owned())
}
