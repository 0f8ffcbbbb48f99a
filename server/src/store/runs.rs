//! The table `runs`: one row per run, with what lists and supervision need to know at a glance.

use recipe::RunState;
use wire::RunFilter;

use super::run_row::{NewRun, RunRow};
use super::{Result, Store, StoreError, from_db, to_db};
use crate::{clock, process_id::ProcessId};

/// Rows that a filter lets through: `?1` is its state, `?2` the pattern of its words.
macro_rules! matching {
    () => {
        r"FROM runs WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL
            OR name LIKE ?2 ESCAPE '\' OR model LIKE ?2 ESCAPE '\' OR dataset LIKE ?2 ESCAPE '\')"
    };
}

impl Store {
    /// Stores a new run in state `queued`.
    ///
    /// # Errors
    /// If the database fails.
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

    /// The row of a run.
    ///
    /// # Errors
    /// If there is no such run, or the database fails.
    pub async fn run(&self, id: &str) -> Result<RunRow> {
        sqlx::query_as("SELECT * FROM runs WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.db)
            .await?
            .ok_or_else(|| StoreError::NoRun(id.to_owned()))
    }

    /// Newest first, `count` from place `from` on.
    ///
    /// # Errors
    /// If the database fails.
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
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_runs(&self, filter: &RunFilter) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(concat!("SELECT count(*) ", matching!()))
            .bind(filter.state.map(RunState::name))
            .bind(pattern(filter))
            .fetch_one(&self.db)
            .await?;
        Ok(from_db(count))
    }

    /// The newest runs that have written a result or a checkpoint; whether it is still there is for the disk to say.
    ///
    /// # Errors
    /// If the database fails.
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
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tuned_runs(&self, count: u64) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'finished' AND method NOT IN ('lora', 'oft') \
             ORDER BY created DESC, id DESC LIMIT ?",
        )
        .bind(to_db(count))
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// Runs that an earlier server stopped when it ended.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn shut_down_runs(&self) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state = 'interrupted' AND ending = 'shutdown' ORDER BY queued, id",
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// How many runs are in each state that some are in.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_by_state(&self) -> Result<Vec<(String, i64)>> {
        Ok(sqlx::query_as("SELECT state, count(*) FROM runs GROUP BY state").fetch_all(&self.db).await?)
    }

    /// Runs that have, or should have, a worker.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn live_runs(&self) -> Result<Vec<RunRow>> {
        let rows = sqlx::query_as(
            "SELECT * FROM runs WHERE state IN ('preparing', 'running', 'stopping') ORDER BY queued, id",
        )
        .fetch_all(&self.db)
        .await?;
        Ok(rows)
    }

    /// The run that waits longest.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_queued(&self) -> Result<Option<RunRow>> {
        let row = sqlx::query_as("SELECT * FROM runs WHERE state = 'queued' ORDER BY queued, id LIMIT 1")
            .fetch_optional(&self.db)
            .await?;
        Ok(row)
    }

    /// Notes which process works on a run.
    ///
    /// # Errors
    /// If the database fails.
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
    ///
    /// # Errors
    /// If the database fails.
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
    ///
    /// # Errors
    /// If the database fails.
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

    /// Gives a run another name.
    ///
    /// # Errors
    /// If there is no such run, or the database fails.
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
    ///
    /// # Errors
    /// If the database fails.
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
