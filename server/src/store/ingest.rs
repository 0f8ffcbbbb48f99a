//! Takes a stretch of a run's event file in, in one transaction with the offset reached.
//!
//! Whoever dies in between, file and database agree: what is before the offset is in the tables once,
//! what is after it will be read again.

use recipe::{Event, EventBody, RunState};

use super::{
    Result, RunRow, Store, events, points, run_row::outcome_name, runs::run_in, to_db,
    transitions::transition_in,
};
use crate::clock;

/// What came of taking events in.
#[derive(Debug)]
pub struct Ingested {
    /// The row as it is now.
    pub run: RunRow,
    /// Those not seen before, in order.
    pub fresh: Vec<Event>,
}

/// What a stretch of events changes in the row of the run.
struct Progress {
    last_seq: u64,
    last_time: u64,
    /// Events were numbered anew.
    renumbered: bool,
    step: u64,
    points: u64,
    voided: bool,
    logged: bool,
}

impl Store {
    /// Stores `events`, which end at byte `offset` of the run's event file.
    ///
    /// # Errors
    /// If there is no such run, or the database fails.
    pub async fn ingest(&self, id: &str, events: Vec<Event>, offset: u64) -> Result<Ingested> {
        let mut tx = self.write().await?;
        let row = run_in(&mut tx, id).await?;
        let mut progress = Progress {
            last_seq: row.last_seq,
            last_time: row.last_time,
            renumbered: false,
            step: row.step,
            points: 0,
            voided: false,
            logged: false,
        };
        let mut fresh = Vec::with_capacity(events.len());
        for mut event in events {
            if event.seq <= progress.last_seq {
                // A file that was put back (from a backup, say) or is read anew repeats what is here already.
                if event.time <= progress.last_time && !progress.renumbered {
                    continue;
                }
                // The file has lost its end, and its writer goes on from what is left of it.
                if !progress.renumbered {
                    tracing::warn!(
                        "run {id}: event {} of its file comes after event {}: numbering it anew",
                        event.seq,
                        progress.last_seq
                    );
                }
                progress.renumbered = true;
                event.seq = progress.last_seq + 1;
            }
            progress.last_seq = event.seq;
            progress.last_time = progress.last_time.max(event.time);
            take(&mut tx, id, &event, &mut progress).await?;
            fresh.push(event);
        }
        if progress.logged {
            events::trim_log(&mut tx, id).await?;
        }
        let training =
            fresh.iter().any(|event| matches!(event.body, EventBody::Start { .. } | EventBody::Point(_)));
        if training && row.state == RunState::Preparing {
            transition_in(&mut tx, &row, RunState::Running, None, clock::now()).await?;
        }
        finish_row(&mut tx, &row, &progress, offset).await?;
        let run = run_in(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Ingested { run, fresh })
    }
}

async fn take(
    tx: &mut sqlx::SqliteConnection,
    id: &str,
    event: &Event,
    progress: &mut Progress,
) -> Result<()> {
    match &event.body {
        EventBody::Point(point) => {
            progress.points += 1;
            progress.step = point.step;
            return points::insert(tx, id, event.seq, event.time, point).await;
        }
        // A bar's place: the next one is a second away, so none is kept.
        EventBody::Progress(pace) => {
            progress.step = pace.step;
            return Ok(());
        }
        EventBody::Start { start_step, total_steps, num_examples, trainable_params, total_params } => {
            points::void_after(tx, id, *start_step).await?;
            events::void_after(tx, id, *start_step).await?;
            progress.step = *start_step;
            progress.voided = true;
            sqlx::query(
                "UPDATE runs SET total_steps = ?, num_examples = ?, trainable_params = ?, total_params = ?
                 WHERE id = ?",
            )
            .bind(to_db(*total_steps))
            .bind(to_db(*num_examples))
            .bind(to_db(*trainable_params))
            .bind(to_db(*total_params))
            .bind(id)
            .execute(&mut *tx)
            .await?;
        }
        EventBody::Checkpoint { step, .. } => progress.step = progress.step.max(*step),
        EventBody::Log { .. } => progress.logged = true,
        EventBody::End { outcome, reason } => {
            sqlx::query("UPDATE runs SET outcome = ?, outcome_reason = ? WHERE id = ?")
                .bind(outcome_name(*outcome))
                .bind(reason)
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        EventBody::Phase { .. } | EventBody::Eval(_) => {}
    }
    events::insert(tx, id, event).await
}

async fn finish_row(
    tx: &mut sqlx::SqliteConnection,
    before: &RunRow,
    progress: &Progress,
    offset: u64,
) -> Result<()> {
    let id = &before.id;
    sqlx::query("UPDATE runs SET offset = ?, last_seq = ?, last_time = ?, step = ? WHERE id = ?")
        .bind(to_db(offset))
        .bind(to_db(progress.last_seq))
        .bind(to_db(progress.last_time))
        .bind(to_db(progress.step))
        .bind(id)
        .execute(&mut *tx)
        .await?;
    if progress.points == 0 && !progress.voided {
        return Ok(());
    }
    let count =
        if progress.voided { points::count(tx, id).await? } else { before.point_count + progress.points };
    sqlx::query("UPDATE runs SET point_count = ?, last_loss = ? WHERE id = ?")
        .bind(to_db(count))
        .bind(points::last_loss(tx, id).await?)
        .bind(id)
        .execute(&mut *tx)
        .await?;
    // Drawing the curve anew costs as much as the curve is long: do it after every fiftieth more points.
    if progress.voided || count > before.sparkline_count + before.sparkline_count / 50 {
        let sparkline =
            serde_json::to_string(&points::sparkline(tx, id).await?).unwrap_or_else(|_| "[]".to_owned());
        sqlx::query("UPDATE runs SET sparkline = ?, sparkline_count = ? WHERE id = ?")
            .bind(sparkline)
            .bind(to_db(count))
            .bind(id)
            .execute(tx)
            .await?;
    }
    Ok(())
}
