//! `dataset_info.json`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::entry::DatasetInfo;
use crate::hub::Hubs;
use crate::text::error::{Error, Result};

const FILE: &str = "dataset_info.json";
/// The `dataset_dir` of which every name is one on a hub.
pub const ONLINE: &str = "ONLINE";

/// The data sets of a folder. Entries are read one by one, so that a broken one does not hide the others.
#[derive(Clone, Debug)]
pub struct Catalog {
    folder: PathBuf,
    path: PathBuf,
    entries: Map<String, Value>,
}

impl Catalog {
    /// Reads `dataset_info.json` of `folder`; [`ONLINE`] has none, names are those of repositories.
    ///
    /// # Errors
    /// If it is missing, is not JSON, or is not an object.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder == Path::new(ONLINE) {
            return Ok(Self { folder: folder.to_owned(), path: folder.to_owned(), entries: Map::new() });
        }
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|e| Error::read(&path, e))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let value: Value = serde_json::from_slice(bytes).map_err(|e| Error::json(&path, &e, 0))?;
        let Value::Object(entries) = value else {
            let message = super::wrong("an object of data sets by name", &value);
            return Err(Error::Parse { path, line: 0, column: 0, message });
        };
        Ok(Self { folder: folder.to_owned(), path, entries })
    }

    /// A catalog of these entries, as if they stood in the file of `folder`.
    pub fn of(folder: &Path, entries: Map<String, Value>) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(FILE), entries }
    }

    /// The entries as they stand in the file.
    pub fn into_entries(self) -> Map<String, Value> {
        self.entries
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// If there is none, or it is wrong.
    pub fn get(&self, name: &str) -> Result<DatasetInfo> {
        let error =
            |message: String| Error::Dataset { path: self.path.clone(), entry: name.to_owned(), message };
        if self.folder == Path::new(ONLINE) {
            let key = if Hubs::from_env().prefer_model_scope { "ms_hub_url" } else { "hf_hub_url" };
            let entry = Map::from_iter([(key.to_owned(), Value::from(name))]);
            return DatasetInfo::parse(&self.folder, name, &entry).map_err(error);
        }
        let entry = self.entries.get(name).ok_or_else(|| error(format!("does not exist{}", self.known())))?;
        let Value::Object(entry) = entry else { return Err(error(super::wrong("an object", entry))) };
        DatasetInfo::parse(&self.folder, name, entry).map_err(error)
    }

    fn known(&self) -> String {
        const SHOWN: usize = 12;
        let names: Vec<&str> = self.names().take(SHOWN).collect();
        let more = if self.entries.len() > SHOWN { ", …" } else { "" };
        if names.is_empty() {
            "; the file has none".into()
        } else {
            format!("; there are {}{more}", names.join(", "))
        }
    }
}
