//! Starts queued runs while there are free slots, first queued first.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use recipe::RunState;

use super::{Inner, Result, supervise};

const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn run(pool: Arc<Inner>) {
    loop {
        match fill_slots(&pool).await {
            Ok(()) => pool.wake.notified().await,
            // A full disk, most likely: nobody would wake the queue when there is room again.
            Err(e) => {
                tracing::error!("the queue: {e}; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn fill_slots(pool: &Arc<Inner>) -> Result<()> {
    let _ordered = pool.control.lock().await;
    while !pool.is_closing.load(Ordering::Relaxed) && pool.store.live_runs().await?.len() < pool.config.slots
    {
        let Some(run) = pool.store.next_queued().await? else { break };
        pool.transition(&run.id, RunState::Preparing, None).await?;
        match pool.config.worker.spawn(&pool.run_dir(&run.id)) {
            Ok(worker) => {
                pool.store.record_worker(&run.id, worker.id()).await?;
                pool.spawn(supervise::run(pool.clone(), run.id, worker));
            }
            Err(e) => {
                let reason = format!("cannot start a worker: {e}");
                pool.transition(&run.id, RunState::Failed, Some(&reason)).await?;
            }
        }
    }
    Ok(())
}
