//! Runs: rows of the history, the page of one, and what its websocket tells.

use recipe::{Eval, Event, JobKind, Point, RunState};
use serde::{Deserialize, Serialize};

/// Identifies a run: a short, URL-safe, time-sortable string. Also the name of its folder.
pub type RunId = String;

/// One row of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Which run it is.
    pub id: RunId,
    /// The name that its user gave it.
    pub name: String,
    /// Where it is between queue and end.
    pub state: RunState,
    /// Why the run is in this state, where there is something to say.
    pub reason: Option<String>,
    /// What it does.
    pub kind: JobKind,
    /// The last part of the model's name or path.
    pub model: String,
    /// Its data sets, with commas.
    pub dataset: String,
    /// The stage's name in YAML.
    pub stage: String,
    /// The method's name in YAML.
    pub method: String,
    /// Unix milliseconds.
    pub created: u64,
    /// When its first worker began, in Unix milliseconds.
    pub started: Option<u64>,
    /// Milliseconds that its earlier workers were at work.
    pub worked: u64,
    /// Since when the present one is, in Unix milliseconds.
    pub working_since: Option<u64>,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run; 0 until they are known.
    pub total_steps: u64,
    /// The loss that was logged last.
    pub last_loss: Option<f64>,
    /// A decimated loss curve, oldest first.
    pub sparkline: Vec<f64>,
}

impl RunSummary {
    /// Seconds at work until `now` (in Unix milliseconds): what lies between a stop and a resume does not count.
    pub fn time_at_work(&self, now: u64) -> Option<f64> {
        self.started?;
        let present = self.working_since.map_or(0, |since| now.saturating_sub(since));
        Some((self.worked + present) as f64 / 1000.0)
    }
}

/// Everything the page of a run shows at first; live data follows over the websocket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// The row of the history.
    pub summary: RunSummary,
    /// The recipe as YAML, as it was launched.
    pub recipe: String,
    /// Where the run writes, for the user to open.
    pub output_dir: String,
    /// Numbers that training changes.
    pub trainable_params: Option<u64>,
    /// Numbers of the whole model.
    pub total_params: Option<u64>,
    /// Examples to train on.
    pub num_examples: Option<u64>,
    /// Decimated to some hundreds of points for the first paint.
    pub points: Vec<Point>,
    /// All evaluations, oldest first.
    pub evals: Vec<Eval>,
    /// Those that are there, oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// So many of them are kept, where the recipe says so.
    pub save_total_limit: Option<usize>,
    /// The last events that the log has a line of, oldest first.
    pub log: Vec<Event>,
    /// What a worker that ended badly printed last.
    pub log_tail: Vec<String>,
    /// Sequence number of the newest event contained above.
    pub last_seq: u64,
}

/// What a new run can start from: the recipe of an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecipe {
    /// The earlier run.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// YAML, as it was launched.
    pub recipe: String,
}

/// A checkpoint on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The step it was written after.
    pub step: u64,
    /// Its folder, relative to the output folder.
    pub path: String,
}

/// What the history is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFilter {
    /// Words looked for in name, model and dataset.
    pub search: String,
    /// Runs in this state; none for all.
    pub state: Option<RunState>,
}

/// Frames of the websocket `/ws/runs/{id}?after=SEQ`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Frame {
    /// Events after the sequence number that the client named or last saw; first and after a lag.
    Backfill {
        /// Oldest first.
        events: Vec<Event>,
    },
    /// New events, batched.
    Events {
        /// Oldest first.
        events: Vec<Event>,
    },
    /// The run's row changed (state, reason, progress).
    Run {
        /// As it is now.
        run: Box<RunSummary>,
    },
    /// The worker ended badly; the last lines that it printed.
    LogTail {
        /// Oldest first.
        lines: Vec<String>,
    },
}
