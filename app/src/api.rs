//! What pages ask of the server: data types that travel, and [`Board`], the server's side of them.
//!
//! Server functions (in `app::calls`) find the board in Leptos' context; the `server` crate provides it.

mod datasets;

pub use datasets::*;

use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use recipe::{Eval, Event, Point, RunState};
use serde::{Deserialize, Serialize};

use crate::calls::TextJsonEncoding;

/// Identifies a run: a short, URL-safe, time-sortable string. Also the name of its folder.
pub type RunId = String;

/// One row of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub id: RunId,
    pub name: String,
    pub state: RunState,
    /// Why the run is in this state, where there is something to say.
    pub reason: Option<String>,
    pub model: String,
    pub dataset: String,
    pub stage: String,
    pub method: String,
    /// Unix milliseconds.
    pub created: u64,
    pub started: Option<u64>,
    /// Milliseconds that its earlier workers were at work.
    pub worked: u64,
    /// Since when the present one is, in Unix milliseconds.
    pub working_since: Option<u64>,
    pub step: u64,
    pub total_steps: u64,
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
    pub summary: RunSummary,
    /// The recipe as YAML, as it was launched.
    pub recipe: String,
    /// Where the run writes, for the user to open.
    pub output_dir: String,
    pub trainable_params: Option<u64>,
    pub total_params: Option<u64>,
    pub num_examples: Option<u64>,
    /// Decimated to some hundreds of points for the first paint.
    pub points: Vec<Point>,
    pub evals: Vec<Eval>,
    /// Those that are there, oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// So many of them are kept, where the recipe says so.
    pub save_total_limit: Option<usize>,
    /// The last events that the log has a line of, oldest first.
    pub log: Vec<Event>,
    /// What a worker that ended badly printed last.
    pub last_words: Vec<String>,
    /// Sequence number of the newest event contained above.
    pub last_seq: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub step: u64,
    pub path: String,
}

/// What the history is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFilter {
    /// Words looked for in name, model and dataset.
    pub search: String,
    pub state: Option<RunState>,
}

/// A model that can be trained or talked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// What goes into `model_name_or_path`.
    pub path: String,
    pub label: String,
    /// The template that fits, where known.
    pub template: Option<String>,
    pub parameters: Option<u64>,
    /// Tokens that it reads at most, where known.
    pub context: Option<usize>,
    /// Whether it is on this machine now; if not, `hint` says how to bring it.
    pub present: bool,
    pub hint: Option<String>,
}

impl ModelChoice {
    pub fn facts(&self) -> ModelFacts {
        ModelFacts { parameters: self.parameters, context: self.context }
    }
}

/// What the form of a new run offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FormChoices {
    pub models: Vec<ModelChoice>,
    pub datasets: Vec<DatasetEntry>,
    pub templates: Vec<String>,
}

/// One thing wrong with a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// The argument it belongs to, if to one.
    pub key: Option<String>,
    pub message: String,
}

/// What the server finds in a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What keeps it from being launched.
    pub problems: Vec<FieldProblem>,
    /// What to know before it is.
    pub warnings: Vec<FieldProblem>,
    pub memory: Option<Memory>,
    /// What is known of the model that it names.
    pub model: Option<ModelFacts>,
}

/// What values to start from depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    pub parameters: Option<u64>,
    /// Tokens that it reads at most.
    pub context: Option<usize>,
}

/// Bytes that a run takes at its peak, about, and those that are free on the server's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub needed: u64,
    pub free: u64,
}

