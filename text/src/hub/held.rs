//! What the files of a cache hold that has one place for a file, whatever its revision (ModelScope's).
//!
//! Beside the files of a repository, `.chandler/PATH.etag` says which contents were fetched to `PATH`. A note is good for
//! as long as its file has the size and the time that it had then: the hub's own tools may have put another there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{RemoteFile, blob};

const NOTES: &str = ".chandler";
const ENDING: &str = ".etag";

/// A note.
#[derive(Deserialize, Serialize)]
struct Held {
    /// Branch, tag or commit that was asked for.
    revision: String,
    /// SHA-256 of the contents, if the hub named it.
    hash: Option<String>,
    size: u64,
    modified: SystemTime,
}

fn note(folder: &Path, path: &str) -> PathBuf {
    folder.join(NOTES).join(format!("{path}{ENDING}"))
}

fn read(folder: &Path, path: &str) -> Option<Held> {
    let held: Held = serde_json::from_slice(&fs::read(note(folder, path)).ok()?).ok()?;
    let found = fs::metadata(folder.join(path)).ok()?;
    (found.len() == held.size && found.modified().ok()? == held.modified).then_some(held)
}

/// Whether the cache holds `file` as it is at `revision`.
pub(super) fn is_there(folder: &Path, revision: &str, file: &RemoteFile) -> bool {
    let target = folder.join(&file.path);
    let Ok(found) = fs::metadata(&target) else { return false };
    if file.size.is_some_and(|size| size != found.len()) {
        return false;
    }
    let same = |hash: &str, expected: &str| hash.eq_ignore_ascii_case(expected);
    match (read(folder, &file.path), file.etag.as_deref()) {
        (Some(held), Some(expected)) => held.hash.is_some_and(|hash| same(&hash, expected)),
        (Some(held), None) => held.revision == revision,
        (None, Some(expected)) => {
            let hash = File::open(&target).and_then(|file| blob::hash(file, Sha256::new()));
            hash.is_ok_and(|hash| same(&hash, expected))
        }
        (None, None) => false,
    }
}

/// Notes that the cache holds `file` as it is at `revision`.
pub(super) fn remember(folder: &Path, revision: &str, file: &RemoteFile) {
    let known = read(folder, &file.path);
    if known.is_some_and(|held| held.revision == revision && held.hash == file.etag) {
        return;
    }
    let write = || -> Option<()> {
        let found = fs::metadata(folder.join(&file.path)).ok()?;
        let (revision, hash, size) = (revision.to_owned(), file.etag.clone(), found.len());
        let held = Held { revision, hash, size, modified: found.modified().ok()? };
        let note = note(folder, &file.path);
        blob::create_parent(&note).ok()?;
        fs::write(&note, serde_json::json!(held).to_string()).ok()
    };
    // Without a note the file is looked at, or fetched, once more.
    let _ = write();
}

/// The revision that `path` was fetched at, where that is known.
pub(super) fn revision(folder: &Path, path: &str) -> Option<String> {
    read(folder, path).map(|held| held.revision)
}

/// Removes what another revision has left: fetched files that are not among `wanted`.
pub(super) fn keep_only(folder: &Path, wanted: &[String]) {
    for note in super::files_below(&folder.join(NOTES)).unwrap_or_default() {
        let Some(path) = note.strip_suffix(ENDING) else { continue };
        if read(folder, path).is_some() && !wanted.iter().any(|wanted| wanted == path) {
            // What cannot be removed is as it was before.
            let _ = fs::remove_file(folder.join(path));
        }
    }
}
