//! The text of a `dataset_info.json`: entries by name, and those that do not say one thing alone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::files::{UniqueKeys, has_twice};
use crate::error::{Error, Result};
use crate::files;

/// The entries of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    /// Of a name that is there twice, the first.
    pub all: Map<String, Value>,
    /// What is wrong with those that are there twice, or have a key twice.
    pub ambiguous: BTreeMap<String, String>,
}

impl Entries {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is missing, is not JSON, or is not an object.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path, files::SETTINGS).map_err(|e| Error::read(path, e))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let json = |e: serde_json::Error| Error::json(path, &e, 0);
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let other: Value = serde_json::from_slice(bytes).map_err(json)?;
            let message = super::wrong("an object of datasets by name", &other);
            return Err(Error::Parse { path: path.to_owned(), line: 0, column: 0, message });
        }
        let line = Cell::new(1);
        let mut reader = serde_json::Deserializer::from_reader(Lines { bytes, line: &line });
        let entries = reader.deserialize_map(Reading { line: &line }).map_err(json)?;
        reader.end().map_err(json)?;
        Ok(entries)
    }
}

/// Gives out bytes, and counts the lines that it has begun. Only its reader decides how far that goes: serde_json asks
/// for one byte at a time.
struct Lines<'a> {
    bytes: &'a [u8],
    line: &'a Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let ends = buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + ends);
        Ok(read)
    }
}

struct Reading<'a> {
    line: &'a Cell<usize>,
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of datasets by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Entries, A::Error> {
        let (mut found, mut lines) = (Entries::default(), BTreeMap::new());
        while let Some(name) = entries.next_key::<String>()? {
            let (line, twice) = (self.line.get(), RefCell::default());
            let value = entries.next_value_seed(UniqueKeys(&twice))?;
            let problem = match (lines.get(&name), twice.take()) {
                (Some(first), _) => Some(format!(
                    "stands on line {first} and again on line {line}; one of the two must go or get another name"
                )),
                (None, Some(key)) => Some(format!("{} (the entry begins on line {line})", has_twice(&key))),
                (None, None) => None,
            };
            found.ambiguous.extend(problem.map(|problem| (name.clone(), problem)));
            if !lines.contains_key(&name) {
                lines.insert(name.clone(), line);
                found.all.insert(name, value);
            }
        }
        Ok(found)
    }
}
