//! Starts queued runs while there are free slots, first queued first.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use recipe::RunState;

use super::{Inner, PoolError, Result, process::Worker, supervise};

const RETRY: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_millis(100);

pub(super) async fn run(pool: Arc<Inner>) {
    loop {
        match fill_slots(&pool).await {
            Ok(()) => pool.wake.notified().await,
            // A full disk, most likely: nobody would wake the queue when there is room again.
            Err(e) => {
                tracing::error!("the queue: {e}; trying again");
                tokio::time::sleep(if pool.makes_room(&e).await { SOON } else { RETRY }).await;
            }
        }
    }
}

async fn fill_slots(pool: &Arc<Inner>) -> Result<()> {
    let _ordered = pool.control.lock().await;
    while !pool.is_closing.load(Ordering::Relaxed) && pool.store.live_runs().await?.len() < pool.config.slots
    {
        let Some(run) = pool.store.next_queued().await? else { break };
        // What is left of an earlier attempt is known before the next one adds to it.
        let id = run.id;
        let run = match supervise::ingest_new_events(pool, &id).await {
            // Nothing that time would mend: the others of the queue do not wait for it.
            Err(e) if is_lasting(&e) => {
                pool.transition(&id, RunState::Failed, Some(&e.to_string())).await?;
                continue;
            }
            run => run?,
        };
        let dir = pool.run_dir(&run.id);
        has_descriptors(&dir)?;
        pool.transition(&run.id, RunState::Preparing, None).await?;
        match Worker::start(&pool.config.worker, &dir, run.last_seq) {
            Ok(worker) => {
                pool.store.record_worker(&run.id, worker.id()).await?;
                pool.spawn(supervise::run(pool.clone(), run.id, worker));
            }
            Err(e) => {
                let reason = format!("cannot start a worker in {}: {e}", dir.display());
                pool.transition(&run.id, RunState::Failed, Some(&reason)).await?;
            }
        }
    }
    Ok(())
}

/// Whether a file is not what it should be, rather than out of reach for now.
fn is_lasting(error: &PoolError) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotSeekable, PermissionDenied};
    matches!(error, PoolError::Io { source, .. }
        if matches!(source.kind(), IsADirectory | NotADirectory | NotSeekable | PermissionDenied))
}

/// Fails where too few files can be opened to start a worker: the run keeps its place in the queue.
fn has_descriptors(dir: &Path) -> Result<()> {
    /// Its log twice, its standard input, and what the system's own start of a process takes.
    const TAKEN: usize = 8;
    let opened: io::Result<Vec<_>> = (0..TAKEN).map(|_| File::open("/dev/null")).collect();
    let failed = |source| PoolError::Io { what: "cannot start a worker in", path: dir.to_owned(), source };
    opened.map(drop).map_err(failed)
}
