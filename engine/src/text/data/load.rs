//! From an entry to records, row by row.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use rayon::prelude::*;
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use super::entry::{DatasetInfo, Format, Source};
use super::files::{RawRow, Rows, files_of};
use super::{Catalog, Converted, Kind, Record, Row, alpaca, messages};
use crate::hub::{Hubs, quietly};
use crate::text::error::{Error, Result};
use crate::text::numpy::LegacyRng;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub path: PathBuf,
    /// Counted from 1.
    pub row: usize,
    pub key: String,
    pub reason: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}, row {}, key \"{}\": {}; the row is left out",
            self.path.display(),
            self.row,
            self.key,
            self.reason
        )
    }
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Record(Record),
    Skipped(Skipped),
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub info: DatasetInfo,
    pub records: Vec<Record>,
    pub skipped: Vec<Skipped>,
}

/// A data set that is ready to be read: its entry is sound and its files are on this machine.
#[derive(Clone, Debug)]
pub struct DataSource {
    pub info: DatasetInfo,
    pub files: Vec<PathBuf>,
    pub kind: Kind,
    /// What the user should know.
    pub notes: Vec<String>,
    pub(super) catalog: PathBuf,
}

/// The next rows to be parsed and converted together, at most `most`: about a thousand, fewer if they are long.
pub(crate) fn chunk(rows: &mut dyn Iterator<Item = Result<RawRow>>, most: usize) -> Result<Vec<RawRow>> {
    const ROWS: usize = 1000;
    const BYTES: usize = 16 << 20;
    let (mut chunk, mut size) = (Vec::new(), 0);
    while chunk.len() < ROWS.min(most) && size < BYTES {
        let Some(row) = rows.next().transpose()? else { break };
        size += row.size();
        chunk.push(row);
    }
    Ok(chunk)
}

impl Catalog {
    /// Loads the data set called `name` for a stage that needs `kind`: `num_samples` of its rows if its entry says so,
    /// and of those the first `max_samples`. `seed` decides which rows are drawn.
    ///
    /// # Errors
    /// If the entry or a row is wrong, or the data set is of another kind.
    pub fn load(&self, name: &str, kind: Kind, max_samples: Option<usize>, seed: u64) -> Result<Dataset> {
        let source = self.source(name, kind, &Hubs::from_env())?;
        let (mut rows, seen) = (source.rows(), Seen::default());
        let limit = source.info.num_samples.map_or(max_samples, |_| None).unwrap_or(usize::MAX);
        let mut outcomes: Vec<Outcome> = Vec::new();
        while outcomes.len() < limit {
            let chunk = chunk(&mut rows, limit - outcomes.len())?;
            if chunk.is_empty() {
                break;
            }
            let converted = chunk.into_par_iter().map(|row| source.convert(row, &seen));
            outcomes.extend(converted.collect::<Result<Vec<_>>>()?);
        }
        source.check_columns(&seen)?;
        if let Some(samples) = source.info.num_samples {
            let places = draw(outcomes.len(), samples, &mut LegacyRng::new(seed as u32));
            let taken = places.into_iter().take(max_samples.unwrap_or(usize::MAX));
            outcomes = taken.map(|place| outcomes[place].clone()).collect();
        }
        let (mut records, mut skipped) = (Vec::with_capacity(outcomes.len()), Vec::new());
        for outcome in outcomes {
            match outcome {
                Outcome::Record(record) => records.push(record),
                Outcome::Skipped(row) => skipped.push(row),
            }
        }
        if records.is_empty() {
            return Err(source.nothing_left(skipped.first()));
        }
        Ok(Dataset { info: source.info, records, skipped })
    }

    /// Makes the data set called `name` ready for a stage that needs `kind`; data on a hub are downloaded if they are
    /// not there yet ([`Catalog::fetch`] tells how that goes).
    ///
    /// # Errors
    /// If the entry is wrong, the data set is of another kind, or its files cannot be had.
    pub fn source(&self, name: &str, kind: Kind, hubs: &Hubs) -> Result<DataSource> {
        let info = self.get(name)?;
        let error = |message: String| self.wrong(name, message);
        info.check_kind(kind).map_err(error)?;
        check_main_column(&info).map_err(error)?;
        let files = match &info.source {
            Source::File(path) => files_of(path)?,
            Source::Hub(hub) => {
                hubs.data_files(hub, &info.split.name, &mut quietly).map_err(|e| error(e.to_string()))?
            }
        };
        let mut notes = info.notes.clone();
        if let (Some(expected), [file]) = (&info.sha1, files.as_slice()) {
            let found = sha1(file)?;
            if found != *expected {
                notes.push(format!(
                    "file_sha1 says {expected}, but the file's SHA-1 is {found}; it has changed"
                ));
            }
        }
        Ok(DataSource { info, files, kind, notes, catalog: self.path().to_owned() })
    }
}

fn sha1(path: &Path) -> Result<String> {
    let file = std::fs::File::open(path).map_err(|e| Error::read(path, e))?;
    crate::hub::hash(file, Sha1::new()).map_err(|e| Error::read(path, e))
}

/// Which of the columns that matter some row has.
#[derive(Debug, Default)]
pub struct Seen(AtomicU8);

