//! How much memory this machine has left, and how much this process took.

use std::env::VarError;
use std::path::Path;

use crate::limits;

/// The variable that bounds what a process counts on, in MiB. A machine that has no control groups is shared by it.
pub const VARIABLE: &str = "CHANDLER_MEMORY";

/// Bytes available to new allocations, within the [`limits`] of the process's control groups and what [`VARIABLE`] leaves.
///
/// Where the system does not tell, 4 GiB are assumed.
pub fn available() -> usize {
    let system = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
    });
    let system = system.unwrap_or(4 << 30);
    let limit = limits::memory(Path::new(limits::SYSTEM));
    let limit = limit.map_or(system, |left| system.min(usize::try_from(left).unwrap_or(usize::MAX)));
    let bound = bound().ok().flatten().map(|bound| bound.saturating_sub(status("VmRSS:").unwrap_or(0)));
    bound.map_or(limit, |left| limit.min(left))
}

/// Most bytes that this process has held at once, where the system tells.
pub fn peak() -> Option<usize> {
    status("VmHWM:")
}

/// Checks [`VARIABLE`] before anything counts on it.
///
/// # Errors
/// A sentence, if it is no number of MiB.
pub fn check() -> Result<(), String> {
    bound().map(|_| ())
}

/// Bytes that [`VARIABLE`] allows.
fn bound() -> Result<Option<usize>, String> {
    match std::env::var(VARIABLE) {
        Ok(value) => bytes(&value),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(value)) => bytes(&value.to_string_lossy()),
    }
}

fn bytes(value: &str) -> Result<Option<usize>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    let mib = value.parse::<usize>().ok().filter(|mib| *mib > 0);
    match mib.and_then(|mib| mib.checked_mul(1 << 20)) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(format!("{VARIABLE} is `{value}`; it must be a whole number of MiB, at least 1")),
    }
}

/// A size in what the system says of this process.
fn status(name: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_of_mib() {
        assert_eq!((bytes(""), bytes("1500")), (Ok(None), Ok(Some(1500 << 20))));
        for wrong in ["0", "-1", "2G", "1.5", &usize::MAX.to_string()] {
            let message = bytes(wrong).unwrap_err();
            assert!(message.starts_with(&format!("CHANDLER_MEMORY is `{wrong}`; ")), "{message}");
        }
        assert!(status("VmRSS:") <= peak());
    }
}
