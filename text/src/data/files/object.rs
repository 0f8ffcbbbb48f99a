//! One row of JSON: an object whose keys are all different.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::wrong;
use crate::error::{Error, Result};

/// Parses one JSON object and refuses a key that is there twice.
///
/// # Errors
/// What is wrong, with line and column.
fn parse_object(text: &str) -> std::result::Result<Map<String, Value>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let twice = RefCell::default();
    let value = UniqueKeys(&twice).deserialize(&mut reader)?;
    reader.end()?;
    if let Some(key) = twice.take() {
        return Err(serde_json::Error::custom(has_twice(&key)));
    }
    match value {
        Value::Object(map) => Ok(map),
        other => Err(serde_json::Error::custom(wrong("an object", &other))),
    }
}

/// Row number `number` of `path`, which stands at `place` (line and column), and whether it has words that were read as
/// null: Python writes an empty number as `NaN`, which JSON does not know.
pub(super) fn parse(
    path: &Path,
    number: usize,
    bytes: &[u8],
    (line, column): (usize, usize),
) -> Result<(Map<String, Value>, bool)> {
    let error = |line: usize, column: usize, message: String| Error::Parse {
        path: path.to_owned(),
        line,
        column,
        message: format!("row {number} {message}"),
    };
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let before = bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        error(line + before, 0, "is not UTF-8; save the file as UTF-8".into())
    })?;
    let strict = match parse_object(text) {
        Ok(row) => return Ok((row, false)),
        Err(e) => e,
    };
    let words = strict.is_syntax().then(|| Nulls::of(text)).flatten();
    let (text, e) = match &words {
        None => (text, strict),
        Some(nulls) => match parse_object(&nulls.text) {
            Ok(row) => return Ok((row, true)),
            Err(e) => (nulls.text.as_str(), e),
        },
    };
    let full = e.to_string();
    let message = full.split(" at line ").next().unwrap_or(&full);
    let column_there =
        e.column() - words.as_ref().map_or(0, |nulls| nulls.wider_before(e.line(), e.column()));
    let at = if e.line() <= 1 {
        (line, column + column_there.max(1) - 1)
    } else {
        (line + e.line() - 1, column_there)
    };
    Err(match e.classify() {
        serde_json::error::Category::Data => {
            let read_as = if words.is_some() { NULLS } else { "" };
            error(line, 0, format!("{message}{read_as}"))
        }
        _ => error(at.0, at.1, format!("is not valid JSON: {}", explained(message, rest(text, &e)))),
    })
}

/// What stands behind a message about a value that is null, where the file may say otherwise.
pub(in crate::data) const NULLS: &str = " (NaN and Infinity are read as null)";

/// A text whose `NaN`, `Infinity` and `-Infinity` are `null`.
struct Nulls {
    text: String,
    /// Line and column of each `null` that is longer than the word it stands for.
    wider: Vec<(usize, usize)>,
}

impl Nulls {
    /// `None` if there are no such words outside of texts.
    fn of(text: &str) -> Option<Self> {
        const NULL: &str = "null";
        let mut nulls = Self { text: String::new(), wider: Vec::new() };
        let (mut copied, mut at, mut line, mut line_start) = (0, 0, 1, 0);
        let (mut in_text, mut value_may_start) = (false, true);
        let bytes = text.as_bytes();
        while let Some(byte) = bytes.get(at) {
            let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| {
                let behind = bytes.get(at + word.len());
                bytes[at..].starts_with(word.as_bytes())
                    && behind.is_none_or(|byte| b",]}".contains(byte) || byte.is_ascii_whitespace())
            });
            match (byte, word) {
                (b'\\', _) if in_text => at += 1,
                (b'"', _) => in_text = !in_text,
                (b'\n', _) => (line, line_start) = (line + 1, nulls.text.len() + at + 1 - copied),
                (_, Some(word)) if !in_text && value_may_start => {
                    nulls.text.push_str(&text[copied..at]);
                    if word.len() < NULL.len() {
                        nulls.wider.push((line, nulls.text.len() - line_start + 1));
                    }
                    nulls.text.push_str(NULL);
                    nulls.text.extend(std::iter::repeat_n(' ', word.len().saturating_sub(NULL.len())));
                    at += word.len();
                    copied = at;
                    value_may_start = false;
                    continue;
                }
                _ => {}
            }
            value_may_start = b":,[".contains(byte) || (value_may_start && byte.is_ascii_whitespace());
            at += 1;
        }
        if copied == 0 {
            return None;
        }
        nulls.text.push_str(&text[copied..]);
        Some(nulls)
    }

    /// By how many bytes a place of a line is further to the right than in the file.
    fn wider_before(&self, line: usize, column: usize) -> usize {
        self.wider.iter().filter(|(there, start)| *there == line && *start < column).count()
    }
}

/// What stands where `error` was found.
fn rest<'t>(text: &'t str, error: &serde_json::Error) -> &'t str {
    let line = text.split_inclusive('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    line.get(error.column().saturating_sub(1)..).unwrap_or_default()
}

/// serde_json's `message`, and what is meant by it where `rest` stands.
fn explained(message: &str, rest: &str) -> String {
    let why = match rest {
        _ if message.contains("surrogate") || message == "unexpected end of hex escape" => {
            "half of a surrogate pair, such as \\ud83d alone, is no character"
        }
        _ if rest.starts_with('\'') => "keys and texts stand in \"double quotes\"",
        _ if ["True", "False", "None"].iter().any(|word| rest.starts_with(word)) => {
            "Python's True, False and None are written true, false and null"
        }
        _ if ["//", "/*", "#"].iter().any(|open| rest.starts_with(open)) => "JSON has no comments",
        _ => return message.to_owned(),
    };
    format!("{message}: {why}")
}

pub(in crate::data) fn has_twice(key: &str) -> String {
    format!("has the key \"{key}\" twice")
}

/// Reads a value and notes a key that an object has twice; serde_json's own reader would let the last one win.
#[derive(Clone, Copy)]
pub(in crate::data) struct UniqueKeys<'a>(pub &'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&key) {
                self.0.replace(Some(key));
            } else {
                map.insert(key, value);
            }
        }
        Ok(Value::Object(map))
    }
}
