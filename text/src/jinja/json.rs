//! `tojson`: Python's `json.dumps`, without HTML escapes.

use std::cmp::Ordering;

use super::arguments::Given;
use super::budget;
use super::display::{float_text, repr};
use super::error::{JinjaError, Result, fail};
use super::operators::order;
use super::value::Value;

struct Writer {
    ascii: bool,
    indent: Option<String>,
    between_items: String,
    behind_key: String,
    sort: bool,
    out: String,
}

/// `value | tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
///
/// # Errors
/// If the value cannot be written as JSON, or an argument is wrong.
pub(super) fn dumps(value: &Value, given: Given) -> Result<Value> {
    let [ascii, indent, separators, sort] =
        given.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])?;
    let indent = match indent.unwrap_or(Value::None) {
        Value::None => None,
        Value::Text(text) => Some(text.to_string()),
        other => match other.as_integer() {
            Some(count) => {
                let count = usize::try_from(count).unwrap_or_default();
                budget::produce(count)?;
                Some(" ".repeat(count))
            }
            None => return fail(format!("can't multiply sequence by non-int of type '{}'", other.kind())),
        },
    };
    let (between_items, behind_key) = match separators.unwrap_or(Value::None) {
        Value::None if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        Value::None => (", ".to_owned(), ": ".to_owned()),
        other => match other.to_vec()?.as_slice() {
            [Value::Text(items), Value::Text(key)] => (items.to_string(), key.to_string()),
            _ => return fail("separators are two texts: between items and behind a key"),
        },
    };
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (ascii, sort) = (is_true(ascii), is_true(sort));
    let mut writer = Writer { ascii, indent, between_items, behind_key, sort, out: String::new() };
    writer.value(value, 0)?;
    Ok(Value::text(writer.out))
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        budget::spend(budget::EXPRESSION)?;
        match value {
            Value::Text(text) | Value::Markup(text) => self.text(text)?,
            Value::List(items) | Value::Tuple(items) | Value::Group(items) => {
                self.all('[', ']', items, depth, |writer, item| writer.value(item, depth + 1))?;
            }
            Value::Dict(dict) => {
                let mut entries = dict.entries().to_vec();
                if self.sort {
                    sort_by_key(&mut entries)?;
                }
                self.all('{', '}', &entries, depth, |writer, (key, value)| {
                    match key {
                        Value::Text(text) | Value::Markup(text) => writer.text(text)?,
                        Value::None | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                            let text = scalar(key).unwrap_or_default();
                            writer.text(&text)?;
                        }
                        other => {
                            return fail(format!(
                                "keys must be str, int, float, bool or None, not {}",
                                other.kind()
                            ));
                        }
                    }
                    let behind_key = writer.behind_key.clone();
                    writer.out.push_str(&behind_key);
                    writer.value(value, depth + 1)
                })?;
            }
            other => match scalar(other) {
                Some(text) => self.out.push_str(&text),
                None => return fail(format!("Object of type {} is not JSON serializable", other.kind())),
            },
        }
        Ok(())
    }

    fn all<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        depth: usize,
        one: impl Fn(&mut Self, &T) -> Result<()>,
    ) -> Result<()> {
        self.out.push(open);
        for (place, item) in items.iter().enumerate() {
            let indented = self.indent.as_ref().map_or(0, |indent| indent.len() * (depth + 1));
            budget::produce(indented + self.between_items.len() + self.behind_key.len())?;
            if place > 0 {
                let between = self.between_items.clone();
                self.out.push_str(&between);
            }
            self.new_line(depth + 1);
            one(self, item)?;
        }
        if !items.is_empty() {
            self.new_line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        budget::produce(2 * text.len())?;
        let quoted = serde_json::to_string(text).map_err(|e| JinjaError::new(e.to_string()))?;
        if !self.ascii {
            self.out.push_str(&quoted);
            return Ok(());
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                self.out.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        Ok(())
    }
}

fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::None => "null".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(_) => repr(value).ok()?,
        Value::Float(float) if float.is_nan() => "NaN".into(),
        Value::Float(float) if float.is_infinite() => {
            if *float > 0.0 {
                "Infinity".into()
            } else {
                "-Infinity".into()
            }
        }
        Value::Float(float) => float_text(*float),
        _ => return None,
    })
}

fn sort_by_key(entries: &mut [(Value, Value)]) -> Result<()> {
    let mut failed = None;
    entries.sort_by(|(a, _), (b, _)| match order(a, b, "<") {
        Ok(order) => order.unwrap_or(Ordering::Equal),
        Err(error) => {
            failed.get_or_insert(error);
            Ordering::Equal
        }
    });
    failed.map_or(Ok(()), Err)
}
