//! Worker processes: starting them so that they outlive the server, and ending them with all their children.

use std::{
    fs::File,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, WaitId, WaitIdOptions};

use crate::{
    command::{WorkerCommand, end_before_server},
    process_id::{ProcessId, boot_id, kill_group},
    worker::LOG_FILE,
};

/// A worker under supervision: our own child, or one that an earlier server started.
#[derive(Debug)]
pub(super) struct Worker {
    id: ProcessId,
    child: Option<Child>,
    exit: Option<Exit>,
}

/// How a worker's process ended, as far as can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
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
    /// Starts a worker on a run folder. It leads a process group of its own, so that neither Ctrl-C in
    /// the server's terminal nor the server's end reaches it; its output goes to `worker.log` there.
    /// `after` is the number of the last event that is known of the run.
    ///
    /// # Errors
    /// The log cannot be opened, or the process not be started.
    pub(super) fn start(command: &WorkerCommand, run_dir: &Path, after: u64) -> io::Result<Worker> {
        let log = File::options().create(true).append(true).open(run_dir.join(LOG_FILE))?;
        let child = Command::new(&command.program)
            .arg0("chandler")
            .args(&command.args)
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

    /// A worker that was started by an earlier server, and may have ended since.
    pub(super) fn adopted(id: ProcessId) -> Worker {
        let exit = (!id.is_alive()).then_some(Exit::Away);
        Worker { id, child: None, exit }
    }

    pub(super) fn id(&self) -> &ProcessId {
        &self.id
    }

    /// How the process ended; `None` while it runs. What is left of its group is ended with it.
    pub(super) fn exited(&mut self) -> io::Result<Option<Exit>> {
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
