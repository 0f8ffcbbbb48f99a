//! The pool of workers: queue, supervision, and the only writer of run state.
//!
//! A worker is a process of its own that appends events to a file; the pool tails the file into the
//! database and tells who watches. Neither depends on the other being alive: after a restart the pool finds
//! its workers again by process id and start time, and reads on from the offset in the database.

mod broadcast;
mod error;
mod final_state;
mod process;
mod queue;
mod space;
mod stillness;
mod supervise;
pub mod tail;
mod tidy;

pub use broadcast::{Broadcast, Update, of_row, text};
pub use error::{PoolError, Result};

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use recipe::{Event, RunState};
use tokio::{
    sync::{Notify, broadcast::Receiver},
    task::JoinSet,
};

use crate::{
    command::WorkerCommand,
    process_id::ProcessId,
    store::{Ending, NewRun, RunRow, Store, StoreError},
    worker::{LOG_FILE, RECIPE_FILE, last_log_lines},
};

/// Where and how the pool works.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Canonical path of the runs folder.
    pub runs_dir: PathBuf,
    /// Runs that may train at the same time.
    pub slots: usize,
    /// Starts workers.
    pub worker: WorkerCommand,
    /// Runs that were cut off while no server was there go on by themselves.
    pub resume_interrupted: bool,
}

/// How often it is looked whether all workers are gone.
const SETTLING: Duration = Duration::from_millis(50);

/// Lines of what a dead worker printed that are shown with its log.
const LOG_TAIL: usize = 20;

/// A handle; clones share the same pool.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    broadcast: Broadcast,
    config: PoolConfig,
    /// Orders starting, stopping, resuming and deleting against each other.
    control: tokio::sync::Mutex<()>,
    /// Something may have changed for the queue.
    wake: Notify,
    /// No worker is started any more.
    is_closing: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
    /// Rows are read and told of one after the other, so that nobody hears of an older one last.
    telling: tokio::sync::Mutex<()>,
}

impl Pool {
    /// Takes up the work where an earlier server left it: finds live workers again, settles runs whose
    /// worker is gone, resumes those that the server stopped as it ended, and starts what is queued.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn start(store: Store, config: PoolConfig) -> Result<Pool> {
        let inner = Inner {
            store,
            broadcast: Broadcast::default(),
            config,
            control: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            is_closing: AtomicBool::new(false),
            tasks: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        };
        let pool = Pool { inner: Arc::new(inner) };
        tidy::complete(&pool.inner).await?;
        pool.empty_trash();
        supervise::recover(&pool.inner).await?;
        pool.inner.spawn(queue::run(pool.inner.clone()));
        Ok(pool)
    }

    /// The database, which nobody but the pool changes runs in.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The folder of a run.
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.inner.run_dir(id)
    }

    /// News of a run from now on.
    pub fn subscribe(&self, id: &str) -> Receiver<Arc<Update>> {
        self.inner.broadcast.subscribe(id)
    }

    /// Whether runs can be launched and watched: the database answers, and the runs folder is where it was.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn check(&self) -> Result<()> {
        let dir = &self.inner.config.runs_dir;
        if !dir.is_dir() {
            let why = format!(
                "the runs folder {} was moved or removed while the server runs: put it back, or start the server anew",
                dir.display()
            );
            return Err(PoolError::Refused(why));
        }
        Ok(self.inner.store.check().await?)
    }

    /// Makes the run's folder with the recipe its worker will read, and queues it.
    ///
    /// # Errors
    /// The disk is full, the folder cannot be made, or the database not be written to; nothing is left of the run then.
    pub async fn enqueue(&self, run: &NewRun, worker_recipe: &str) -> Result<()> {
        self.check().await?;
        if let Some(why) = space::lack(&self.inner.config.runs_dir) {
            return Err(PoolError::Refused(why));
        }
        // The folder gets its name once there is a row: whoever dies in between leaves none without the other.
        let (new, dir) = (self.run_dir(&format!("{}{}", tidy::NEW, run.id)), self.run_dir(&run.id));
        // It may hold tokens, which are for the worker's eyes alone.
        let write = || {
            let mut options = File::options();
            let mut file = options.create_new(true).write(true).mode(0o600).open(new.join(RECIPE_FILE))?;
            file.write_all(worker_recipe.as_bytes())?;
            file.sync_all()
        };
        let _ordered = self.inner.control.lock().await;
        let queued = match fs::create_dir(&new).and_then(|()| write()) {
            Ok(()) => self.inner.store.insert_run(run).await.map(drop).map_err(PoolError::from),
            Err(source) => Err(PoolError::Io { what: "cannot write", path: dir.clone(), source }),
        };
        if let Err(e) = queued {
            // Best effort: the error to report is the first one.
            let _ = fs::remove_dir_all(&new);
            return Err(e);
        }
        if let Err(source) = fs::rename(&new, &dir) {
            self.inner.store.delete_run(&run.id).await?;
            return Err(PoolError::Io { what: "cannot make", path: dir, source });
        }
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Ends a run after its current step, with a checkpoint; one that waits leaves the queue.
    ///
    /// # Errors
    /// If there is no such run, it has ended, or the database fails.
    pub async fn stop(&self, id: &str) -> Result<()> {
        let _ordered = self.inner.control.lock().await;
        let run = self.inner.store.run(id).await?;
        match run.state {
            RunState::Queued => self.leave_queue(id).await,
            RunState::Stopping => Ok(()),
            RunState::Preparing | RunState::Running => {
                self.inner.begin_stopping(id, Ending::Stop, "asked to stop after the current step").await?;
                self.signal(&run, ProcessId::terminate)
            }
            _ => Err(PoolError::Refused(format!("this run is over already: it is {}", run.state.name()))),
        }
    }

    /// Stops every live run with a checkpoint, and waits for the workers: for a server whose end is theirs.
    /// The next server resumes the runs.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn stop_all(&self) -> Result<()> {
        self.inner.is_closing.store(true, Ordering::Relaxed);
        {
            let _ordered = self.inner.control.lock().await;
            let live = self.inner.store.live_runs().await?;
            if !live.is_empty() {
                tracing::info!("waiting for {} runs to stop with a checkpoint", live.len());
            }
            for run in live {
                // Whoever asked for another end before gets that one.
                if run.ending.is_none() {
                    let reason = "the server ends: stopping after the current step";
                    self.inner.begin_stopping(&run.id, Ending::Shutdown, reason).await?;
                    self.signal(&run, ProcessId::terminate)?;
                }
            }
        }
        while !self.inner.store.live_runs().await?.is_empty() {
            tokio::time::sleep(SETTLING).await;
        }
        Ok(())
    }

    /// The last lines that the worker printed, of a run that ended badly; none of others.
    pub fn log_tail(&self, id: &str, state: RunState) -> Vec<String> {
        self.inner.log_tail(id, state)
    }

    /// Ends a run at once; steps since its last checkpoint are lost.
    ///
    /// # Errors
    /// If there is no such run, it has ended, or the database fails.
    pub async fn cancel(&self, id: &str) -> Result<()> {
        let _ordered = self.inner.control.lock().await;
        let run = self.inner.store.run(id).await?;
        match run.state {
            RunState::Queued => self.leave_queue(id).await,
            state if state.is_live() => {
                self.inner.begin_stopping(id, Ending::Cancel, "cancelled").await?;
                self.signal(&run, ProcessId::kill_group)
            }
            state => Err(PoolError::Refused(format!("this run is over already: it is {}", state.name()))),
        }
    }

    /// Queues a run again; its worker goes on from the newest valid checkpoint.
    ///
    /// # Errors
    /// If there is no such run, it cannot be gone on with, or the database fails.
    pub async fn resume(&self, id: &str) -> Result<()> {
        let _ordered = self.inner.control.lock().await;
        let run = self.inner.store.run(id).await?;
        if !run.state.can_resume() {
            let why = format!(
                "only a stopped, failed or interrupted run can be resumed; this one is {}",
                run.state.name()
            );
            return Err(PoolError::Refused(why));
        }
        self.inner.transition(id, RunState::Queued, Some("resumed")).await?;
        self.inner.wake.notify_one();
        Ok(())
    }

    /// Gives a run another name.
    ///
    /// # Errors
    /// If there is no such run, the name is refused, or the database fails.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        self.inner.store.rename_run(id, name).await?;
        self.inner.tell(id, Vec::new()).await;
        Ok(())
    }

    async fn leave_queue(&self, id: &str) -> Result<()> {
        self.inner.transition(id, RunState::Stopped, Some("taken out of the queue before it began")).await
    }

    fn signal(&self, run: &RunRow, how: fn(&ProcessId) -> io::Result<()>) -> Result<()> {
        let Some(worker) = &run.worker else { return Ok(()) };
        how(worker).map_err(|source| PoolError::Io {
            what: "cannot signal the worker of",
            path: self.run_dir(&run.id),
            source,
        })
    }

    /// Lets go of everything, workers included: they train on and will be found again.
    pub async fn close(&self) {
        let mut tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.inner.store.close().await;
    }
}

