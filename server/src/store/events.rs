//! The table `events`: what workers report apart from points, as it stands in their event files.

use recipe::{Eval, Event, EventBody};
use sqlx::Row;
use wire::Checkpoint;

use super::{Result, Store, from_db, to_db};

/// Log lines kept per run; older ones stay in the run folder's `events.jsonl`.
pub const LOG_LINES_KEPT: u64 = 2_000;

/// A back-fill carries at most about twice this many points.
const BACKFILL_BUCKETS: u64 = 2_000;

impl Store {
    /// What happened in a run after sequence number `after`, in order.
    ///
    /// Points that a resume made void are gone, long curves are thinned out and old log lines are
    /// dropped; a `Start` event is always there to say from which step on earlier points are void.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn events_after(&self, id: &str, after: u64) -> Result<Vec<Event>> {
        let rows = sqlx::query("SELECT seq, body FROM events WHERE run_id = ? AND seq > ? ORDER BY seq")
            .bind(id)
            .bind(to_db(after))
            .fetch_all(&self.db)
            .await?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            events.extend(parse(id, &row.try_get::<String, _>("body")?));
        }
        events.extend(self.points_after(id, after, BACKFILL_BUCKETS).await?.into_iter().map(Event::from));
        events.sort_by_key(|event: &Event| event.seq);
        Ok(events)
    }

    /// A run's evaluations, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn evals(&self, id: &str) -> Result<Vec<Eval>> {
        let events = self.events_of_kind(id, "eval", u64::MAX).await?;
        Ok(events
            .into_iter()
            .filter_map(|event| match event.body {
                EventBody::Eval(eval) => Some(eval),
                _ => None,
            })
            .collect())
    }

    /// Checkpoints that were written, oldest first; `save_total_limit` may have removed some since.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn checkpoints(&self, id: &str) -> Result<Vec<Checkpoint>> {
        let events = self.events_of_kind(id, "checkpoint", u64::MAX).await?;
        Ok(events
            .into_iter()
            .filter_map(|event| match event.body {
                EventBody::Checkpoint { step, path } => Some(Checkpoint { step, path }),
                _ => None,
            })
            .collect())
    }

    /// The step of the newest checkpoint that was written; 0 where there is none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn checkpoint_step(&self, id: &str) -> Result<u64> {
        let step: Option<i64> =
            sqlx::query_scalar("SELECT max(step) FROM events WHERE run_id = ? AND kind = 'checkpoint'")
                .bind(id)
                .fetch_one(&self.db)
                .await?;
        Ok(step.map_or(0, from_db))
    }

    /// The newest `count` log events, oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn log(&self, id: &str, count: u64) -> Result<Vec<Event>> {
        self.events_of_kind(id, "log", count).await
    }

    async fn events_of_kind(&self, id: &str, kind: &'static str, newest: u64) -> Result<Vec<Event>> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM events WHERE run_id = ? AND kind = ? ORDER BY seq DESC LIMIT ?",
        )
        .bind(id)
        .bind(kind)
        .bind(to_db(newest))
        .fetch_all(&self.db)
        .await?;
        Ok(bodies.iter().rev().filter_map(|body| parse(id, body)).collect())
    }
}

/// Events written by another version of Chandler may be unknown to this one; the rest still shows.
fn parse(id: &str, body: &str) -> Option<Event> {
    serde_json::from_str(body)
        .inspect_err(|e| tracing::warn!("run {id}: stored event not understood: {e}"))
        .ok()
}

fn kind_and_step(body: &EventBody) -> (&'static str, Option<u64>) {
    match body {
        EventBody::Phase { .. } => ("phase", None),
        EventBody::Start { start_step, .. } => ("start", Some(*start_step)),
        EventBody::Point(point) => ("point", Some(point.step)),
        EventBody::Progress(pace) => ("progress", Some(pace.step)),
        EventBody::Eval(eval) => ("eval", Some(eval.step)),
        EventBody::Checkpoint { step, .. } => ("checkpoint", Some(*step)),
        EventBody::Log { .. } => ("log", None),
        EventBody::End { .. } => ("end", None),
    }
}

pub(super) async fn insert(tx: &mut sqlx::SqliteConnection, id: &str, event: &Event) -> Result<()> {
    let (kind, step) = kind_and_step(&event.body);
    let body = serde_json::to_string(event).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    sqlx::query("INSERT INTO events (run_id, seq, time, kind, step, body) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(to_db(event.seq))
        .bind(to_db(event.time))
        .bind(kind)
        .bind(step.map(to_db))
        .bind(body)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes evaluations and checkpoints beyond the step that training goes on from.
pub(super) async fn void_after(tx: &mut sqlx::SqliteConnection, id: &str, step: u64) -> Result<()> {
    sqlx::query("DELETE FROM events WHERE run_id = ? AND kind IN ('eval', 'checkpoint') AND step > ?")
        .bind(id)
        .bind(to_db(step))
        .execute(tx)
        .await?;
    Ok(())
}

/// Drops log lines beyond the newest [`LOG_LINES_KEPT`].
pub(super) async fn trim_log(tx: &mut sqlx::SqliteConnection, id: &str) -> Result<()> {
    let oldest_dropped: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM events WHERE run_id = ? AND kind = 'log' ORDER BY seq DESC LIMIT 1 OFFSET ?",
    )
    .bind(id)
    .bind(to_db(LOG_LINES_KEPT))
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(seq) = oldest_dropped {
        sqlx::query("DELETE FROM events WHERE run_id = ? AND kind = 'log' AND seq <= ?")
            .bind(id)
            .bind(to_db(from_db(seq)))
            .execute(tx)
            .await?;
    }
    Ok(())
}
