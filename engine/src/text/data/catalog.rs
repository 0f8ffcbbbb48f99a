//! `dataset_info.json`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::entry::{DatasetInfo, Source};
use crate::hub::{self, Hubs, RepoKind, Watch};
use crate::text::error::{Error, Result};

const FILE: &str = "dataset_info.json";

/// What a `dataset_dir` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A folder with a `dataset_info.json`.
    Folder(&'a Path),
    /// `ONLINE`: every name is one of a data set on a hub.
    Online,
    /// `REMOTE:owner/name`: the `dataset_info.json` of a repository of data on the Hugging Face hub.
    Remote(&'a str),
}

impl<'a> Place<'a> {
    pub fn of(dataset_dir: &'a str) -> Self {
        match dataset_dir.strip_prefix("REMOTE:") {
            Some(id) => Place::Remote(id.trim()),
            None if dataset_dir == "ONLINE" => Place::Online,
            None => Place::Folder(Path::new(dataset_dir)),
        }
    }
}

/// The data sets of a folder. Entries are read one by one, so that a broken one does not hide the others.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Where the entries' files are; none for entries that are not in a folder of data.
    folder: Option<PathBuf>,
    path: PathBuf,
    /// None if names are those of repositories.
    entries: Option<Map<String, Value>>,
}

impl Catalog {
    /// The catalog that a recipe's `dataset_dir` means; that of a repository is fetched.
    ///
    /// # Errors
    /// If it cannot be had, is not JSON, or is not an object.
    pub fn at(dataset_dir: &str) -> Result<Self> {
        match Place::of(dataset_dir) {
            Place::Folder(folder) => Self::open(folder),
            Place::Online => Ok(Self { folder: None, path: dataset_dir.into(), entries: None }),
            Place::Remote(id) => Self::remote(id, &Hubs::from_env()),
        }
    }

    /// Reads `dataset_info.json` of `folder`.
    ///
    /// # Errors
    /// If it is missing, is not JSON, or is not an object.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let entries = Some(read(&path)?);
        Ok(Self { folder: Some(folder.to_owned()), path, entries })
    }

    /// Fetches `dataset_info.json` of a repository of data on the Hugging Face hub.
    pub(crate) fn remote(id: &str, hubs: &Hubs) -> Result<Self> {
        let wrong = |message: String| Error::Setting { key: "dataset_dir", message };
        if !hub::is_repository_id(id) {
            return Err(wrong(format!("\"REMOTE:{id}\" names no repository; write REMOTE:owner/name")));
        }
        let file = hubs.hugging_face.file(RepoKind::Dataset, id, FILE, &mut hub::quietly);
        let path = file.map_err(|e| wrong(e.to_string()))?;
        let entries = Some(read(&path)?);
        Ok(Self { folder: None, path, entries })
    }

    /// A catalog of these entries, as if they stood in the file of `folder`.
    pub fn of(folder: &Path, entries: Map<String, Value>) -> Self {
        Self { folder: Some(folder.to_owned()), path: folder.join(FILE), entries: Some(entries) }
    }

    /// The entries as they stand in the file.
    pub fn into_entries(self) -> Map<String, Value> {
        self.entries.unwrap_or_default()
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flat_map(|entries| entries.keys()).map(String::as_str)
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// If there is none, or it is wrong.
    pub fn get(&self, name: &str) -> Result<DatasetInfo> {
        let error = |message: String| self.wrong(name, message);
        let Some(entries) = &self.entries else {
            let key = if Hubs::from_env().prefer_model_scope { "ms_hub_url" } else { "hf_hub_url" };
            let entry = Map::from_iter([(key.to_owned(), Value::from(name))]);
            return DatasetInfo::parse(Path::new(""), name, &entry).map_err(error);
        };
        let entry = entries.get(name).ok_or_else(|| error(format!("does not exist{}", self.known())))?;
        let Value::Object(entry) = entry else { return Err(error(super::wrong("an object", entry))) };
        let folder = self.folder.as_deref();
        let info = DatasetInfo::parse(folder.unwrap_or(Path::new("")), name, entry).map_err(error)?;
        if let (None, Source::File(path)) = (folder, &info.source) {
            let message = format!(
                "\"file_name\" names {}, a file of a folder; where dataset_dir is a repository, an entry \
                 wants \"hf_hub_url\" or \"ms_hub_url\"",
                path.display()
            );
            return Err(error(message));
        }
        Ok(info)
    }

    /// Fetches those of the data sets that are on a hub, as far as they are not here; `Break` if `watch` breaks
    /// it off.
    ///
    /// # Errors
    /// If an entry is wrong, or its files cannot be had.
    pub fn fetch(&self, names: &[String], hubs: &Hubs, watch: Watch) -> Result<ControlFlow<()>> {
        for name in names {
            let info = self.get(name)?;
            let Source::Hub(source) = &info.source else { continue };
            match hubs.data_files(source, &info.split.name, watch) {
                Ok(_) => {}
                Err(hub::Error::Stopped) => return Ok(ControlFlow::Break(())),
                Err(e) => return Err(self.wrong(name, e.to_string())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An error of the entry called `name`.
    pub(super) fn wrong(&self, name: &str, message: String) -> Error {
        Error::Dataset { path: self.path.clone(), entry: name.to_owned(), message }
    }

    fn known(&self) -> String {
        const SHOWN: usize = 12;
        let names: Vec<&str> = self.names().take(SHOWN).collect();
        let more = if self.names().nth(SHOWN).is_some() { ", …" } else { "" };
        if names.is_empty() {
            "; the file has none".into()
        } else {
            format!("; there are {}{more}", names.join(", "))
        }
    }
}

/// The entries of a `dataset_info.json`.
fn read(path: &Path) -> Result<Map<String, Value>> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice(bytes).map_err(|e| Error::json(path, &e, 0))? {
        Value::Object(entries) => Ok(entries),
        other => {
            let message = super::wrong("an object of data sets by name", &other);
            Err(Error::Parse { path: path.to_owned(), line: 0, column: 0, message })
        }
    }
}
