//! Launches and deletions are two steps, one on the disk and one in the database. What a server left half done, the
//! next one completes.

use std::{fs, io, path::Path};

use super::{Inner, Pool, PoolError, Result};
use crate::store::{RunRow, StoreError};

/// Folder name prefix of runs that are being launched.
pub(super) const NEW: &str = ".new-";
/// Of deleted runs whose files are still being removed.
pub(super) const TRASH: &str = ".trash-";

/// Gives folders their names whose runs are in the database, and takes runs out of it whose folders are in the trash.
pub(super) async fn complete(pool: &Inner) -> Result<()> {
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

impl Pool {
    /// Removes a run that is over, with its folder.
    ///
    /// # Errors
    /// If there is no such run, it is live, or its folder cannot be removed.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let _ordered = self.inner.control.lock().await;
        let run = self.inner.store.run(id).await?;
        if !run.state.is_over() {
            let why = format!("only a run that is over can be deleted; this one is {}", run.state.name());
            return Err(PoolError::Refused(why));
        }
        // Out of sight in one step, so that no half-removed run remains if anything fails from here on.
        let trash = self.inner.config.runs_dir.join(format!("{}{id}", TRASH));
        let moved = self.move_out(&run, &trash)?;
        if let Err(e) = self.inner.store.delete_run(id).await {
            if moved {
                let back = fs::rename(&trash, self.run_dir(id));
                back.map_err(|source| PoolError::Io { what: "cannot put back", path: trash, source })?;
            }
            return Err(e.into());
        }
        self.inner.broadcast.close(id);
        self.empty_trash();
        Ok(())
    }

    /// Renames the run's folder to `trash`; `false` where there is no folder any more.
    fn move_out(&self, run: &RunRow, trash: &Path) -> Result<bool> {
        let dir = self.run_dir(&run.id);
        let canonical = match dir.canonicalize() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => {
                other.map_err(|source| PoolError::Io { what: "cannot open", path: dir.clone(), source })?
            }
        };
        if canonical != self.inner.config.runs_dir.join(&run.id) {
            let why = format!("{} leads out of the runs folder: remove it by hand", dir.display());
            return Err(PoolError::Refused(why));
        }
        fs::rename(&dir, trash).map_err(|source| PoolError::Io {
            what: "cannot remove",
            path: dir,
            source,
        })?;
        Ok(true)
    }

    /// Removes deleted runs' files in the background: checkpoints may be many gigabytes.
    pub(super) fn empty_trash(&self) {
        let runs_dir = self.inner.config.runs_dir.clone();
        self.inner.spawn(async move {
            let emptied = tokio::task::spawn_blocking(move || remove_trash(&runs_dir)).await;
            if let Ok(Err(e)) = emptied {
                tracing::warn!("cannot remove the files of a deleted run: {e}");
            }
        });
    }
}

/// Removes what is in the trash.
pub(super) fn remove_trash(runs_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(runs_dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TRASH) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
