//! Launches and deletions are two steps, one on the disk and one in the database. What a server left half done, the
//! next one completes.

use std::{fs, io, path::Path};

use super::{Inner, PoolError, Result};
use crate::store::StoreError;

/// Folder name prefix of runs that are being launched.
pub const NEW: &str = ".new-";
/// Of deleted runs whose files are still being removed.
pub const TRASH: &str = ".trash-";

/// Gives folders their names whose runs are in the database, and takes runs out of it whose folders are in the trash.
pub async fn complete(pool: &Inner) -> Result<()> {
    let dir = &pool.config.runs_dir;
    let failed = |what| move |source: io::Error| PoolError::Io { what, path: dir.clone(), source };
    for entry in fs::read_dir(dir).map_err(failed("cannot read"))? {
        let entry = entry.map_err(failed("cannot read"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(id) = name.strip_prefix(NEW) {
            match pool.store.run(id).await {
                Ok(_) => {
                    fs::rename(entry.path(), dir.join(id)).map_err(failed("cannot complete a launch in"))?
                }
                Err(StoreError::NoRun(_)) => {
                    fs::remove_dir_all(entry.path()).map_err(failed("cannot undo a launch in"))?;
                }
                Err(e) => return Err(e.into()),
            }
        } else if let Some(id) = name.strip_prefix(TRASH)
            && !dir.join(id).exists()
        {
            pool.store.delete_run(id).await?;
        }
    }
    Ok(())
}

/// Removes what is in the trash.
pub fn remove_trash(runs_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(runs_dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TRASH) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
