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
    data::{DataSource, Outcome, RawRow, Seen},
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
        let same = |job: &Arc<Job>| job.source.info == source.info && job.source.kind == source.kind;
        let fresh = job.filter(|job| same(job) && job.stamps == stamps(source));
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
        // Where no row can be read at all, nothing is known of columns.
        let is_read = |check: &Check| {
            check.bad < check.rows || check.problems.iter().any(|problem| !problem.key.is_empty())
        };
        let is_read = is_read(&self.found().check);
        let columns = if is_read { self.source.check_columns(&seen) } else { Ok(()) };
        let mut found = self.found();
        found.check.error = columns.err().map(|e| e.to_string());
        found.lengths.whole = true;
        found.check.state = CheckState::Done;
    }

    /// The row's length, where it is measured; else key and message of what is wrong.
    fn row(&self, row: engine::text::Result<RawRow>, seen: &Seen) -> Result<Option<usize>, (String, String)> {
        let record = match row.and_then(|row| self.source.convert(row, seen)).map_err(|e| self.named(&e))? {
            Outcome::Record(record) => record,
            Outcome::Skipped(skipped) => {
                return Err((skipped.key, self.place(&skipped.path, skipped.row) + &skipped.reason));
            }
        };
        let length = |encoder: &Arc<Encoder>| encoder.length(&record, self.source.kind);
        self.encoder.as_ref().map(length).transpose().map_err(|e| self.named(&e))
    }

    /// The key that an error is about, and what is wrong with it.
    fn named(&self, error: &Error) -> (String, String) {
        match error {
            Error::Row { path, row, key, message } => (key.clone(), self.place(path, *row) + message),
            Error::Parse { path, line, message, .. } if *line > 0 => {
                (String::new(), format!("{}line {line}: {message}", self.file(path)))
            }
            other => (String::new(), other.to_string()),
        }
    }

    /// `part.jsonl, `, where there are several files.
    fn file(&self, path: &Path) -> String {
        match self.source.files.len() {
            0 | 1 => String::new(),
            _ => format!("{}, ", path.file_name().unwrap_or_default().display()),
        }
    }

    /// `part.jsonl, row 3: `, where there are several files, and rows are counted over all of them.
    fn place(&self, path: &Path, row: usize) -> String {
        let file = self.file(path);
        if file.is_empty() { file } else { format!("{file}row {row}: ") }
    }
}
