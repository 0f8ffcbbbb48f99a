//! The table `runs`: one row per run, with what lists and supervision need to know at a glance.

use recipe::{JobKind, Outcome, RunState};
use sqlx::{FromRow, Row, sqlite::SqliteRow};
use wire::{RunFilter, RunSummary};

use super::{Result, Store, StoreError, from_db, to_db};
use crate::{clock, process_id::ProcessId};

/// A run about to be queued.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub id: String,
    pub name: String,
    pub kind: JobKind,
    pub model: String,
    pub dataset: String,
    pub stage: String,
    pub method: String,
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
    pub id: String,
    pub name: String,
    pub state: RunState,
    pub reason: Option<String>,
    pub kind: JobKind,
    pub model: String,
    pub dataset: String,
    pub stage: String,
    pub method: String,
    pub template: Option<String>,
    pub recipe: String,
    pub created: u64,
    pub started: Option<u64>,
    pub ended: Option<u64>,
    /// Milliseconds that its earlier workers were at work.
    pub worked: u64,
    /// Since when the present one is.
    pub working_since: Option<u64>,
    pub worker: Option<ProcessId>,
    pub ending: Option<Ending>,
    pub offset: u64,
    pub last_seq: u64,
    /// When the newest event was written.
    pub last_time: u64,
    /// How often it was queued again by itself after it was cut off, and from which checkpoint's step.
    pub resumed: (u64, u64),
    pub outcome: Option<(Outcome, Option<String>)>,
    pub step: u64,
    pub total_steps: u64,
    pub num_examples: Option<u64>,
    pub trainable_params: Option<u64>,
    pub total_params: Option<u64>,
    pub last_loss: Option<f64>,
    pub point_count: u64,
    pub sparkline: Vec<f64>,
    pub sparkline_count: u64,
}

impl RunRow {
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

/// Rows that a filter lets through: `?1` is its state, `?2` the pattern of its words.
macro_rules! matching {
    () => {
        r"FROM runs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL
            OR name LIKE ?2 ESCAPE '\' OR model LIKE ?2 ESCAPE '\' OR dataset LIKE ?2 ESCAPE '\')"
    };
}

impl Store {
    /// Stores a new run in state `queued`.
    pub async fn insert_run(&self, run: &NewRun) -> Result<RunRow> {
        let mut tx = self.write().await?;
        let time = to_db(clock::now());
        sqlx::query(
            "INSERT INTO runs (id, name, state, kind, model, dataset, stage, method, template, recipe, created, queued)
             VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&run.id)
        .bind(&run.name)
        .bind(run.kind.name())
        .bind(&run.model)
        .bind(&run.dataset)
        .bind(&run.stage)
        .bind(&run.method)
        .bind(&run.template)
        .bind(&run.recipe)
        .bind(time)
        .bind(time)
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO transitions (run_id, to_state, time) VALUES (?, 'queued', ?)")
            .bind(&run.id)
            .bind(time)
            .execute(&mut *tx)
            .await?;
        let row = run_in(&mut tx, &run.id).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub async fn run(&self, id: &str) -> Result<RunRow> {
        sqlx::query_as("SELECT * FROM runs WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.db)
            .await?
            .ok_or_else(|| StoreError::NoRun(id.to_owned()))
    }

    /// Newest first, `count` from place `from` on.
    pub async fn runs(&self, filter: &RunFilter, from: u64, count: u64) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(concat!(
            "SELECT * ",
            matching!(),
            " ORDER BY created DESC, id DESC LIMIT ?3 OFFSET ?4"
        ))
        .bind(filter.state.map(RunState::name))
        .bind(pattern(filter))
        .bind(to_db(count))
        .bind(to_db(from))
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// How many runs there are.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(concat!("SELECT count(*) ", matching!()))
            .bind(filter.state.map(RunState::name))
            .bind(pattern(filter))
            .fetch_one(&self.db)
            .await?;
        Ok(from_db(count))
    }

    /// The newest runs that have written a result or a checkpoint; whether it is still there is for the disk to say.
    pub async fn runs_with_results(&self, count: u64) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'finished'
                OR EXISTS (SELECT 1 FROM events WHERE run_id = runs.id AND kind = 'checkpoint')
             ORDER BY created DESC, id DESC LIMIT ?",
        )
        .bind(to_db(count))
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// The newest finished runs that trained more than an adapter.
    pub async fn tuned_runs(&self, count: u64) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'finished' AND method <> 'lora' ORDER BY created DESC, id DESC LIMIT ?",
        )
        .bind(to_db(count))
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// Runs that an earlier server stopped when it ended.
    pub async fn shut_down_runs(&self) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'interrupted' AND ending = 'shutdown' ORDER BY queued, id",
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// How many runs are in each state that some are in.
    pub async fn count_by_state(&self) -> Result<Vec<(String, i64)>> {
        Ok(sqlx::query_as("SELECT state, count(*) FROM runs GROUP BY state").fetch_all(&self.db).await?)
    }

    /// Runs that have, or should have, a worker.
    pub async fn live_runs(&self) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state IN ('preparing', 'running', 'stopping') ORDER BY queued, id",
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// The run that waits longest.
    pub async fn next_queued(&self) -> Result<Option<RunRow>> {
        let row = sqlx::query_as("SELECT * FROM runs WHERE state = 'queued' ORDER BY queued, id LIMIT 1")
            .fetch_optional(&self.db)
            .await?;
        Ok(row)
    }

    pub async fn record_worker(&self, id: &str, worker: &ProcessId) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE runs SET worker_pid = ?, worker_start = ?, worker_boot = ? WHERE id = ?")
            .bind(i64::from(worker.pid()))
            .bind(to_db(worker.start()))
            .bind(worker.boot())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Says something of a run that is at work, or takes it back.
    pub async fn remark(&self, id: &str, remark: Option<&str>) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE runs SET reason = ? WHERE id = ? AND state IN ('preparing', 'running')")
            .bind(remark)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Notes that a run that was cut off is queued again by itself, for the so many-eth time from this step.
    pub async fn record_resumed(&self, id: &str, times: u64, step: u64) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE runs SET resumed = ?, resumed_step = ? WHERE id = ?")
            .bind(to_db(times))
            .bind(to_db(step))
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    pub async fn rename_run(&self, id: &str, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let changed = sqlx::query("UPDATE runs SET name = ? WHERE id = ?")
            .bind(name)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::NoRun(id.to_owned()));
        }
        tx.commit().await
    }

    /// Removes the row and all that hangs on it.
    pub async fn delete_run(&self, id: &str) -> Result<()> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM runs WHERE id = ?").bind(id).execute(&mut *tx).await?;
        tx.commit().await
    }
}

pub(super) async fn run_in(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<RunRow> {
    sqlx::query_as("SELECT * FROM runs WHERE id = ?")
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| StoreError::NoRun(id.to_owned()))
}

fn pattern(filter: &RunFilter) -> Option<String> {
    let words = filter.search.trim();
    (!words.is_empty()).then(|| format!("%{}%", escape_like(words)))
}

/// Takes the meaning from the wildcards of `LIKE`, with `\` as the escape character.
fn escape_like(words: &str) -> String {
    words.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}
