//! How much memory this machine has left, and how much this process took.

use std::path::Path;

use crate::limits;

/// Bytes available to new allocations, within the [`limits`] of the process's control groups.
///
/// Where the system does not tell, 4 GiB are assumed.
pub fn available() -> usize {
    let system = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
    });
    let system = system.unwrap_or(4 << 30);
    let limit = limits::memory(Path::new(limits::SYSTEM));
    limit.map_or(system, |left| system.min(usize::try_from(left).unwrap_or(usize::MAX)))
}

/// Most bytes that this process has held at once, where the system tells.
pub fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kib| kib * 1024)
}
