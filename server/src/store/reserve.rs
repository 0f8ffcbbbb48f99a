//! Room on the disk for the database's last words: a full disk takes every change, and the run that filled it could not
//! even be told to have failed.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rustix::fs::FallocateFlags;

/// Some tens of changes.
const SIZE: u64 = 128 << 10;

/// A file that is there for its size alone.
#[derive(Clone)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Beside the database.
    pub(super) fn of(database: &Path) -> Reserve {
        Reserve { path: database.with_extension("reserve") }
    }

    /// Takes the room, where there is enough of it.
    pub(super) fn take(&self) {
        if self.path.metadata().is_ok_and(|file| file.len() >= SIZE) {
            return;
        }
        let taken = File::create(&self.path)
            .and_then(|file| Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, SIZE)?));
        if taken.is_err() {
            self.give();
        }
    }

    /// Gives it to whoever writes next; says whether there was any.
    pub(super) fn give(&self) -> bool {
        let had = self.path.metadata().is_ok_and(|file| file.len() > 0);
        std::fs::remove_file(&self.path).is_ok() && had
    }
}
