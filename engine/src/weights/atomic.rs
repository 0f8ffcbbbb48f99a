//! Files and folders that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// The end of the name of what is not complete.
const PARTIAL: &str = ".partial";
/// What is about to be replaced.
const OLD: &str = "old";

/// Writes a file beside its place, syncs it, and moves it there.
///
/// # Errors
/// With the path, if it cannot be written; what was there is as it was.
pub fn write_atomic(path: &Path, contents: &[u8]) -> Result<()> {
    let beside = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // Best effort: the error to report is the first one.
        let _ = fs::remove_file(&beside);
        Error::io(path, error)
    })
}

/// Has `write` make a file in a folder beside its place, syncs it, and moves it there. Whoever makes it may leave what
/// it likes in that folder when it is killed: the next one begins with an empty folder.
///
/// # Errors
/// As of `write`, or with the path; what was there is as it was.
pub fn write_beside(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = beside(path);
    let file = folder.join("new");
    let result = (|| {
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        write(&file)?;
        sync_one(&file)?;
        fs::rename(&file, path).map_err(|error| Error::io(path, error))
    })();
    let removed = remove(&folder);
    result.and(removed)
}

/// Removes from a folder what writers left there that were killed over it, and puts back what they had taken out of
/// the way.
///
/// # Errors
/// If something cannot be removed.
pub fn clear_partial(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let removed = if name.starts_with('.') && name.ends_with(PARTIAL) || is_temporary(&name) {
            delete(&path)
        } else if name.ends_with(&format!(".{OLD}")) && path.is_dir() {
            let place = path.with_extension("");
            if place.exists() { fs::remove_dir_all(&path) } else { fs::rename(&path, place) }
        } else {
            Ok(())
        };
        removed.map_err(|error| Error::io(path, error))?;
    }
    Ok(())
}

/// As the safetensors crate names a file that is not complete; earlier versions had them written in their place.
fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(".tmp").unwrap_or_default();
    random.len() == 6 && random.chars().all(char::is_alphanumeric)
}

/// Fills a folder beside its place, syncs it, and moves it there; an older one is replaced.
///
/// # Errors
/// As of `fill`, or with the path; what was there is as it was, or beside its place.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let beside = beside(path);
    let result = (|| {
        remove(&beside)?;
        fs::create_dir_all(&beside).map_err(|error| Error::io(&beside, error))?;
        fill(&beside)?;
        sync(&beside)?;
        let old = path.with_extension(OLD);
        if path.exists() {
            remove(&old)?;
            fs::rename(path, &old).map_err(|error| Error::io(path, error))?;
        }
        fs::rename(&beside, path).map_err(|error| Error::io(path, error))?;
        if let Some(parent) = path.parent() {
            sync_one(parent)?;
        }
        remove(&old)
    })();
    if result.is_err() {
        let _ = remove(&beside);
    }
    result
}

fn beside(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}{PARTIAL}"))
}

/// Removes a folder, or what is there in its place.
fn remove(path: &Path) -> Result<()> {
    match delete(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

fn delete(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn sync(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| Error::io(folder, error))? {
        let path = entry.map_err(|error| Error::io(folder, error))?.path();
        sync_one(&path)?;
    }
    sync_one(folder)
}

fn sync_one(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::io(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk shows as an error while the folder is being filled.
    #[test]
    fn a_failed_replacement_leaves_the_old_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("checkpoint-5");
        replace_folder(&folder, |folder| write_atomic(&folder.join("weights"), b"old")).unwrap();
        let full = |folder: &Path| {
            write_atomic(&folder.join("weights"), b"new")?;
            Err(Error::io(folder, std::io::Error::from(std::io::ErrorKind::StorageFull)))
        };
        assert!(replace_folder(&folder, full).is_err());
        assert_eq!(fs::read(folder.join("weights")).unwrap(), b"old");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "something half-written stayed");
    }

    #[test]
    fn a_file_in_the_way_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("checkpoint-5");
        fs::write(&folder, "").unwrap();
        replace_folder(&folder, |folder| write_atomic(&folder.join("weights"), b"new")).unwrap();
        assert!(folder.join("weights").exists() && !folder.with_extension("old").exists());
    }

    #[test]
    fn what_killed_writers_left_goes_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for folder in [".model.safetensors.partial", "checkpoint-5.old", "checkpoint-8.old", "checkpoint-8"] {
            fs::create_dir(path(folder)).unwrap();
        }
        for file in [".config.json.partial", ".tmpA1b2C3", ".tmp", "kept.old"] {
            fs::write(path(file), "").unwrap();
        }
        clear_partial(root.path()).unwrap();
        let entries = fs::read_dir(root.path()).unwrap();
        let mut left: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".tmp", "checkpoint-5", "checkpoint-8", "kept.old"]);
        write_beside(&path("file"), |file| write_atomic(file, b"whole")).unwrap();
        assert_eq!(fs::read(path("file")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 5);
    }
}
