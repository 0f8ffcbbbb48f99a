//! Reading a data set to its end in the background: which rows cannot be used, and how long the others are.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use app::api::{Check, CheckState, Encoding, RowProblem};
use engine::text::{
    Error,
    data::{DataSource, DatasetInfo, Outcome, RawRow, Seen},
};
use tokio::sync::Semaphore;

use super::{encode::Encoder, lengths::Lengths};

/// Rows that are named; the others are counted.
const NAMED: usize = 200;

/// The checks since the server started, one for each data set. One runs at a time.
pub struct Checks {
    jobs: Mutex<HashMap<String, Arc<Job>>>,
    turn: Arc<Semaphore>,
}

impl Default for Checks {
    fn default() -> Checks {
        Checks { jobs: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

struct Job {
    source: DataSource,
    encoder: Option<Arc<Encoder>>,
    /// The files as they were when the check began.
    stamps: Vec<Stamp>,
    stopped: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    check: Check,
    lengths: Lengths,
}

/// A file at a time: when it has another stamp, it has changed.
type Stamp = (PathBuf, u64, Option<SystemTime>);

impl Checks {
    /// Begins anew; a check of the same data set that is under way ends. Needs a Tokio runtime.
    pub fn start(&self, source: DataSource, encoder: Option<Arc<Encoder>>) {
        let stamps = stamps(&source);
        let job = Arc::new(Job {
            source,
            encoder,
            stamps,
            stopped: AtomicBool::new(false),
            found: Mutex::default(),
        });
        job.found().check.state = CheckState::Waiting;
        let before = self.jobs().insert(job.source.info.name.clone(), job.clone());
        if let Some(before) = before {
            before.stopped.store(true, Ordering::Relaxed);
        }
        let turn = self.turn.clone();
        tokio::spawn(async move {
            let Ok(permit) = turn.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                job.run();
            });
        });
    }

    pub fn stop(&self, name: &str) {
        if let Some(job) = self.jobs().get(name) {
            job.stopped.store(true, Ordering::Relaxed);
        }
    }

    /// How the check of a data set is, if its entry and files are still what was checked.
    pub fn of(&self, source: &DataSource, model: Option<&Path>, encoding: &Encoding) -> Check {
        let job = self.jobs().get(&source.info.name).cloned();
        let fresh = job.filter(|job| job.is_of(&source.info) && job.stamps == stamps(source));
        let Some(job) = fresh else { return Check::default() };
        let same = |encoder: &&Arc<Encoder>| model.is_some_and(|model| encoder.is_for(model, encoding));
        let measured = job.encoder.as_ref().filter(same).is_some();
        let found = job.found();
        let lengths = measured.then(|| found.lengths.histogram(encoding.cutoff_len));
        Check { lengths, ..found.check.clone() }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(source: &DataSource) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok();
        let length = metadata.as_ref().map_or(0, fs::Metadata::len);
        (file.clone(), length, metadata.and_then(|metadata| metadata.modified().ok()))
    };
    source.files.iter().map(stamp).collect()
}

impl Job {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_of(&self, info: &DatasetInfo) -> bool {
        self.source.info == *info
    }

    fn run(&self) {
        self.found().check.state = CheckState::Running;
        let seen = Seen::default();
        for (row, number) in self.source.rows().zip(1..) {
            if self.stopped.load(Ordering::Relaxed) {
                self.found().check.state = CheckState::Stopped;
                return;
            }
            let outcome = self.row(row, &seen);
            let mut found = self.found();
            found.check.rows = number;
            match outcome {
                Ok(length) => length.into_iter().for_each(|length| found.lengths.add(length)),
                Err((key, message)) => {
                    found.check.bad += 1;
                    if found.check.problems.len() < NAMED {
                        found.check.problems.push(RowProblem { row: number, key, message });
                    }
                }
            }
        }
        let mut found = self.found();
        let columns =
            if found.check.bad < found.check.rows { self.source.check_columns(&seen) } else { Ok(()) };
        found.check.error = columns.err().map(|e| e.to_string());
        found.lengths.whole = true;
        found.check.state = CheckState::Done;
    }

    /// The row's length, where it is measured; else key and message of what is wrong.
    fn row(&self, row: engine::text::Result<RawRow>, seen: &Seen) -> Result<Option<usize>, (String, String)> {
        let record = match row.and_then(|row| self.source.convert(row, seen)).map_err(|e| named(&e))? {
            Outcome::Record(record) => record,
            Outcome::Skipped(skipped) => return Err((skipped.key, skipped.reason)),
        };
        let length = |encoder: &Arc<Encoder>| encoder.length(&record, self.source.kind);
        self.encoder.as_ref().map(length).transpose().map_err(|e| named(&e))
    }
}

/// The key that an error is about, and what is wrong with it.
fn named(error: &Error) -> (String, String) {
    match error {
        Error::Row { key, message, .. } => (key.clone(), message.clone()),
        Error::Parse { line, message, .. } if *line > 0 => (String::new(), format!("line {line}: {message}")),
        other => (String::new(), other.to_string()),
    }
}
