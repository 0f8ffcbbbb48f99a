//! State changes of runs, each checked against the state machine and kept with its reason.

use recipe::RunState;
use sqlx::{FromRow, Row, sqlite::SqliteRow};

use super::{
    Ending, Result, RunRow, Store, StoreError, from_db, run_row::state_from_db, runs::run_in, to_db,
};
use crate::clock;

/// One change of state, oldest first in a run's history.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state before; none for the first.
    pub from: Option<RunState>,
    /// The state since.
    pub to: RunState,
    /// Why, in words for the user.
    pub reason: Option<String>,
    /// Milliseconds since 1970.
    pub time: u64,
}

impl FromRow<'_, SqliteRow> for Transition {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Transition> {
        let unknown = |e: StoreError| sqlx::Error::Decode(Box::new(e));
        let from: Option<String> = row.try_get("from_state")?;
        Ok(Transition {
            from: from.map(|name| state_from_db(&name)).transpose().map_err(unknown)?,
            to: state_from_db(&row.try_get::<String, _>("to_state")?).map_err(unknown)?,
            reason: row.try_get("reason")?,
            time: from_db(row.try_get("time")?),
        })
    }
}

impl Store {
    /// Moves a run to `next`, or fails with [`StoreError::Transition`] where the state machine forbids it.
    ///
    /// # Errors
    /// If the state machine forbids it, there is no such run, or the database fails.
    pub async fn transition(&self, id: &str, next: RunState, reason: Option<&str>) -> Result<()> {
        self.transition_at(id, next, reason, clock::now()).await
    }

    /// The same for a change that came about at `time`, before it was noticed.
    ///
    /// # Errors
    /// As of [`Store::transition`].
    pub async fn transition_at(
        &self,
        id: &str,
        next: RunState,
        reason: Option<&str>,
        time: u64,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let row = run_in(&mut tx, id).await?;
        transition_in(&mut tx, &row, next, reason, time).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Moves a live run to `stopping` and remembers how the user wants it to end. A run that is
    /// stopping already can still be cancelled.
    ///
    /// # Errors
    /// If the run is not live, or the database fails.
    pub async fn begin_stopping(&self, id: &str, ending: Ending, reason: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let row = run_in(&mut tx, id).await?;
        if row.state != RunState::Stopping {
            transition_in(&mut tx, &row, RunState::Stopping, Some(reason), clock::now()).await?;
        }
        sqlx::query("UPDATE runs SET ending = ?, reason = ? WHERE id = ?")
            .bind(ending.name())
            .bind(reason)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A run's history.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn transitions(&self, id: &str) -> Result<Vec<Transition>> {
        let rows = sqlx::query_as("SELECT * FROM transitions WHERE run_id = ? ORDER BY id")
            .bind(id)
            .fetch_all(&self.db)
            .await?;
        Ok(rows)
    }
}

/// The one place where a state is written.
pub(super) async fn transition_in(
    tx: &mut sqlx::SqliteConnection,
    row: &RunRow,
    next: RunState,
    reason: Option<&str>,
    time: u64,
) -> Result<()> {
    if !row.state.can_become(next) {
        return Err(StoreError::Transition { id: row.id.clone(), from: row.state, to: next });
    }
    let time = to_db(time);
    sqlx::query("UPDATE runs SET state = ?, reason = ? WHERE id = ?")
        .bind(next.name())
        .bind(reason)
        .bind(&row.id)
        .execute(&mut *tx)
        .await?;
    let bookkeeping = match next {
        RunState::Queued => Some(
            "UPDATE runs SET queued = ?1, ended = NULL, ending = NULL, outcome = NULL, outcome_reason = NULL
             WHERE id = ?2",
        ),
        RunState::Preparing => {
            Some("UPDATE runs SET started = coalesce(started, ?1), working_since = ?1 WHERE id = ?2")
        }
        RunState::Running | RunState::Stopping => None,
        RunState::Finished | RunState::Stopped | RunState::Failed | RunState::Interrupted => Some(
            "UPDATE runs SET ended = ?1, worker_pid = NULL, worker_start = NULL, worker_boot = NULL,
                 worked = worked + max(0, ?1 - coalesce(working_since, ?1)), working_since = NULL
             WHERE id = ?2",
        ),
    };
    if let Some(sql) = bookkeeping {
        sqlx::query(sql).bind(time).bind(&row.id).execute(&mut *tx).await?;
    }
    sqlx::query(
        "INSERT INTO transitions (run_id, from_state, to_state, reason, time) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(&row.id)
    .bind(row.state.name())
    .bind(next.name())
    .bind(reason)
    .bind(time)
    .execute(&mut *tx)
    .await?;
    Ok(())
}
