//! The entries of `dataset_info.json`, and where it is broken.

use std::{fs, path::Path};

use engine::text::{
    Error,
    data::{Catalog, DatasetInfo, Kind, Source},
};
use wire::{BrokenList, DatasetEntry, DatasetList, DatasetPlace, Holds};

use super::files::{self, RowCounts};

/// Lines shown before and behind a broken one.
const AROUND: usize = 3;
/// What is shown of a long line.
const LINE_SHOWN: usize = 200;

/// The data sets of a data folder (a canonical path).
pub(super) fn list(dir: &Path, counts: &RowCounts, largest_upload: u64) -> DatasetList {
    let folder = crate::models::shown(dir);
    match Catalog::open(dir) {
        Ok(catalog) => {
            let entries = catalog.names().map(|name| entry(&catalog, dir, name, counts)).collect();
            DatasetList { folder, entries, largest_upload, broken: None }
        }
        Err(error) => {
            DatasetList { folder, entries: Vec::new(), largest_upload, broken: Some(broken(&error)) }
        }
    }
}

/// The same for a form that picks from them. A list that cannot be read is one entry that says so.
pub(super) fn choices(list: DatasetList) -> Vec<DatasetEntry> {
    let DatasetList { entries, broken, .. } = list;
    let broken = broken.map(|broken| unknown("dataset_info.json", broken.message));
    entries.into_iter().chain(broken).collect()
}

/// The entry called `name`, if the list can be read.
pub(super) fn named(dir: &Path, counts: &RowCounts, name: &str) -> Option<DatasetEntry> {
    Some(entry(&Catalog::open(dir).ok()?, dir, name, counts))
}

/// An entry of which nothing but its problem is known.
fn unknown(name: &str, problem: String) -> DatasetEntry {
    DatasetEntry {
        name: name.to_owned(),
        place: DatasetPlace::Unknown,
        format: String::new(),
        holds: Holds::Answers,
        bytes: None,
        rows: None,
        problem: Some(problem),
    }
}

/// One entry, with what is wrong with it.
pub(super) fn entry(catalog: &Catalog, dir: &Path, name: &str, counts: &RowCounts) -> DatasetEntry {
    let info = match catalog.get(name) {
        Ok(info) => info,
        Err(e) => return unknown(name, e.to_string()),
    };
    let (file, problem) = match files::find(catalog, dir, name) {
        Ok((_, file)) => (file, None),
        Err(problem) => (None, Some(problem)),
    };
    DatasetEntry {
        name: name.to_owned(),
        place: place(&info, dir),
        format: files::format_name(info.format).to_owned(),
        holds: holds(info.holds()),
        bytes: file.as_deref().and_then(size),
        rows: file.as_deref().and_then(|file| counts.of(file)),
        problem,
    }
}

fn place(info: &DatasetInfo, dir: &Path) -> DatasetPlace {
    match &info.source {
        Source::File(path) => {
            DatasetPlace::File(path.strip_prefix(dir).unwrap_or(path).display().to_string())
        }
        Source::Hub(hub) => {
            let id = hub.hugging_face.as_ref().or(hub.model_scope.as_ref());
            DatasetPlace::Hub(id.cloned().unwrap_or_default())
        }
    }
}

fn holds(kind: Kind) -> Holds {
    match kind {
        Kind::Text => Holds::Text,
        Kind::Preference => Holds::Pairs,
        Kind::Feedback => Holds::Judged,
        Kind::Supervised | Kind::Prompt => Holds::Answers,
    }
}

/// Bytes of a file, or of the files directly in a folder.
fn size(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_dir() {
        return Some(metadata.len());
    }
    let files = fs::read_dir(path).ok()?.flatten().filter_map(|entry| entry.metadata().ok());
    Some(files.filter(fs::Metadata::is_file).map(|metadata| metadata.len()).sum())
}

fn broken(error: &Error) -> BrokenList {
    let message = error.to_string();
    let Error::Parse { path, line: line @ 1.., .. } = error else {
        return BrokenList { message, lines: Vec::new(), line: None };
    };
    let text = engine::files::read(path, engine::files::SETTINGS)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let shown = |(place, text): (usize, &str)| (place + 1, text.chars().take(LINE_SHOWN).collect());
    let lines = text.lines().enumerate().map(shown);
    let near = lines.skip(line.saturating_sub(AROUND + 1)).take(2 * AROUND + 1).collect();
    BrokenList { message, lines: near, line: Some(*line) }
}