impl DataSource {
    /// The rows as they stand in the files, those that the entry's split takes.
    pub fn rows(&self) -> impl Iterator<Item = Result<RawRow>> + Send + use<> {
        let range = &self.info.split.rows;
        Rows::of(self.files.clone()).skip(range.start).take(range.end - range.start)
    }

    /// A row as a record; notes in `seen` which columns it has.
    ///
    /// # Errors
    /// If the row is broken or holds what it should not.
    pub fn convert(&self, row: RawRow, seen: &Seen) -> Result<Outcome> {
        let (path, number) = (row.path.clone(), row.number);
        let values = row.values()?;
        self.note(&values, seen);
        let row = Row { path: &path, number, values: &values };
        let converted = match self.info.format {
            Format::Alpaca => alpaca::convert(&self.info, &row)?,
            Format::Sharegpt | Format::OpenAi => messages::convert(&self.info, &row)?,
        };
        let (key, reason) = match converted {
            Converted::Record(record) => match record.unfit(self.kind) {
                None => return Ok(Outcome::Record(record)),
                Some(reason) => (main_column(&self.info).to_owned(), reason),
            },
            Converted::Skipped(key, reason) => (key, reason),
        };
        Ok(Outcome::Skipped(Skipped { path: path.to_path_buf(), row: number, key, reason }))
    }

    fn note(&self, values: &Map<String, Value>, seen: &Seen) {
        let before = seen.0.load(Ordering::Relaxed);
        let mut now = before;
        for (bit, (_, column)) in self.matters().into_iter().enumerate() {
            if column.is_some_and(|column| values.contains_key(column)) {
                now |= 1 << bit;
            }
        }
        if now != before {
            seen.0.fetch_or(now, Ordering::Relaxed);
        }
    }

    /// The columns that some row must have, if the entry names them.
    fn matters(&self) -> [(&'static str, Option<&str>); 6] {
        let columns = &self.info.columns;
        let answers = matches!(self.kind, Kind::Supervised | Kind::Feedback) && !self.info.ranking;
        let (alpaca, messages) = match self.info.format {
            Format::Alpaca => (true, false),
            Format::Sharegpt | Format::OpenAi => (false, true),
        };
        [
            ("prompt", columns.prompt.as_deref().filter(|_| alpaca)),
            ("response", columns.response.as_deref().filter(|_| alpaca && answers)),
            ("messages", columns.messages.as_deref().filter(|_| messages)),
            ("chosen", columns.chosen.as_deref()),
            ("rejected", columns.rejected.as_deref()),
            ("kto_tag", columns.kto_tag.as_deref()),
        ]
    }

    /// A column that no row has is a mistake in the entry.
    ///
    /// # Errors
    /// If one that the entry names was in no row that was converted with `seen`.
    pub fn check_columns(&self, seen: &Seen) -> Result<()> {
        let seen = seen.0.load(Ordering::Relaxed);
        for (bit, (key, column)) in self.matters().into_iter().enumerate() {
            let Some(column) = column.filter(|_| seen & 1 << bit == 0) else { continue };
            let first =
                self.rows().next().and_then(|row| row.and_then(RawRow::values).ok()).unwrap_or_default();
            let present: Vec<&str> = first.keys().map(String::as_str).take(12).collect();
            return Err(self.error(format!(
                "no row has the column \"{column}\" ({key}); the first row has {}; name the columns with \"columns\"",
                present.join(", ")
            )));
        }
        Ok(())
    }

    /// The error of a data set without a row that can be used.
    pub(crate) fn nothing_left(&self, first: Option<&Skipped>) -> Error {
        let first = first.map(|first| format!("; the first: {first}")).unwrap_or_default();
        self.error(format!("no row can be used{first}"))
    }

    fn error(&self, message: String) -> Error {
        Error::Dataset { path: self.catalog.clone(), entry: self.info.name.clone(), message }
    }
}

/// The column without which a row says nothing.
fn main_column(info: &DatasetInfo) -> &str {
    let columns = &info.columns;
    let column = match info.format {
        Format::Alpaca if columns.response.is_some() => &columns.response,
        Format::Alpaca => &columns.prompt,
        Format::Sharegpt | Format::OpenAi => &columns.messages,
    };
    column.as_deref().unwrap_or_default()
}

pub(super) fn check_main_column(info: &DatasetInfo) -> std::result::Result<(), String> {
    let (key, column) = match info.format {
        Format::Alpaca => ("prompt", &info.columns.prompt),
        Format::Sharegpt | Format::OpenAi => ("messages", &info.columns.messages),
    };
    if column.is_none() { Err(format!("\"columns\" does not name \"{key}\"")) } else { Ok(()) }
}

/// Draws `samples` of `rows` rows: each once in a random order, then, if more are wanted, any again.
pub(crate) fn draw(rows: usize, samples: usize, rng: &mut LegacyRng) -> Vec<usize> {
    let mut drawn = rng.permutation(rows);
    drawn.truncate(samples);
    let missing = if rows == 0 { 0 } else { samples - drawn.len() };
    drawn.extend(rng.choices(rows, missing));
    drawn
}
