//! Data sets: what `dataset_info.json` says, what the files hold, and the records they become.

mod alpaca;
mod catalog;
mod entries;
mod entry;
pub mod files;
mod load;
mod look;
mod message;
mod messages;
pub mod mix;
mod split;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, Place};
pub use entry::{Columns, DatasetInfo, Format, HubSource, Source, Tags};
pub use files::{RawRow, Rows};
pub use load::{DataSource, Dataset, Outcome, Seen, Skipped};
pub(crate) use load::{chunk, draw, on_all_cores};
pub use split::Split;

use std::path::PathBuf;
use std::sync::Arc;

use recipe::{Records, Stage};
use serde_json::{Map, Value};

use super::error::{Error, Result};
use super::pyjson;
use super::template::Message;

/// One row of a data set in the form that every stage starts from.
///
/// | kind | prompt | response |
/// |---|---|---|
/// | supervised | odd number of messages | one |
/// | preference | odd | chosen, rejected |
/// | KTO, wanted / unwanted | odd | answer, empty / empty, answer |
/// | plain text | one | none |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What the answer follows, by the table above.
    pub prompt: Vec<Message>,
    /// The answers, by the table above.
    pub response: Vec<Message>,
    /// Empty: none given.
    pub system: String,
    /// JSON list of tools; empty: none given.
    pub tools: String,
    /// Where the row stands.
    pub origin: Origin,
}

/// File and row of a record, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: Arc<PathBuf>,
    /// Counted from 1.
    pub row: usize,
}

impl Origin {
    /// Names file and row where `error` is about tools that the record holds.
    pub(super) fn blame(&self, error: Error) -> Error {
        match error {
            Error::Tool { what, message } => {
                Error::Row { path: self.path.to_path_buf(), row: self.row, key: what.into(), message }
            }
            other => other,
        }
    }
}

/// What a training stage needs its records to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain text to continue.
    Text,
    /// A conversation with its answer.
    Supervised,
    /// A chosen and a rejected answer.
    Preference,
    /// An answer that is wanted or not.
    Feedback,
    /// A prompt; an answer may be there.
    Prompt,
}

impl From<Stage> for Kind {
    fn from(stage: Stage) -> Self {
        match stage.records() {
            Records::Text => Kind::Text,
            Records::Answers => Kind::Supervised,
            Records::Preferences => Kind::Preference,
            Records::Judged => Kind::Feedback,
            Records::Prompts => Kind::Prompt,
        }
    }
}

impl Record {
    /// Why the record cannot serve as `kind`; `None` if it can.
    pub fn unfit(&self, kind: Kind) -> Option<String> {
        let answers = self.response.len();
        if self.prompt.len().is_multiple_of(2) {
            return Some(format!(
                "the prompt has {} messages, but must end with a question",
                self.prompt.len()
            ));
        }
        match kind {
            Kind::Text | Kind::Prompt => None,
            Kind::Supervised if answers == 1 => None,
            Kind::Supervised => Some(format!("has {answers} answers, but needs one")),
            Kind::Preference | Kind::Feedback if answers >= 2 => None,
            Kind::Preference => Some("needs a chosen and a rejected answer".into()),
            Kind::Feedback => Some("needs an answer and whether it is desirable".into()),
        }
    }
}

/// What became of a row.
enum Converted {
    Record(Record),
    /// Left out, and why: key and reason.
    Skipped(String, String),
}

/// A row with the place it came from, for messages.
struct Row<'a> {
    path: &'a Arc<PathBuf>,
    number: usize,
    values: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    fn origin(&self) -> Origin {
        Origin { path: Arc::clone(self.path), row: self.number }
    }

    fn error(&self, key: &str, message: impl Into<String>) -> Error {
        Error::Row {
            path: self.path.to_path_buf(),
            row: self.number,
            key: key.to_owned(),
            message: message.into(),
        }
    }

    /// The value of an optional column; null counts as missing.
    fn get(&self, column: Option<&str>) -> Option<&'a Value> {
        column.and_then(|column| self.values.get(column)).filter(|value| !value.is_null())
    }

    /// A text; missing is empty.
    fn text(&self, column: Option<&str>) -> Result<&'a str> {
        let Some(value) = self.get(column) else { return Ok("") };
        value.as_str().ok_or_else(|| self.error(column.unwrap_or_default(), wrong("a text", value)))
    }

    /// True or false, also as 1 or 0, or written out (CSV has nothing else); missing is `None`.
    fn truth(&self, column: Option<&str>) -> Result<Option<bool>> {
        let Some(value) = self.get(column) else { return Ok(None) };
        let text = match value {
            Value::Bool(truth) => return Ok(Some(*truth)),
            Value::String(text) => text.to_lowercase(),
            other => other.to_string(),
        };
        match text.as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(self.error(column.unwrap_or_default(), wrong("true or false", value))),
        }
    }

    /// A text, or JSON that is then written as text.
    fn text_or_json(&self, column: Option<&str>) -> Result<String> {
        Ok(match self.get(column) {
            Some(value @ (Value::Array(_) | Value::Object(_))) => pyjson::dumps(value),
            _ => self.text(column)?.to_owned(),
        })
    }

    /// Pictures, sound and film cannot be trained on.
    fn refuse_media(&self, columns: &Columns) -> Result<()> {
        for column in [&columns.images, &columns.videos, &columns.audios] {
            let column = column.as_deref();
            let is_empty = |value: &Value| matches!(value, Value::Array(items) if items.is_empty());
            if self.get(column).is_some_and(|value| !is_empty(value)) {
                return Err(self.error(column.unwrap_or_default(), "has media; only text can be trained on"));
            }
        }
        Ok(())
    }
}

/// `should be a text, not a number (3)`.
fn wrong(expected: &str, got: &Value) -> String {
    let kind = match got {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let mut shown: String = got.to_string().chars().take(60).collect();
    if shown.len() < got.to_string().len() {
        shown.push('…');
    }
    format!("should be {expected}, not {kind}: {shown}")
}
