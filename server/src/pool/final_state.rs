//! What is said of a run whose worker is gone.

use std::path::Path;

use recipe::{Outcome, RunState, shortened};
use signal_hook::consts::SIGTERM;

use super::{process::Exit, space};
use crate::{
    store::{Ending, RunRow},
    worker::{self, LOG_FILE},
};

/// The last state of a run, and why. `stood_still`: the worker was ended because it did not end.
pub(super) fn final_state(
    run: &RunRow,
    exit: Exit,
    stood_still: bool,
    dir: &Path,
) -> (RunState, Option<String>) {
    let stopped = |how: &str| match run.ending {
        Some(Ending::Shutdown) => (RunState::Interrupted, Some(format!("the server ended: {how}"))),
        _ => (RunState::Stopped, Some(how.to_owned())),
    };
    let early =
        if run.point_count == 0 { worker::BEFORE_TRAINING } else { "stopped before training went on" };
    match (&run.outcome, run.ending) {
        (Some((Outcome::Finished, reason)), _) => (RunState::Finished, reason.clone()),
        (Some((Outcome::Stopped, Some(reason))), _) => stopped(reason),
        (Some((Outcome::Stopped, None)), _) if run.step == 0 => stopped(early),
        (Some((Outcome::Stopped, None)), _) => {
            stopped(&format!("stopped after step {}, with a checkpoint", run.step))
        }
        (Some((Outcome::Failed, reason)), _) => (RunState::Failed, reason.clone()),
        (None, Some(Ending::Cancel)) => {
            (RunState::Stopped, Some("cancelled: steps after the last checkpoint are lost".to_owned()))
        }
        (None, Some(Ending::Stop | Ending::Shutdown)) if stood_still => {
            stopped("its worker stood still and was ended: steps after the last checkpoint are lost")
        }
        // The signal came before the worker was ready for it, which is the first thing it does.
        (None, Some(Ending::Stop | Ending::Shutdown))
            if exit == Exit::Signal(SIGTERM) || is_unheard(run, exit) =>
        {
            stopped(early)
        }
        (None, _) => (RunState::Interrupted, Some(exit_reason(run, exit, dir))),
    }
}

/// Whether a worker that ended while nobody watched has never trained.
fn is_unheard(run: &RunRow, exit: Exit) -> bool {
    matches!(exit, Exit::Unknown | Exit::Away) && run.point_count == 0
}

fn exit_reason(run: &RunRow, exit: Exit, dir: &Path) -> String {
    let mut what = match exit {
        Exit::Signal(9) => {
            "the worker was killed (signal 9): by the system for want of memory, or by someone on this machine".to_owned()
        }
        Exit::Signal(signal) => format!("the worker was ended by signal {signal}"),
        Exit::Code(code) => format!("the worker ended with exit code {code} and no account of its end"),
        Exit::Unknown => "the worker, which an earlier server had started, ended without an account of its end".to_owned(),
        Exit::Away if run.worker.as_ref().is_some_and(|worker| !worker.is_of_this_boot()) => {
            format!("cut off after step {}: the machine went down", run.step)
        }
        Exit::Away => format!(
            "cut off after step {}: the worker was gone when the server came back, as when a container or both of them \
             are killed",
            run.step
        ),
    };
    for more in [circumstances(dir), last_line(dir)].into_iter().flatten() {
        what.push_str("; ");
        what.push_str(&more);
    }
    what
}

/// What is wrong around a run, as far as can be seen.
fn circumstances(dir: &Path) -> Option<String> {
    if !dir.is_dir() {
        return Some(format!("its folder {} is gone", dir.display()));
    }
    space::lack(dir)
}

/// The last line a worker printed, shortened.
fn last_line(dir: &Path) -> Option<String> {
    let line = worker::last_log_lines(&dir.join(LOG_FILE), 1).pop()?;
    Some(format!("its last words: {}", shortened(line)))
}
