//! Names of processes that are beyond doubt, and what their processes do.

use std::{fs, io};

use rustix::process::{Pid, Signal};

/// Names one process for good: process ids are used again, but not with the same start time within the
/// same boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessId {
    pid: i32,
    start: u64,
    boot: String,
}

impl ProcessId {
    /// What was noted of a process; `None` where a number is out of range.
    pub fn from_parts(pid: u64, start: u64, boot: String) -> Option<ProcessId> {
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0)?;
        Some(ProcessId { pid, start, boot })
    }

    /// The process that now has this id; `None` where there is none or it is a zombie.
    pub fn of(pid: u32) -> Option<ProcessId> {
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0)?;
        let start = start_time(pid)?;
        Some(ProcessId { pid, start, boot: boot_id() })
    }

    /// This process.
    pub fn current() -> Option<ProcessId> {
        ProcessId::of(std::process::id())
    }

    /// Its number, which another process may have by now.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Clock ticks between boot and the start of the process.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The boot of the machine that it was started in.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether it was started since the machine was.
    pub fn is_of_this_boot(&self) -> bool {
        self.boot == boot_id()
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        self.is_of_this_boot() && start_time(self.pid) == Some(self.start)
    }

    /// Asks the process, and it alone, to end.
    ///
    /// # Errors
    /// If the process may not be signalled.
    pub fn terminate(&self) -> io::Result<()> {
        match Pid::from_raw(self.pid) {
            Some(pid) if self.is_alive() => Ok(rustix::process::kill_process(pid, Signal::TERM)?),
            _ => Ok(()),
        }
    }

    /// Lets a process go on that was stopped.
    ///
    /// # Errors
    /// If the process may not be signalled.
    pub fn resume(&self) -> io::Result<()> {
        match Pid::from_raw(self.pid) {
            Some(pid) if self.is_alive() => Ok(rustix::process::kill_process(pid, Signal::CONT)?),
            _ => Ok(()),
        }
    }

    /// What the process does; `None` where it is gone.
    pub fn activity(&self) -> Option<Activity> {
        let stat = Stat::read(&format!("/proc/{}/stat", self.pid)).filter(|stat| stat.start == self.start)?;
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let mut states = threads
            .filter_map(|thread| Some(Stat::read(&thread.path().join("stat").display().to_string())?.state));
        Some(Activity {
            is_stopped: matches!(stat.state, 'T' | 't'),
            is_busy: states.any(|state| matches!(state, 'R' | 'D')),
            ticks: stat.ticks,
        })
    }

    /// Ends the process and every process of its group at once. It must lead its group, as workers do.
    ///
    /// # Errors
    /// If the group may not be signalled.
    pub fn kill_group(&self) -> io::Result<()> {
        match Pid::from_raw(self.pid) {
            Some(pid) if self.is_alive() => kill_group(pid),
            _ => Ok(()),
        }
    }
}

pub(crate) fn kill_group(leader: Pid) -> io::Result<()> {
    match rustix::process::kill_process_group(leader, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}

/// What a process does, as the system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// By a signal, or a debugger: it stands still until it is told to go on.
    pub is_stopped: bool,
    /// One of its threads runs, or waits for a disk.
    pub is_busy: bool,
    /// Processor time used so far.
    pub ticks: u64,
}

/// Of `/proc/PID/stat`.
struct Stat {
    state: char,
    ticks: u64,
    start: u64,
}

impl Stat {
    fn read(path: &str) -> Option<Stat> {
        let stat = fs::read_to_string(path).ok()?;
        // The second field is the name in parentheses and may hold anything, parentheses too.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // The state is the third field.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |place: usize| field(place)?.parse::<u64>().ok();
        let (user, system) = (number(14)?, number(15)?);
        Some(Stat { state: field(3)?.chars().next()?, ticks: user + system, start: number(22)? })
    }
}

/// `None` for a process that is gone or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    let stat = Stat::read(&format!("/proc/{pid}/stat"))?;
    (!matches!(stat.state, 'Z' | 'X')).then_some(stat.start)
}

/// Names the time since the machine was started last.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
