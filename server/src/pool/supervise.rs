//! Watches over one worker: takes its events in as they come, and settles the run when it ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use recipe::RunState;

use super::{
    Inner, Result,
    final_state::final_state,
    process::{Exit, Worker},
    stillness::{Measure, Stillness},
    tail,
};
use crate::{
    process_id::ProcessId,
    store::{Ending, RunRow},
    worker::{self, EVENTS_FILE},
};

/// Why a run is queued again that an earlier server stopped as it ended.
const BACK: &str = "resumed: the server is back";

/// How often new events are looked for: also the longest that watchers wait for a batch.
const BEAT: Duration = Duration::from_millis(100);

/// A run that is cut off goes on by itself so often from the same checkpoint: it may be what brings the machine down.
const RESUMED: u64 = 2;

/// A worker that has written its last event gets this long to end by itself.
const GRACE: Duration = Duration::from_secs(30);

/// After a restart of the server: watches live workers again, settles the runs of dead ones, and queues again
/// what the server before stopped as it ended.
pub(super) async fn recover(pool: &Arc<Inner>) -> Result<()> {
    for run in pool.store.live_runs().await? {
        // A server killed between starting a worker and noting it down left the worker's own note.
        let worker = run.worker.clone().or_else(|| worker::lock_owner(&pool.run_dir(&run.id)));
        if let Some(id) = &worker {
            if run.worker.is_none() {
                pool.store.record_worker(&run.id, id).await?;
            }
            signal_again(&run, id);
        }
        match worker {
            Some(id) => pool.spawn(self::run(pool.clone(), run.id, Worker::adopted(id))),
            None => settle(pool, &run.id, Exit::Away, false).await?,
        }
    }
    for run in pool.store.shut_down_runs().await? {
        pool.transition(&run.id, RunState::Queued, Some(BACK)).await?;
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
        tokio::time::sleep(if pool.makes_room(&e).await { BEAT } else { 50 * BEAT }).await;
    }
    pool.store.keep_room();
    pool.wake.notify_one();
}

async fn watch(pool: &Arc<Inner>, id: &str, worker: &mut Worker) -> Result<()> {
    let mut ended_since = None;
    let mut stillness = Stillness::new(Instant::now());
    let mut stood_still = false;
    let exit = loop {
        // Looked at before reading: what is read after the end is all there will ever be.
        let exit = worker.exited().unwrap_or_else(|e| {
            tracing::warn!("run {id}: cannot ask after its worker: {e}");
            (!worker.id().is_alive()).then_some(Exit::Unknown)
        });
        let run = ingest_new_events(pool, id).await?;
        if let Some(exit) = exit {
            break exit;
        }
        if run.outcome.is_some() && ended_since.get_or_insert_with(Instant::now).elapsed() > GRACE {
            tracing::warn!("run {id}: its worker is done but does not end; ending it");
            let _ = worker.id().kill_group();
        }
        if let Some(activity) = worker.id().activity() {
            match stillness.look(&run, worker.id(), activity, Instant::now()) {
                Measure::Nothing => {}
                Measure::Remark(remark) => {
                    pool.store.remark(id, remark.as_deref()).await?;
                    pool.tell(id, Vec::new()).await;
                }
                Measure::Resume => drop(worker.id().resume()),
                Measure::Kill => {
                    tracing::warn!("run {id}: its worker is to end and stands still; ending it");
                    stood_still = true;
                    let _ = worker.id().kill_group();
                }
            }
        }
        tokio::time::sleep(BEAT).await;
    };
    settle(pool, id, exit, stood_still).await
}

/// Takes in all complete lines there are; answers with the run as it is then.
pub(super) async fn ingest_new_events(pool: &Arc<Inner>, id: &str) -> Result<RunRow> {
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
        if stretch.anew {
            tracing::warn!(
                "run {id}: its event file is not what was read up to byte {offset}, or has lost its end: reading it anew"
            );
        }
        for what in &stretch.garbage {
            tracing::warn!("run {id}: a line of its event file is not an event: {what}");
        }
        if stretch.offset == offset {
            return Ok(run);
        }
        let ingested = pool.store.ingest(id, stretch.events, stretch.offset).await?;
        run = ingested.run;
        if !ingested.fresh.is_empty() {
            pool.tell(id, ingested.fresh).await;
        }
        if !stretch.more {
            return Ok(run);
        }
    }
}

/// Gives a run whose worker is gone its last state.
async fn settle(pool: &Arc<Inner>, id: &str, exit: Exit, stood_still: bool) -> Result<()> {
    ingest_new_events(pool, id).await?;
    let _ordered = pool.control.lock().await;
    let run = pool.store.run(id).await?;
    let (state, reason) = final_state(&run, exit, stood_still, &pool.run_dir(id));
    // A worker that ended while nobody watched was at work until it was last heard of, as far as is known.
    let time = match exit {
        Exit::Unknown | Exit::Away => run.working_since.unwrap_or_default().max(run.last_time),
        Exit::Code(_) | Exit::Signal(_) => crate::clock::now(),
    };
    pool.store.transition_at(id, state, reason.as_deref(), time).await?;
    super::note(id, state, reason.as_deref());
    match (state, exit, run.ending) {
        (RunState::Interrupted, Exit::Away, Some(Ending::Shutdown)) => {
            pool.store.transition(id, RunState::Queued, Some(BACK)).await?;
        }
        (RunState::Interrupted, Exit::Away, None) if pool.config.resume_interrupted => {
            go_on(pool, &run).await?;
        }
        _ => {}
    }
    pool.tell(id, Vec::new()).await;
    Ok(())
}

/// Queues a run again that was cut off.
async fn go_on(pool: &Inner, run: &RunRow) -> Result<()> {
    let step = pool.store.checkpoint_step(&run.id).await?;
    let (times, from) = run.resumed;
    let times = if from == step { times + 1 } else { 1 };
    if times > RESUMED {
        tracing::warn!("run {}: cut off {times} times after step {step}: it waits to be resumed", run.id);
        return Ok(());
    }
    pool.store.record_resumed(&run.id, times, step).await?;
    let how = match step {
        0 => "goes on by itself after it was cut off, from its beginning".to_owned(),
        step => format!("goes on by itself after it was cut off, from step {step}"),
    };
    pool.store.transition(&run.id, RunState::Queued, Some(&how)).await?;
    Ok(())
}
