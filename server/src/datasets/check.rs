//! Reading a data set to its end in the background: which rows cannot be used, and how long the others are.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use engine::text::{
    Error,
    data::{DataSource, Outcome, RawRow, Seen},
};
use recipe::shortened;
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::AbortHandle};
use wire::{Check, CheckState, Encoding, RowProblem};

use super::{
    ask::Ask,
    encode::{Asked, Encoder},
    lengths::Lengths,
};
use crate::helper::{self, Helpers};

/// Rows that are named; the others are counted.
const NAMED: usize = 200;
/// How often the pass over the rows says how far it is.
const EVERY: Duration = Duration::from_millis(200);
/// How long a row may take.
const ROW_WITHIN: Duration = Duration::from_secs(60);

/// The checks since the server started, one for each data set. One runs at a time.
pub(super) struct Checks {
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
    asked: Option<Asked>,
    /// The files as they were when the check began.
    stamps: Vec<Stamp>,
    /// Ends the check, and the process that reads the rows.
    task: Mutex<Option<AbortHandle>>,
    found: Mutex<Found>,
}

/// What a pass over the rows has found so far.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Found {
    check: Check,
    lengths: Lengths,
}

/// A file at a time: when it has another stamp, it has changed.
type Stamp = (PathBuf, u64, Option<SystemTime>);

impl Checks {
    /// Begins anew; a check of the same data set that is under way ends. Needs a Tokio runtime.
    pub(super) fn start(
        &self,
        source: DataSource,
        encoding: Option<(Asked, Encoding)>,
        helpers: Arc<Helpers>,
    ) {
        let stamps = stamps(&source);
        let (asked, encoding) = encoding.unzip();
        let ask = Ask::Check { name: source.info.name.clone(), encoding };
        let job = Arc::new(Job { source, asked, stamps, task: Mutex::default(), found: Mutex::default() });
        job.found().check.state = CheckState::Waiting;
        let before = self.jobs().insert(job.source.info.name.clone(), job.clone());
        if let Some(before) = before {
            before.stop();
        }
        let (turn, running) = (self.turn.clone(), job.clone());
        let task = tokio::spawn(async move {
            let Ok(_permit) = turn.acquire_owned().await else { return };
            running.found().check.state = CheckState::Running;
            let mut take = |found: Found| *running.found() = found;
            let done = helpers.follow(&ask, ROW_WITHIN, &mut take).await;
            let mut found = running.found();
            match done {
                Ok(whole) => *found = whole,
                Err(e) => found.check.error = Some(helper::words(&e)),
            }
            found.check.state = CheckState::Done;
        });
        *job.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }

    pub(super) fn stop(&self, name: &str) {
        if let Some(job) = self.jobs().get(name) {
            job.stop();
        }
    }

    /// How the check of a data set is, if its entry and files are still what was checked.
    pub(super) fn of(&self, source: &DataSource, model: Option<&Path>, encoding: &Encoding) -> Check {
        let job = self.jobs().get(&source.info.name).cloned();
        let same = |job: &Arc<Job>| job.source.info == source.info && job.source.kind == source.kind;
        let fresh = job.filter(|job| same(job) && job.stamps == stamps(source));
        let Some(job) = fresh else { return Check::default() };
        let same = |asked: &Asked| model.is_some_and(|model| *asked == Asked::of(model, encoding));
        let measured = job.asked.as_ref().is_some_and(same);
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

    fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        let mut found = self.found();
        if matches!(found.check.state, CheckState::Waiting | CheckState::Running) {
            found.check.state = CheckState::Stopped;
        }
    }
}

/// Reads all rows; `report` gets what is found so far, now and then.
pub(super) fn pass(source: &DataSource, encoder: Option<&Encoder>, report: &mut dyn FnMut(&Found)) -> Found {
    let mut found = Found::default();
    found.check.state = CheckState::Running;
    let (seen, mut reported) = (Seen::default(), Instant::now());
    for (row, number) in source.rows().zip(1..) {
        found.check.rows = number;
        match looked_at(source, encoder, row, &seen) {
            Ok(length) => length.into_iter().for_each(|length| found.lengths.add(length)),
            Err((key, message)) => {
                found.check.bad += 1;
                if found.check.problems.len() < NAMED {
                    found.check.problems.push(RowProblem { row: number, key, message: shortened(message) });
                }
            }
        }
        if reported.elapsed() > EVERY {
            report(&found);
            reported = Instant::now();
        }
    }
    // Where no row can be read at all, nothing is known of columns.
    let Check { bad, rows, problems, .. } = &found.check;
    let is_read = bad < rows || problems.iter().any(|problem| !problem.key.is_empty());
    let columns = if is_read { source.check_columns(&seen) } else { Ok(()) };
    found.check.error = columns.err().map(|e| e.to_string());
    found.lengths.whole = true;
    found.check.state = CheckState::Done;
    found
}

/// The row's length, where it is measured; else key and message of what is wrong.
fn looked_at(
    source: &DataSource,
    encoder: Option<&Encoder>,
    row: engine::text::Result<RawRow>,
    seen: &Seen,
) -> Result<Option<usize>, (String, String)> {
    let record = match row.and_then(|row| source.convert(row, seen)).map_err(|e| named(source, &e))? {
        Outcome::Record(record) => record,
        Outcome::Skipped(skipped) => {
            return Err((skipped.key, place(source, &skipped.path, skipped.row) + &skipped.reason));
        }
    };
    let length = encoder.map(|encoder| encoder.length(&record, source.kind));
    length.transpose().map_err(|e| named(source, &e))
}

/// The key that an error is about, and what is wrong with it.
fn named(source: &DataSource, error: &Error) -> (String, String) {
    match error {
        Error::Row { path, row, key, message } => (key.clone(), place(source, path, *row) + message),
        Error::Parse { path, line, message, .. } if *line > 0 => {
            (String::new(), format!("{}line {line}: {message}", file(source, path)))
        }
        other => (String::new(), other.to_string()),
    }
}

/// `part.jsonl, `, where there are several files.
fn file(source: &DataSource, path: &Path) -> String {
    match source.files.len() {
        0 | 1 => String::new(),
        _ => format!("{}, ", path.file_name().unwrap_or_default().display()),
    }
}

/// `part.jsonl, row 3: `, where there are several files, and rows are counted over all of them.
fn place(source: &DataSource, path: &Path, row: usize) -> String {
    let file = file(source, path);
    if file.is_empty() { file } else { format!("{file}row {row}: ") }
}
