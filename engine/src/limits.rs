//! What the control groups of this process leave it (cgroups(7)): memory, and time of processors.
//!
//! Each group on the way from the process's own to the root may have limits, and the tightest holds. Version 2 has one
//! tree of groups, version 1 one for each kind of limit; some systems have both, each with a part of the limits. Inside
//! a container the trees often begin at the container's own group, whatever path the process is said to be in.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
};

/// Where the system shows its control groups.
pub const SYSTEM: &str = "/";

/// Bytes that the groups leave free, where they have a limit.
///
/// Used memory that the kernel gives back when it is wanted counts as free, as it does in `MemAvailable`: files that
/// were read lately, and the kernel's own caches.
pub fn memory(root: &Path) -> Option<u64> {
    let second = groups(root, "", &[""]).filter_map(|group| {
        let limit = [number(&group.join("memory.max")), number(&group.join("memory.high"))];
        let limit = limit.into_iter().flatten().min()?;
        Some(left(&group, limit, "memory.current", &["inactive_file", "slab_reclaimable"]))
    });
    let first = groups(root, "memory", &["memory"]).filter_map(|group| {
        let limit = number(&group.join("memory.limit_in_bytes"))?;
        Some(left(&group, limit, "memory.usage_in_bytes", &["total_inactive_file"]))
    });
    second.chain(first).min()
}

fn left(group: &Path, limit: u64, used: &str, given_back: &[&str]) -> u64 {
    let used = number(&group.join(used)).unwrap_or(0);
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let fields = stat.lines().filter_map(|line| line.split_once(' '));
    let given_back: u64 = fields
        .filter(|(name, _)| given_back.contains(name))
        .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
        .sum();
    limit.saturating_sub(used.saturating_sub(given_back))
}

/// Threads that the groups' share of processors keeps busy, at least one, where there is a limit.
pub fn processors(root: &Path) -> Option<usize> {
    let second = groups(root, "", &[""]).filter_map(|group| {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some((quota.parse().ok()?, period.parse().ok()?))
    });
    let first = groups(root, "cpu", &["cpu", "cpu,cpuacct"]).filter_map(|group| {
        // -1 where there is none.
        Some((number(&group.join("cpu.cfs_quota_us"))?, number(&group.join("cpu.cfs_period_us"))?))
    });
    let share = |(quota, period): (u64, u64)| quota.checked_div(period);
    let shares = second.chain(first).filter_map(share).min()?;
    Some(usize::try_from(shares).unwrap_or(usize::MAX).max(1))
}

/// Threads that are worth having: the processors that this process may run on, within its groups' share of them.
pub fn threads() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors(Path::new(SYSTEM)).map_or(usable, |share| share.min(usable))
}

/// Makes the pool of threads no larger than that. To be called before the pool is used; `RAYON_NUM_THREADS` is rayon's
/// own way to set it, and wins.
pub fn bound_pool() {
    let usable = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads();
    if threads < usable && std::env::var_os("RAYON_NUM_THREADS").is_none() {
        // A pool that is at work already stays as it is.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}

/// Folders of the groups that limit `controller` (none for version 2), from the process's own to the tree's root.
fn groups(root: &Path, controller: &str, mounts: &[&str]) -> impl Iterator<Item = PathBuf> {
    let mine = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    // `4:cpu,cpuacct:/path` in version 1, `0::/path` in version 2.
    let path = mine.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let path = PathBuf::from(path.unwrap_or_default().trim_start_matches('/'));
    let trees: Vec<_> = mounts.iter().map(|mount| root.join("sys/fs/cgroup").join(mount)).collect();
    let tree = trees.into_iter().find(|tree| tree.is_dir());
    let folders: Vec<_> = tree
        .into_iter()
        .flat_map(|tree| path.ancestors().map(|part| tree.join(part)).collect::<Vec<_>>())
        .collect();
    folders.into_iter()
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A system with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        root
    }

    #[test]
    fn a_system_without_groups_has_no_limits() {
        let root = system(&[]);
        assert_eq!((memory(root.path()), processors(root.path())), (None, None));
        let root = system(&[
            ("proc/self/cgroup", "0::/user.slice"),
            ("sys/fs/cgroup/user.slice/memory.max", "max"),
            ("sys/fs/cgroup/user.slice/memory.current", "5"),
            ("sys/fs/cgroup/user.slice/cpu.max", "max 100000"),
        ]);
        assert_eq!((memory(root.path()), processors(root.path())), (None, None));
    }

    #[test]
    fn files_that_were_read_count_as_free() {
        let root = system(&[
            ("proc/self/cgroup", "0::/"),
            ("sys/fs/cgroup/memory.max", &(2 * GIB).to_string()),
            ("sys/fs/cgroup/memory.high", "max"),
            ("sys/fs/cgroup/memory.current", &(2 * GIB - 4096).to_string()),
            (
                "sys/fs/cgroup/memory.stat",
                &format!("anon 1000\nfile {GIB}\ninactive_file {GIB}\nactive_file 7\nslab_reclaimable 8192"),
            ),
        ]);
        assert_eq!(memory(root.path()), Some(GIB + 4096 + 8192));
    }

    #[test]
    fn the_tightest_group_on_the_way_up_holds() {
        let own = "sys/fs/cgroup/work/board";
        let root = system(&[
            ("proc/self/cgroup", "0::/work/board"),
            (&format!("{own}/memory.max"), "max"),
            (&format!("{own}/cpu.max"), "400000 100000"),
            ("sys/fs/cgroup/work/memory.max", "5000"),
            ("sys/fs/cgroup/work/memory.current", "2000"),
            ("sys/fs/cgroup/work/cpu.max", "250000 100000"),
        ]);
        assert_eq!((memory(root.path()), processors(root.path())), (Some(3000), Some(2)));
        // What throttles is a limit, too; what is over it leaves nothing.
        fs::write(root.path().join(own).join("memory.high"), "4000").unwrap();
        fs::write(root.path().join(own).join("memory.current"), "6000").unwrap();
        assert_eq!(memory(root.path()), Some(0));
    }

    #[test]
    fn a_container_that_is_shown_its_own_group_alone_is_limited() {
        let root = system(&[
            ("proc/self/cgroup", "0::/system.slice/docker-abc.scope"),
            ("sys/fs/cgroup/memory.max", "5000"),
            ("sys/fs/cgroup/memory.current", "1000"),
            ("sys/fs/cgroup/cpu.max", "50000 100000"),
        ]);
        assert_eq!((memory(root.path()), processors(root.path())), (Some(4000), Some(1)));
    }

    #[test]
    fn version_1_is_read() {
        let memory_of = "sys/fs/cgroup/memory/docker/abc";
        let cpu_of = "sys/fs/cgroup/cpu,cpuacct/docker/abc";
        let root = system(&[
            (
                "proc/self/cgroup",
                "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/y",
            ),
            (&format!("{memory_of}/memory.limit_in_bytes"), "5000"),
            (&format!("{memory_of}/memory.usage_in_bytes"), "4000"),
            (&format!("{memory_of}/memory.stat"), "inactive_file 1\ntotal_inactive_file 1500\ntotal_rss 7"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100"),
            (&format!("{cpu_of}/cpu.cfs_quota_us"), "300000"),
            (&format!("{cpu_of}/cpu.cfs_period_us"), "100000"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000"),
        ]);
        assert_eq!((memory(root.path()), processors(root.path())), (Some(2500), Some(3)));
    }

    #[test]
    fn the_pool_is_within_the_share() {
        let threads = threads();
        assert!(threads >= 1 && threads <= std::thread::available_parallelism().unwrap().get());
    }
}
