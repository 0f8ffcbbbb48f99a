//! Files and folders that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes a file beside its place, syncs it, and moves it there.
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

/// Fills a folder beside its place, syncs it, and moves it there; an older one is replaced.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let beside = beside(path);
    let result = (|| {
        remove(&beside)?;
        fs::create_dir_all(&beside).map_err(|error| Error::io(&beside, error))?;
        fill(&beside)?;
        sync(&beside)?;
        let old = path.with_extension("old");
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
    path.with_file_name(format!(".{name}.partial"))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, error)),
        _ => Ok(()),
    }
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
}
