//! One row of the table `runs`, and what is written of a run at first.

use recipe::{JobKind, Outcome, RunState};
use sqlx::{FromRow, Row, sqlite::SqliteRow};
use wire::RunSummary;

use super::{Result, StoreError, from_db};
use crate::process_id::ProcessId;

/// A run about to be queued.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The name of its folder.
    pub id: String,
    /// What users call it.
    pub name: String,
    /// What it does.
    pub kind: JobKind,
    /// As the recipe names it.
    pub model: String,
    /// Names of data sets, as the recipe has them.
    pub dataset: String,
    /// As the recipe names it.
    pub stage: String,
    /// As the recipe names it.
    pub method: String,
    /// As the recipe names it; none: the model's own.
    pub template: Option<String>,
    /// YAML as the user wrote it.
    pub recipe: String,
}

/// How a live run was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After the current step, with a checkpoint.
    Stop,
    /// At once.
    Cancel,
    /// Like [`Ending::Stop`], because the server ends: the next server resumes the run.
    Shutdown,
}

impl Ending {
    /// In the database.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Stop => "stop",
            Ending::Cancel => "cancel",
            Ending::Shutdown => "shutdown",
        }
    }

    fn from_name(name: &str) -> Result<Ending> {
        match name {
            "stop" => Ok(Ending::Stop),
            "cancel" => Ok(Ending::Cancel),
            "shutdown" => Ok(Ending::Shutdown),
            other => Err(StoreError::Value(other.to_owned())),
        }
    }
}

/// One row of `runs`.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// The name of its folder.
    pub id: String,
    /// What users call it.
    pub name: String,
    /// Its state.
    pub state: RunState,
    /// Why it is in that state, in words for the user.
    pub reason: Option<String>,
    /// What it does.
    pub kind: JobKind,
    /// As the recipe names it.
    pub model: String,
    /// Names of data sets, as the recipe has them.
    pub dataset: String,
    /// As the recipe names it.
    pub stage: String,
    /// As the recipe names it.
    pub method: String,
    /// As the recipe names it; none: the model's own.
    pub template: Option<String>,
    /// The YAML, as launched.
    pub recipe: String,
    /// When it was queued, in milliseconds since 1970.
    pub created: u64,
    /// When it began to run.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// Milliseconds that its earlier workers were at work.
    pub worked: u64,
    /// Since when the present one is.
    pub working_since: Option<u64>,
    /// The process that works on it, or did last.
    pub worker: Option<ProcessId>,
    /// How the user wants it to end.
    pub ending: Option<Ending>,
    /// Bytes of the event file that are taken in.
    pub offset: u64,
    /// Number of the newest event.
    pub last_seq: u64,
    /// When the newest event was written.
    pub last_time: u64,
    /// How often it was queued again by itself after it was cut off, and from which checkpoint's step.
    pub resumed: (u64, u64),
    /// How the worker said that it ended, and why.
    pub outcome: Option<(Outcome, Option<String>)>,
    /// Steps that are done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Examples that it trains on.
    pub num_examples: Option<u64>,
    /// Parameters that train.
    pub trainable_params: Option<u64>,
    /// Parameters of the model, with what trains beside it.
    pub total_params: Option<u64>,
    /// The newest loss.
    pub last_loss: Option<f64>,
    /// Logged steps.
    pub point_count: u64,
    /// Losses for the small curve in the list.
    pub sparkline: Vec<f64>,
    /// Logged steps that the small curve stands for.
    pub sparkline_count: u64,
}

impl RunRow {
    /// What the list of runs shows of it.
    pub fn summary(&self) -> RunSummary {
        RunSummary {
            id: self.id.clone(),
            name: self.name.clone(),
            state: self.state,
            reason: self.reason.clone(),
            kind: self.kind,
            model: self.model.clone(),
            dataset: self.dataset.clone(),
            stage: self.stage.clone(),
            method: self.method.clone(),
            created: self.created,
            started: self.started,
            worked: self.worked,
            working_since: self.working_since,
            step: self.step,
            total_steps: self.total_steps,
            last_loss: self.last_loss,
            sparkline: self.sparkline.clone(),
        }
    }
}

pub(super) fn state_from_db(name: &str) -> Result<RunState> {
    RunState::from_name(name).ok_or_else(|| StoreError::Value(name.to_owned()))
}

fn kind_from_db(name: &str) -> Result<JobKind> {
    JobKind::from_name(name).ok_or_else(|| StoreError::Value(name.to_owned()))
}

pub(super) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Stopped => "stopped",
        Outcome::Failed => "failed",
    }
}

fn outcome_from_db(name: &str) -> Result<Outcome> {
    [Outcome::Finished, Outcome::Stopped, Outcome::Failed]
        .into_iter()
        .find(|outcome| outcome_name(*outcome) == name)
        .ok_or_else(|| StoreError::Value(name.to_owned()))
}

impl FromRow<'_, SqliteRow> for RunRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<RunRow> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let maybe_text = |column: &str| row.try_get::<Option<String>, _>(column);
        let count = |column: &str| row.try_get::<i64, _>(column).map(from_db);
        let maybe_count =
            |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(from_db));
        let unknown = |e: StoreError| sqlx::Error::Decode(Box::new(e));
        let worker =
            match (maybe_count("worker_pid")?, maybe_count("worker_start")?, maybe_text("worker_boot")?) {
                (Some(pid), Some(start), Some(boot)) => ProcessId::from_parts(pid, start, boot),
                _ => None,
            };
        let outcome = match maybe_text("outcome")? {
            Some(name) => Some((outcome_from_db(&name).map_err(unknown)?, maybe_text("outcome_reason")?)),
            None => None,
        };
        Ok(RunRow {
            id: text("id")?,
            name: text("name")?,
            state: state_from_db(&text("state")?).map_err(unknown)?,
            reason: maybe_text("reason")?,
            kind: kind_from_db(&text("kind")?).map_err(unknown)?,
            model: text("model")?,
            dataset: text("dataset")?,
            stage: text("stage")?,
            method: text("method")?,
            template: maybe_text("template")?,
            recipe: text("recipe")?,
            created: count("created")?,
            started: maybe_count("started")?,
            ended: maybe_count("ended")?,
            worked: count("worked")?,
            working_since: maybe_count("working_since")?,
            worker,
            ending: maybe_text("ending")?
                .map(|name| Ending::from_name(&name))
                .transpose()
                .map_err(unknown)?,
            offset: count("offset")?,
            last_seq: count("last_seq")?,
            last_time: count("last_time")?,
            resumed: (count("resumed")?, count("resumed_step")?),
            outcome,
            step: count("step")?,
            total_steps: count("total_steps")?,
            num_examples: maybe_count("num_examples")?,
            trainable_params: maybe_count("trainable_params")?,
            total_params: maybe_count("total_params")?,
            last_loss: row.try_get("last_loss")?,
            point_count: count("point_count")?,
            sparkline: serde_json::from_str(&text("sparkline")?).unwrap_or_default(),
            sparkline_count: count("sparkline_count")?,
        })
    }
}
