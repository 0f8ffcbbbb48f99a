//! Rows of JSON, JSON lines and text files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::wrong;
use crate::text::error::{Error, Result};

/// The rows of one file.
#[derive(Clone, Debug)]
pub struct Rows {
    pub path: Arc<PathBuf>,
    pub rows: Vec<Map<String, Value>>,
}

/// Reads a file, or every file of a folder (all of one kind, in the order of their names).
///
/// # Errors
/// If a file is missing, of a kind that is not read, or broken; the message has its line.
pub fn read_rows(path: &Path) -> Result<Vec<Rows>> {
    if path.is_dir() {
        return read_folder(path);
    }
    Ok(vec![read_file(path)?])
}

fn read_folder(folder: &Path) -> Result<Vec<Rows>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let path = entry.map_err(|e| Error::read(folder, e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            files.push(path);
        }
    }
    files.sort();
    let Some(first) = files.first() else { return Err(broken(folder, 0, "the folder holds no files")) };
    if let Some(other) = files.iter().find(|path| kind(path) != kind(first)) {
        let message = format!(
            "a folder must hold files of one kind, but has {} and {}",
            first.file_name().unwrap_or_default().display(),
            other.file_name().unwrap_or_default().display()
        );
        return Err(broken(folder, 0, message));
    }
    files.iter().map(|path| read_file(path)).collect()
}

/// The ending of a file's name in small letters.
fn kind(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn broken(path: &Path, line: usize, message: impl Into<String>) -> Error {
    Error::Parse { path: path.to_owned(), line, column: 0, message: message.into() }
}

fn read_file(path: &Path) -> Result<Rows> {
    let kind = kind(path);
    if !["json", "jsonl", "txt"].contains(&kind.as_str()) {
        return Err(broken(
            path,
            0,
            format!("files ending in \".{kind}\" are not read; use .json, .jsonl or .txt"),
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        broken(path, line, "the text is not UTF-8; save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = if kind == "txt" {
        text.lines().map(|line| Map::from_iter([("text".to_owned(), Value::from(line))])).collect()
    } else if text.trim_start().starts_with('[') {
        array(path, text)?
    } else {
        lines(path, text)?
    };
    if rows.is_empty() {
        return Err(broken(path, 0, "holds no rows"));
    }
    Ok(Rows { path: Arc::new(path.to_owned()), rows })
}

fn array(path: &Path, text: &str) -> Result<Vec<Map<String, Value>>> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|e| Error::json(path, &e, 0))?;
    values.into_iter().enumerate().map(|(place, value)| object(path, place + 1, value)).collect()
}

/// One object a line; blank lines are passed over.
fn lines(path: &Path, text: &str) -> Result<Vec<Map<String, Value>>> {
    let mut rows = Vec::new();
    for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => rows.push(object(path, rows.len() + 1, value)?),
            // Objects may also stand one after the other over several lines.
            Err(e) if e.is_eof() && rows.is_empty() => return values(path, text),
            Err(e) => return Err(Error::json(path, &e, place)),
        }
    }
    Ok(rows)
}

fn values(path: &Path, text: &str) -> Result<Vec<Map<String, Value>>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>().enumerate();
    values
        .map(|(place, value)| object(path, place + 1, value.map_err(|e| Error::json(path, &e, 0))?))
        .collect()
}

fn object(path: &Path, number: usize, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(row) => Ok(row),
        other => Err(broken(path, 0, format!("row {number} {}", wrong("an object", &other)))),
    }
}
