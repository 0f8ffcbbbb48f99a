//! Watches over one worker: takes its events in as they come, and settles the run when it ends.

use std::{path::Path, sync::Arc, time::Duration};

use recipe::{Outcome, RunState};
use signal_hook::consts::SIGTERM;

use super::{Inner, ProcessId, Result, Update, process::Exit, process::Worker, tail};
use crate::{
    store::{Ending, RunRow},
    worker::{self, EVENTS_FILE, LOG_FILE},
};

/// How often new events are looked for: also the longest that watchers wait for a batch.
const BEAT: Duration = Duration::from_millis(100);

/// A worker that has written its last event gets this long to end by itself.
const GRACE: Duration = Duration::from_secs(30);

/// After a restart of the server: watches live workers again, settles the runs of dead ones, and queues again
/// what the server before stopped as it ended.
pub(super) async fn recover(pool: &Arc<Inner>) -> Result<()> {
    for run in pool.store.live_runs().await? {
        // A server killed between starting a worker and noting it down left the worker's own note.
        let worker = run.worker.clone().or_else(|| worker::holder(&pool.run_dir(&run.id)));
        if let Some(id) = &worker {
            if run.worker.is_none() {
                pool.store.record_worker(&run.id, id).await?;
            }
            signal_again(&run, id);
        }
        match worker {
            Some(id) => pool.spawn(self::run(pool.clone(), run.id, Worker::adopted(id))),
            None => settle(pool, &run.id, Exit::Unknown).await?,
        }
    }
    for run in pool.store.shut_down_runs().await? {
        pool.transition(&run.id, RunState::Queued, Some("resumed: the server is back")).await?;
    }
    Ok(())
}

/// The server may have died after it noted what the user wants and before it told the worker.
fn signal_again(run: &RunRow, worker: &ProcessId) {
    let told = match run.ending {
        Some(Ending::Stop | Ending::Shutdown) => worker.terminate(),
        Some(Ending::Cancel) => worker.kill_group(),
        None => Ok(()),
    };
    if let Err(e) = told {
        tracing::warn!("run {}: cannot signal its worker: {e}", run.id);
    }
}

/// Supervises a worker to its end.
pub(super) async fn run(pool: Arc<Inner>, id: String, mut worker: Worker) {
    // A full disk must not end the supervision: what could not be taken in is read again.
    while let Err(e) = watch(&pool, &id, &mut worker).await {
        tracing::error!("run {id}: {e}; trying again");
        tokio::time::sleep(50 * BEAT).await;
    }
    pool.wake.notify_one();
}

async fn watch(pool: &Arc<Inner>, id: &str, worker: &mut Worker) -> Result<()> {
    let mut ended_since = None;
    let exit = loop {
        // Looked at before reading: what is read after the end is all there will ever be.
        let exit = worker.exited().unwrap_or_else(|e| {
            tracing::warn!("run {id}: cannot ask after its worker: {e}");
            (!worker.id().is_alive()).then_some(Exit::Unknown)
        });
        let ended = take_in(pool, id).await?;
        if let Some(exit) = exit {
            break exit;
        }
        if ended && ended_since.get_or_insert_with(std::time::Instant::now).elapsed() > GRACE {
            tracing::warn!("run {id}: its worker is done but does not end; ending it");
            let _ = worker.id().kill_group();
        }
        tokio::time::sleep(BEAT).await;
    };
    settle(pool, id, exit).await
}

/// Takes in all complete lines there are; says whether the worker has written its last event.
async fn take_in(pool: &Arc<Inner>, id: &str) -> Result<bool> {
    let mut run = pool.store.run(id).await?;
    loop {
        let path = pool.run_dir(id).join(EVENTS_FILE);
        let offset = run.offset;
        let reading = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || tail::read(&path, offset))
        };
        let stretch = reading.await.map_err(std::io::Error::other).and_then(|read| read);
        let stretch = stretch.map_err(|source| super::PoolError::Io { what: "cannot read", path, source })?;
        for what in &stretch.garbage {
            tracing::warn!("run {id}: a line of its event file is not an event: {what}");
        }
        if stretch.offset == offset {
            return Ok(run.outcome.is_some());
        }
        let ingested = pool.store.ingest(id, stretch.events, stretch.offset).await?;
        run = ingested.run;
        if !ingested.fresh.is_empty() {
            pool.hub.publish(id, || Update::Events(ingested.fresh.into()));
            pool.tell(id);
        }
        if !stretch.more {
            return Ok(run.outcome.is_some());
        }
    }
}

/// Gives a run whose worker is gone its last state.
async fn settle(pool: &Arc<Inner>, id: &str, exit: Exit) -> Result<()> {
    take_in(pool, id).await?;
    let _ordered = pool.control.lock().await;
    let run = pool.store.run(id).await?;
    let (state, reason) = verdict(&run, exit, &last_words(&pool.run_dir(id).join(LOG_FILE)));
    // A worker that ended while nobody watched was at work until it was last heard of, as far as is known.
    let last_seen = match exit {
        Exit::Unknown => pool.store.last_event_time(id).await?.max(run.working_since),
        Exit::Code(_) | Exit::Signal(_) => None,
    };
    let time = last_seen.unwrap_or_else(crate::store::now);
    pool.store.transition_at(id, state, reason.as_deref(), time).await?;
    super::note(id, state, reason.as_deref());
    pool.tell(id);
    Ok(())
}

fn verdict(run: &RunRow, exit: Exit, last_words: &str) -> (RunState, Option<String>) {
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
        // The signal came before the worker was ready for it, which is the first thing it does.
        (None, Some(Ending::Stop | Ending::Shutdown))
            if exit == Exit::Signal(SIGTERM) || is_unheard(run, exit) =>
        {
            stopped(early)
        }
        (None, _) => (RunState::Interrupted, Some(obituary(exit, last_words))),
    }
}

/// Whether a worker that ended while nobody watched has never trained.
fn is_unheard(run: &RunRow, exit: Exit) -> bool {
    exit == Exit::Unknown && run.point_count == 0
}

fn obituary(exit: Exit, last_words: &str) -> String {
    let mut what = match exit {
        Exit::Signal(9) => {
            "the worker was killed (signal 9): by the system for want of memory, or by someone on this machine".to_owned()
        }
        Exit::Signal(signal) => format!("the worker was ended by signal {signal}"),
        Exit::Code(code) => format!("the worker ended with exit code {code} and no account of its end"),
        Exit::Unknown => "the worker ended while the server was away, without an account of its end".to_owned(),
    };
    if !last_words.is_empty() {
        what.push_str("; its last words: ");
        what.push_str(last_words);
    }
    what
}

/// The last line a worker printed, shortened.
fn last_words(log: &Path) -> String {
    let lines = worker::last_log_lines(log, 1);
    let line = lines.last().map(String::as_str).unwrap_or_default();
    line.chars().take(300).collect()
}
