//! States of a run and the transitions between them.

use serde::{Deserialize, Serialize};

/// Where a run stands.
///
/// ```text
/// queued → preparing → running → stopping → finished | stopped | failed | interrupted
/// ```
/// `failed` is the worker's own account; `interrupted` is the supervisor's: the worker was killed or
/// vanished without one. `stopped`, `failed`, `interrupted` may be queued again (resume).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for a free slot.
    Queued,
    /// Its worker loads the model and encodes the data.
    Preparing,
    /// Its worker trains.
    Running,
    /// Its worker was asked to end.
    Stopping,
    /// Its result is written.
    Finished,
    /// It ended when it was asked to.
    Stopped,
    /// Its worker says that it could not go on.
    Failed,
    /// Its worker is gone without an account of its own.
    Interrupted,
}

impl RunState {
    /// Every state, in the order in which a run goes through them.
    pub const ALL: [RunState; 8] = [
        RunState::Queued,
        RunState::Preparing,
        RunState::Running,
        RunState::Stopping,
        RunState::Finished,
        RunState::Stopped,
        RunState::Failed,
        RunState::Interrupted,
    ];

    /// The name used in the database, in URLs and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Preparing => "preparing",
            RunState::Running => "running",
            RunState::Stopping => "stopping",
            RunState::Finished => "finished",
            RunState::Stopped => "stopped",
            RunState::Failed => "failed",
            RunState::Interrupted => "interrupted",
        }
    }

    /// The state of a name that [`RunState::name`] gives.
    pub fn from_name(name: &str) -> Option<RunState> {
        RunState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// A worker process exists (or should).
    pub fn is_live(self) -> bool {
        matches!(self, RunState::Preparing | RunState::Running | RunState::Stopping)
    }

    /// Nothing more happens unless a user asks for it.
    pub fn is_over(self) -> bool {
        matches!(self, RunState::Finished | RunState::Stopped | RunState::Failed | RunState::Interrupted)
    }

    /// The run can be queued again, to go on from its newest valid checkpoint.
    pub fn can_resume(self) -> bool {
        matches!(self, RunState::Stopped | RunState::Failed | RunState::Interrupted)
    }

    /// Whether the state machine allows a step from `self` to `next`.
    pub fn can_become(self, next: RunState) -> bool {
        use RunState::*;
        match self {
            Queued => matches!(next, Preparing | Stopped | Failed),
            Preparing => matches!(next, Running | Stopping | Finished | Failed | Interrupted | Stopped),
            Running => matches!(next, Stopping | Finished | Stopped | Failed | Interrupted),
            Stopping => matches!(next, Finished | Stopped | Failed | Interrupted),
            Finished => false,
            Stopped | Failed | Interrupted => matches!(next, Queued),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for state in RunState::ALL {
            assert_eq!(RunState::from_name(state.name()), Some(state));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.name()));
        }
    }

    #[test]
    fn only_resumable_states_go_back_to_the_queue() {
        for state in RunState::ALL {
            assert_eq!(state.can_become(RunState::Queued), state.can_resume(), "{state:?}");
            assert!(!(state.is_live() && state.is_over()), "{state:?}");
        }
    }
}
