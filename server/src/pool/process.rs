//! Worker processes: starting them so that they outlive the server, naming them beyond doubt, ending
//! them with all their children.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Names one process for good: process ids are used again, but not with the same start time within the
/// same boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessId {
    pid: i32,
    start: u64,
    boot: String,
}

impl ProcessId {
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

    pub fn current() -> Option<ProcessId> {
        ProcessId::of(std::process::id())
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Clock ticks between boot and the start of the process.
    pub fn start(&self) -> u64 {
        self.start
    }

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
    pub fn terminate(&self) -> io::Result<()> {
        match Pid::from_raw(self.pid) {
            Some(pid) if self.is_alive() => Ok(rustix::process::kill_process(pid, Signal::TERM)?),
            _ => Ok(()),
        }
    }

    /// Lets a process go on that was stopped.
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
    pub fn kill_group(&self) -> io::Result<()> {
        match Pid::from_raw(self.pid) {
            Some(pid) if self.is_alive() => kill_group(pid),
            _ => Ok(()),
        }
    }
}

fn kill_group(leader: Pid) -> io::Result<()> {
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

/// Has the system end this process before the server when memory runs out: the board stays, and says so.
///
/// See `proc_pid_oom_score_adj(5)`; raising the number needs no privilege.
pub fn end_before_server(pid: u32) {
    const MORE: i32 = 500;
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok()).unwrap_or(0);
    // Where it cannot be raised the system chooses by size, as it does without.
    let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), (own + MORE).min(1000).to_string());
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// How workers are started: `PROGRAM ARGS… train --run-dir DIR`.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    pub program: PathBuf,
    /// Arguments before `train`.
    pub args: Vec<OsString>,
}

impl WorkerCommand {
    /// This very binary, even if its file was replaced since it started.
    pub fn this_binary() -> WorkerCommand {
        WorkerCommand { program: PathBuf::from("/proc/self/exe"), args: Vec::new() }
    }

    /// Starts a worker on a run folder. It leads a process group of its own, so that neither Ctrl-C in
    /// the server's terminal nor the server's end reaches it; its output goes to `worker.log` there.
    /// `after` is the number of the last event that is known of the run.
    ///
    /// # Errors
    /// The log cannot be opened, or the process not be started.
    pub fn spawn(&self, run_dir: &Path, after: u64) -> io::Result<Worker> {
        let log = File::options().create(true).append(true).open(run_dir.join("worker.log"))?;
        let child = Command::new(&self.program)
            .arg0("chandler")
            .args(&self.args)
            .arg("train")
            .arg("--run-dir")
            .arg(run_dir)
            .arg("--events-after")
            .arg(after.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        end_before_server(child.id());
        // A child that is dead already is a zombie until it is waited for; its id stays its own.
        let id = ProcessId::of(child.id()).or_else(|| ProcessId::from_parts(child.id().into(), 0, boot_id()));
        let id = id.ok_or_else(|| io::Error::other("the worker has no process id"))?;
        Ok(Worker { id, child: Some(child), exit: None })
    }
}

/// A worker under supervision: our own child, or one that an earlier server started.
#[derive(Debug)]
pub struct Worker {
    id: ProcessId,
    child: Option<Child>,
    exit: Option<Exit>,
}

/// How a worker's process ended, as far as can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It was not our child: only its parent is told.
    Unknown,
    /// It was gone when this server came.
    Away,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Exit {
        match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }
}

impl Worker {
    /// A worker that was started by an earlier server, and may have ended since.
    pub fn adopted(id: ProcessId) -> Worker {
        let exit = (!id.is_alive()).then_some(Exit::Away);
        Worker { id, child: None, exit }
    }

    pub fn id(&self) -> &ProcessId {
        &self.id
    }

    /// How the process ended; `None` while it runs. What is left of its group is ended with it.
    pub fn exited(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_some() {
            return Ok(self.exit);
        }
        let Some(child) = &mut self.child else {
            return Ok((!self.id.is_alive()).then_some(Exit::Unknown));
        };
        let Some(pid) = Pid::from_raw(self.id.pid()) else { return Ok(Some(Exit::Unknown)) };
        // Until it is reaped the dead leader keeps its id, and so its group's, from being used again.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if rustix::process::waitid(WaitId::Pid(pid), look)?.is_none() {
            return Ok(None);
        }
        kill_group(pid)?;
        self.exit = Some(child.wait()?.into());
        Ok(self.exit)
    }
}
