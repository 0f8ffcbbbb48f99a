//! How much memory this machine has left, and how much this process took.

/// Bytes available to new allocations, within the process's control group where it has a limit.
///
/// Where the system does not tell, 4 GiB are assumed.
pub fn available() -> usize {
    let system = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
    });
    let system = system.unwrap_or(4 << 30);
    group_limit().map_or(system, |limit| system.min(limit))
}

/// Most bytes that this process has held at once, where the system tells.
pub fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kib| kib * 1024)
}

/// What a container's limit leaves.
fn group_limit() -> Option<usize> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: usize = read("memory.max")?.trim().parse().ok()?;
    let used: usize = read("memory.current")?.trim().parse().ok()?;
    Some(limit.saturating_sub(used))
}
