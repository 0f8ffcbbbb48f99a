//! `dataset_info.json`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use recipe::Recipe;
use serde_json::{Map, Value};

use super::entries::Entries;
use super::entry::{DatasetInfo, Source};
use crate::error::{Error, Result};
use crate::hub::{self, Hubs, RepoKind, Watch};

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
    entries: Option<Entries>,
    /// The split of data on a hub whose entry names none.
    split: Option<String>,
}

impl Catalog {
    /// The catalog that a recipe's `dataset_dir` means; that of a repository is fetched.
    ///
    /// # Errors
    /// If it cannot be had, is not JSON, or is not an object.
    pub fn at(dataset_dir: &str) -> Result<Self> {
        Self::at_on(dataset_dir, &Hubs::from_env())
    }

    /// The catalog of a recipe, whose `split` is that of entries that name none.
    ///
    /// # Errors
    /// If it cannot be had, is not JSON, or is not an object.
    pub fn of_recipe(recipe: &Recipe, hubs: &Hubs) -> Result<Self> {
        Ok(Self { split: Some(recipe.split.clone()), ..Self::at_on(&recipe.dataset_dir, hubs)? })
    }

    /// The same, with hubs of one's own.
    fn at_on(dataset_dir: &str, hubs: &Hubs) -> Result<Self> {
        match Place::of(dataset_dir) {
            Place::Folder(folder) => Self::open(folder),
            Place::Online => Ok(Self { folder: None, path: dataset_dir.into(), entries: None, split: None }),
            Place::Remote(id) => Self::remote(id, hubs),
        }
    }

    /// Reads `dataset_info.json` of `folder`.
    ///
    /// # Errors
    /// If it is missing, is not JSON, or is not an object.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let entries = Some(Entries::read(&path)?);
        Ok(Self { folder: Some(folder.to_owned()), path, entries, split: None })
    }

    /// Fetches `dataset_info.json` of a repository of data on the Hugging Face hub.
    pub(crate) fn remote(id: &str, hubs: &Hubs) -> Result<Self> {
        let wrong = |message: String| Error::Setting { key: "dataset_dir", message };
        if !hub::is_repository_id(id) {
            return Err(wrong(format!("\"REMOTE:{id}\" names no repository; write REMOTE:owner/name")));
        }
        let file = hubs.hugging_face.file(RepoKind::Dataset, id, FILE, &mut hub::quietly);
        let path = file.map_err(|e| wrong(e.to_string()))?;
        let entries = Some(Entries::read(&path)?);
        Ok(Self { folder: None, path, entries, split: None })
    }

    /// A catalog of these entries, as if they stood in the file of `folder`.
    pub fn of(folder: &Path, entries: Map<String, Value>) -> Self {
        let entries = Entries { all: entries, ..Entries::default() };
        Self { folder: Some(folder.to_owned()), path: folder.join(FILE), entries: Some(entries), split: None }
    }

    /// The entries as they stand in the file.
    ///
    /// # Errors
    /// If one is there twice, or has a key twice: written back, something would be lost.
    pub fn into_entries(self) -> Result<Map<String, Value>> {
        let ambiguous = self.entries.as_ref().and_then(|entries| entries.ambiguous.first_key_value());
        match ambiguous {
            Some((name, problem)) => Err(self.wrong(name, problem.clone())),
            None => Ok(self.entries.unwrap_or_default().all),
        }
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flat_map(|entries| entries.all.keys()).map(String::as_str)
    }

    /// The entry called `name`.
    ///
    /// # Errors
    /// If there is none, or it is wrong.
    pub fn get(&self, name: &str) -> Result<DatasetInfo> {
        let error = |message: String| self.wrong(name, message);
        let split = self.split.as_deref();
        let Some(entries) = &self.entries else {
            let key = if Hubs::from_env().prefer_model_scope { "ms_hub_url" } else { "hf_hub_url" };
            let entry = Map::from_iter([(key.to_owned(), Value::from(name))]);
            return DatasetInfo::parse(Path::new(""), name, &entry, split).map_err(error);
        };
        if let Some(problem) = entries.ambiguous.get(name) {
            return Err(error(problem.clone()));
        }
        let entry =
            entries.all.get(name).ok_or_else(|| error(format!("does not exist{}", self.known(name))))?;
        let Value::Object(entry) = entry else { return Err(error(super::wrong("an object", entry))) };
        let folder = self.folder.as_deref();
        let info = DatasetInfo::parse(folder.unwrap_or(Path::new("")), name, entry, split).map_err(error)?;
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

    /// Fetches the first files of those of the data sets that are on a hub, so many of each at most, as far as they
    /// are not here; `Break` if `watch` breaks it off.
    ///
    /// # Errors
    /// If an entry is wrong, or its files cannot be had.
    pub fn fetch(&self, names: &[String], most: usize, hubs: &Hubs, watch: Watch) -> Result<ControlFlow<()>> {
        for name in names {
            let info = self.get(name)?;
            let Source::Hub(source) = &info.source else { continue };
            let mut fetch = || {
                let listing = hubs.listing(source, &info.split.name)?;
                (0..listing.files().len().min(most)).try_for_each(|place| listing.get(place, watch).map(drop))
            };
            match fetch() {
                Ok(()) => {}
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

    /// What there is instead of a name: the one that was probably meant, or all of them.
    fn known(&self, name: &str) -> String {
        const SHOWN: usize = 12;
        if let Some(meant) = recipe::closest(name, self.names()) {
            return format!("; did you mean \"{meant}\"?");
        }
        let names: Vec<&str> = self.names().take(SHOWN).collect();
        let more = if self.names().nth(SHOWN).is_some() { ", …" } else { "" };
        if names.is_empty() {
            "; the file has none".into()
        } else {
            format!("; there are {}{more}", names.join(", "))
        }
    }
}
