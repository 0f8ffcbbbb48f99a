//! How this program starts processes of its own kind: workers, the model's process, helpers.

use std::{ffi::OsString, fs, path::PathBuf};

/// `PROGRAM ARGS…`, which a command such as `train --run-dir DIR` follows.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The file that is run.
    pub program: PathBuf,
    /// Arguments before the command.
    pub args: Vec<OsString>,
}

impl WorkerCommand {
    /// This very binary, even if its file was replaced since it started.
    pub fn this_binary() -> WorkerCommand {
        WorkerCommand { program: PathBuf::from("/proc/self/exe"), args: Vec::new() }
    }
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
