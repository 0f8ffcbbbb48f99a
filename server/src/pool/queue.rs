//! Starts queued runs while there are free slots, first queued first.

use std::sync::Arc;

use recipe::RunState;

use super::{Inner, Result, supervise};

pub(super) async fn run(pool: Arc<Inner>) {
    loop {
        if let Err(e) = fill_slots(&pool).await {
            tracing::error!("the queue: {e}");
        }
        pool.wake.notified().await;
    }
}

async fn fill_slots(pool: &Arc<Inner>) -> Result<()> {
    let _ordered = pool.control.lock().await;
    while pool.store.live_runs().await?.len() < pool.config.slots {
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
