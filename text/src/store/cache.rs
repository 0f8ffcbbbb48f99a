//! Where encoded data sets are kept from run to run: one file each, named after a hash of the contents and of every
//! setting that decides what they are encoded to.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::hub;

/// Changes whenever the same data and settings would be encoded otherwise than before.
const VERSION: &str = "2";
/// Files smaller than this together are encoded faster than they are looked up.
const WORTH_KEEPING: u64 = 4 << 20;
/// Encoded data of this size stay; beyond it, what was not used for longest goes.
const ROOM: u64 = 50 << 30;
const ENDING: &str = "tokens";

/// `$CHANDLER_CACHE`, or the user's cache folder.
pub fn folder() -> PathBuf {
    let named = std::env::var_os("CHANDLER_CACHE").filter(|folder| !folder.is_empty());
    let base = named.map_or_else(|| hub::cache_home().join("chandler"), PathBuf::from);
    base.join("encoded")
}

/// The file in `folder` for data `files` encoded with `settings`; `None` if they are too small to be kept.
pub(crate) fn place(
    folder: &Path,
    files: &[PathBuf],
    settings: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Option<PathBuf>> {
    let mut size = 0;
    for file in files {
        size += fs::metadata(file).map_err(|e| Error::read(file, e))?.len();
    }
    if size < WORTH_KEEPING {
        return Ok(None);
    }
    let mut key = Sha256::new();
    key.update(VERSION);
    key.update(settings()?);
    for path in files {
        let file = crate::files::open(path).map_err(|e| Error::read(path, e))?;
        // The kind of a file is read off its name.
        key.update(path.extension().unwrap_or_default().as_encoded_bytes());
        key.update(hub::hash(file, Sha256::new()).map_err(|e| Error::read(path, e))?);
    }
    Ok(Some(folder.join(format!("{}.{ENDING}", hub::hex(&key.finalize())))))
}

/// Notes that `path` is in use, so that it is not the next to go.
pub(crate) fn touch(path: &Path) {
    // Without it the file only goes earlier.
    let _ = File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::now())));
}

/// Removes what was not used for longest, until the rest fits.
pub(crate) fn make_room(folder: &Path) {
    make_room_for(folder, ROOM);
}

fn make_room_for(folder: &Path, room: u64) {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == ENDING))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
    let mut total = 0;
    for (place, (_, size, path)) in files.iter().enumerate() {
        total += size;
        // What was used last stays, however large. A file that cannot be removed takes its room another day.
        if place > 0 && total > room {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_place_depends_on_contents_and_settings() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("d.txt");
        let place = |settings: &str| {
            place(folder.path(), std::slice::from_ref(&file), || Ok(settings.into())).expect("a place")
        };
        fs::write(&file, "small").expect("a file");
        assert_eq!(place("a"), None);
        fs::write(&file, "x".repeat(5 << 20)).expect("a file");
        let first = place("a");
        assert!(first.is_some() && first == place("a") && first != place("b"));
        fs::write(&file, "y".repeat(5 << 20)).expect("a file");
        assert_ne!(place("a"), first);
    }

    #[test]
    fn what_was_used_last_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let now = SystemTime::now();
        for (name, age) in [("a", 30), ("b", 10), ("c", 20)] {
            let path = folder.path().join(format!("{name}.{ENDING}"));
            fs::write(&path, [0; 10]).expect("a file");
            let file = File::options().append(true).open(path).expect("a file");
            let times = FileTimes::new().set_modified(now - Duration::from_secs(age));
            file.set_times(times).expect("times");
        }
        touch(&folder.path().join("a.tokens"));
        make_room_for(folder.path(), 25);
        let left = |name: &str| folder.path().join(name).exists();
        assert!(left("a.tokens") && left("b.tokens") && !left("c.tokens"));
    }
}
