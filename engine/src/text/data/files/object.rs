//! One row of JSON: an object whose keys are all different.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::wrong;
use crate::text::error::{Error, Result};

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

/// Row number `number` of `path`, which stands at `place` (line and column).
pub(super) fn parse(
    path: &Path,
    number: usize,
    bytes: &[u8],
    (line, column): (usize, usize),
) -> Result<Map<String, Value>> {
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
    parse_object(text).map_err(|e| {
        let full = e.to_string();
        let message = full.split(" at line ").next().unwrap_or(&full);
        let at = if e.line() <= 1 {
            (line, column + e.column().max(1) - 1)
        } else {
            (line + e.line() - 1, e.column())
        };
        match e.classify() {
            serde_json::error::Category::Data => error(line, 0, message.to_owned()),
            _ => error(at.0, at.1, format!("is not valid JSON: {message}")),
        }
    })
}

pub(in crate::text::data) fn has_twice(key: &str) -> String {
    format!("has the key \"{key}\" twice")
}

/// Reads a value and notes a key that an object has twice; serde_json's own reader would let the last one win.
#[derive(Clone, Copy)]
pub(in crate::text::data) struct UniqueKeys<'a>(pub &'a RefCell<Option<String>>);

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
