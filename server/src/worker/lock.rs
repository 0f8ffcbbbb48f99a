//! At most one worker at a time works in a run folder.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::process_id::ProcessId;

const LOCK_FILE: &str = "worker.lock";

/// Held by a worker for as long as it lives; the system lets go of it however the worker ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the folder, and notes down who did; fails with `WouldBlock` where another worker has it.
    ///
    /// # Errors
    /// If another worker has it, or the file cannot be made.
    pub fn take(run_dir: &Path) -> io::Result<RunLock> {
        let file = File::options().create(true).truncate(false).write(true).open(run_dir.join(LOCK_FILE))?;
        file.try_lock()?;
        if let Some(me) = ProcessId::current() {
            // An earlier note is written over before it is cut: on a full disk there is no room for another.
            let note = format!("{} {} {}\n", me.pid(), me.start(), me.boot());
            file.write_all_at(note.as_bytes(), 0)?;
            file.set_len(note.len() as u64)?;
        }
        Ok(RunLock { _file: file })
    }
}

/// The worker that last took the folder; it may be gone since.
pub fn lock_owner(run_dir: &Path) -> Option<ProcessId> {
    let note = fs::read_to_string(run_dir.join(LOCK_FILE)).ok()?;
    let mut parts = note.split_whitespace();
    ProcessId::from_parts(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = RunLock::take(dir.path()).unwrap();
        assert_eq!(lock_owner(dir.path()), ProcessId::current());
        assert_eq!(RunLock::take(dir.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        RunLock::take(dir.path()).unwrap();
    }
}