impl Inner {
    fn run_dir(&self, id: &str) -> PathBuf {
        self.config.runs_dir.join(id)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    async fn transition(&self, id: &str, next: RunState, reason: Option<&str>) -> Result<()> {
        self.store.transition(id, next, reason).await?;
        note(id, next, reason);
        self.tell(id, Vec::new()).await;
        Ok(())
    }

    async fn begin_stopping(&self, id: &str, ending: Ending, reason: &str) -> Result<()> {
        self.store.begin_stopping(id, ending, reason).await?;
        self.tell(id, Vec::new()).await;
        Ok(())
    }

    /// Whether a change that failed is worth another try at once.
    async fn makes_room(&self, error: &PoolError) -> bool {
        match error {
            PoolError::Store(error) => self.store.make_room(error).await,
            _ => false,
        }
    }

    fn log_tail(&self, id: &str, state: RunState) -> Vec<String> {
        match state {
            RunState::Failed | RunState::Interrupted => {
                last_log_lines(&self.run_dir(id).join(LOG_FILE), LOG_TAIL)
            }
            _ => Vec::new(),
        }
    }

    /// Tells watchers of new events, and how the row of their run is now: read once for all of them.
    async fn tell(&self, id: &str, events: Vec<Event>) {
        if !self.broadcast.is_watched(id) {
            return;
        }
        let _in_order = self.telling.lock().await;
        match self.store.run(id).await {
            Ok(run) => {
                let log_tail = self.log_tail(id, run.state);
                self.broadcast.publish(id, Update::new(events, run.summary(), log_tail));
            }
            // Its watchers are told as they are left alone.
            Err(StoreError::NoRun(_)) => {}
            Err(e) => tracing::warn!("run {id}: its watchers are not told of a change: {e}"),
        }
    }
}

/// A line for whoever reads the server's log.
fn note(id: &str, state: RunState, reason: Option<&str>) {
    if state.is_over() {
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        tracing::info!("run {id} is {}{reason}", state.name());
    }
}
