//! Room on the disk of the runs.

use std::path::Path;

/// A disk with fewer bytes free is full: a run's first checkpoint has no room on it.
const FULL: u64 = 1 << 20;

/// That the disk of `dir` is full, in words; nothing where nobody knows.
pub(super) fn lack(dir: &Path) -> Option<String> {
    less_than(FULL, dir)
}

fn less_than(least: u64, dir: &Path) -> Option<String> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    (free < least)
        .then(|| format!("no space is left on the disk of {}: {} KiB are free", dir.display(), free >> 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_told_with_what_there_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(less_than(0, dir.path()), None);
        assert!(less_than(u64::MAX, dir.path()).is_some_and(|why| why.ends_with("KiB are free")));
        assert_eq!(less_than(u64::MAX, &dir.path().join("gone")), None);
    }
}