/// Something a chat can be held with: a base model, with or without a run's adapter or checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatTarget {
    /// Opaque; given back to [`Board::load_chat`].
    pub id: String,
    pub label: String,
    /// The run it comes from, if from one.
    pub run: Option<RunId>,
    pub template: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ChatStatus {
    #[default]
    Unloaded,
    Loading {
        target: String,
        /// How far a download is, where the model is not on this machine yet.
        progress: Option<String>,
    },
    Ready {
        target: String,
        label: String,
    },
    Failed {
        target: String,
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

/// Body of `POST /chat/stream`; the answer comes back as server-sent events of [`ChatDelta`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    pub messages: Vec<ChatMessage>,
    #[serde(flatten)]
    pub sampling: Sampling,
}

/// How an answer is drawn. Names and defaults are LLaMA-Factory's generating arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    pub do_sample: bool,
    pub temperature: f64,
    pub top_p: f64,
    pub top_k: usize,
    pub max_new_tokens: usize,
    pub repetition_penalty: f64,
    pub seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling {
            do_sample: true,
            temperature: 0.95,
            top_p: 0.7,
            top_k: 50,
            max_new_tokens: 1024,
            repetition_penalty: 1.0,
            seed: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ChatDelta {
    Text {
        text: String,
    },
    Done {
        prompt_tokens: u64,
        completion_tokens: u64,
        /// The most that there can be of both together.
        context: u64,
        tokens_per_second: f64,
        finish_reason: String,
    },
    /// The conversation leaves no room for an answer.
    Full {
        message: String,
    },
    Error {
        message: String,
    },
}

/// Frames of the websocket `/ws/runs/{id}?after=SEQ`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Frame {
    /// Events after the sequence number that the client named or last saw; first and after a lag.
    Backfill { events: Vec<Event> },
    /// New events, batched.
    Events { events: Vec<Event> },
    /// The run's row changed (state, reason, progress).
    Run { run: Box<RunSummary> },
    /// The worker ended badly; the last lines that it printed.
    LastWords { lines: Vec<String> },
}

/// What goes wrong when the board is asked for something, in words for the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BoardError {
    NotFound(String),
    /// The request does not make sense now (resuming a running run, …).
    Refused(String),
    /// The recipe has problems; nothing was launched.
    Invalid(Vec<FieldProblem>),
    /// What was sent lacks a field, or one cannot be read.
    Malformed(String),
    Internal(String),
    /// The request or its answer was lost on the way (the server is away, the network is down).
    Unreachable(String),
}

impl FromServerFnError for BoardError {
    type Encoder = TextJsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> BoardError {
        match error {
            ServerFnErrorErr::Request(reason) => BoardError::Unreachable(reason),
            ServerFnErrorErr::Args(reason)
            | ServerFnErrorErr::MissingArg(reason)
            | ServerFnErrorErr::Deserialization(reason) => BoardError::Malformed(reason),
            other => BoardError::Internal(other.to_string()),
        }
    }
}

/// The server's side of the pages.
#[cfg(feature = "ssr")]
#[async_trait::async_trait]
pub trait Board: Send + Sync {
    /// Newest first, from place `from` on; without a `count` as many as a list may have.
    async fn runs(
        &self,
        filter: RunFilter,
        from: u64,
        count: Option<u64>,
    ) -> Result<Vec<RunSummary>, BoardError>;
    async fn count_runs(&self, filter: RunFilter) -> Result<u64, BoardError>;
    async fn run(&self, id: &str) -> Result<RunDetail, BoardError>;
    /// Validates and queues a recipe given as YAML; answers with the run's id.
    async fn launch(&self, name: String, yaml: String) -> Result<RunId, BoardError>;
    async fn check(&self, yaml: String) -> Result<Findings, BoardError>;
    /// Ends the run after its current step, with a checkpoint.
    async fn stop(&self, id: &str) -> Result<(), BoardError>;
    /// Ends the run at once.
    async fn cancel(&self, id: &str) -> Result<(), BoardError>;
    async fn resume(&self, id: &str) -> Result<(), BoardError>;
    async fn delete(&self, id: &str) -> Result<(), BoardError>;
    async fn rename(&self, id: &str, name: String) -> Result<(), BoardError>;
    async fn choices(&self) -> Result<FormChoices, BoardError>;
    /// Models, and what the newest runs have left; what the run of `wanted` has left as well.
    async fn chat_targets(&self, wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError>;
    async fn chat_status(&self) -> Result<ChatStatus, BoardError>;
    async fn load_chat(&self, target: String, template: Option<String>) -> Result<(), BoardError>;
    async fn unload_chat(&self) -> Result<(), BoardError>;
}
