//! From an entry to records, row by row.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use rayon::prelude::*;
use serde_json::{Map, Value};
use sha1::{Digest, Sha1};

use super::entry::{DatasetInfo, Format, Source, USUAL_QUERY};
use super::files::{NULLS, RawRow, Rows, files_of};
use super::{Catalog, Converted, Kind, Record, Row, alpaca, messages};
use crate::error::{Error, Result};
use crate::hub::{Hubs, Listing, quietly};
use crate::numpy::LegacyRng;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub row: usize,
    /// The column that is wrong.
    pub key: String,
    /// What is wrong with it.
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
    /// It is trained on.
    Record(Record),
    /// It is left out.
    Skipped(Skipped),
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its entry.
    pub info: DatasetInfo,
    /// The rows, in the order of the files.
    pub records: Vec<Record>,
    /// Rows that were left out.
    pub skipped: Vec<Skipped>,
}

/// A data set that is ready to be read: its entry is sound and its files are on this machine.
#[derive(Clone, Debug)]
pub struct DataSource {
    /// Its entry.
    pub info: DatasetInfo,
    /// The files with its rows, in the order in which they are read.
    pub files: Vec<PathBuf>,
    /// What its rows become.
    pub kind: Kind,
    /// What the user should know.
    pub notes: Vec<String>,
    /// The files, where they are fetched when their turn comes.
    pub(super) pending: Option<Arc<Listing>>,
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

/// What `one` makes of each row, on all cores, in the order of the rows.
///
/// # Errors
/// Of several rows that fail, the first one's: the same in each run. (Collecting a parallel iterator into a `Result`
/// answers with the error of whichever row failed first in time.)
pub(crate) fn on_all_cores<R: Send, T: Send>(
    rows: Vec<R>,
    one: impl Fn(R) -> Result<T> + Sync + Send,
) -> Result<Vec<T>> {
    let made: Vec<Result<T>> = rows.into_par_iter().map(one).collect();
    made.into_iter().collect()
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
            outcomes.extend(on_all_cores(chunk, |row| source.convert(row, &seen))?);
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
        let mut source = self.stream(name, kind, hubs)?;
        if let Some(listing) = source.pending.take() {
            let all = Listing::clone(&listing).all(&mut quietly);
            all.map_err(|e| self.wrong(name, e.to_string()))?;
        }
        Ok(source)
    }

    /// As [`Catalog::source`], but each file is downloaded when its rows are asked for.
    ///
    /// # Errors
    /// If the entry is wrong, the data set is of another kind, or the hub does not say which files it has.
    pub fn stream(&self, name: &str, kind: Kind, hubs: &Hubs) -> Result<DataSource> {
        let info = self.get(name)?;
        let error = |message: String| self.wrong(name, message);
        info.check_kind(kind).map_err(error)?;
        check_names(&info).map_err(error)?;
        let (files, pending) = match &info.source {
            Source::File(path) => (files_of(path)?, None),
            Source::Hub(hub) => {
                let listing = hubs.listing(hub, &info.split.name).map_err(|e| error(e.to_string()))?;
                (listing.files().to_vec(), Some(Arc::new(listing)))
            }
        };
        let mut notes = info.notes.clone();
        if let (Some(expected), [file], None) = (&info.sha1, files.as_slice(), &pending) {
            let found = sha1(file)?;
            if found != *expected {
                notes.push(format!(
                    "file_sha1 says {expected}, but the file's SHA-1 is {found}; it has changed"
                ));
            }
        }
        Ok(DataSource { info, files, kind, notes, pending, catalog: self.path().to_owned() })
    }
}

fn sha1(path: &Path) -> Result<String> {
    let file = crate::files::open(path).map_err(|e| Error::read(path, e))?;
    crate::hub::hash(file, Sha1::new()).map_err(|e| Error::read(path, e))
}

/// Which of the columns that matter some row has.
#[derive(Debug, Default)]
pub struct Seen(AtomicU16);

impl DataSource {
    /// The rows as they stand in the files, those that the entry's split takes.
    ///
    /// # Errors
    /// An item says which file cannot be opened or read on; it is the last one.
    pub fn rows(&self) -> impl Iterator<Item = Result<RawRow>> + Send + use<> {
        let range = &self.info.split.rows;
        let rows = match &self.pending {
            None => Rows::of(self.files.clone()),
            Some(listing) => {
                let (listing, source) = (Arc::clone(listing), self.clone());
                Rows::fetched(self.files.clone(), move |place| match listing.get(place, &mut quietly) {
                    Ok(_) => Ok(()),
                    Err(e) => Err(source.error(e.to_string())),
                })
            }
        };
        rows.skip(range.start).take(range.end - range.start)
    }

    /// A row as a record; notes in `seen` which columns it has.
    ///
    /// # Errors
    /// If the row is broken or holds what it should not.
    pub fn convert(&self, row: RawRow, seen: &Seen) -> Result<Outcome> {
        let (path, number) = (row.path.clone(), row.number);
        let (values, has_nulls) = row.parsed()?;
        // Whoever is told of a null may look for it in vain.
        let read_as = if has_nulls { NULLS } else { "" };
        self.note(&values, seen);
        let row = Row { path: &path, number, values: &values };
        let converted = match self.info.format {
            Format::Alpaca => alpaca::convert(&self.info, &row),
            Format::Sharegpt | Format::OpenAi => messages::convert(&self.info, &row),
        };
        let (key, reason) = match converted {
            Ok(Converted::Record(record)) => match record.unfit(self.kind) {
                None => return Ok(Outcome::Record(record)),
                Some(reason) => (main_column(&self.info).to_owned(), reason),
            },
            Ok(Converted::Skipped(key, reason)) => (key, reason),
            Err(Error::Row { path, row, key, message }) => {
                return Err(Error::Row { path, row, key, message: format!("{message}{read_as}") });
            }
            Err(other) => return Err(other),
        };
        let reason = format!("{reason}{read_as}");
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
    fn matters(&self) -> [(&'static str, Option<&str>); 13] {
        let columns = &self.info.columns;
        let alpaca = self.info.format == Format::Alpaca;
        let answers = match self.kind {
            Kind::Supervised | Kind::Feedback => true,
            // Pairs stand in columns of their own, or in a list.
            Kind::Preference => columns.chosen.is_none(),
            Kind::Text | Kind::Prompt => false,
        };
        // Rows in OpenAI's layout often do without tools and system text, and nobody names the column.
        let said = self.info.format != Format::OpenAi;
        fn of(column: &Option<String>, applies: bool) -> Option<&str> {
            column.as_deref().filter(|_| applies)
        }
        [
            ("prompt", of(&columns.prompt, alpaca)),
            ("query", of(&columns.query, alpaca).filter(|column| *column != USUAL_QUERY)),
            ("response", of(&columns.response, alpaca && answers)),
            ("history", of(&columns.history, alpaca)),
            ("messages", of(&columns.messages, !alpaca)),
            ("system", of(&columns.system, said)),
            ("tools", of(&columns.tools, said)),
            ("images", of(&columns.images, true)),
            ("videos", of(&columns.videos, true)),
            ("audios", of(&columns.audios, true)),
            ("chosen", of(&columns.chosen, true)),
            ("rejected", of(&columns.rejected, true)),
            ("kto_tag", of(&columns.kto_tag, true)),
        ]
    }

    /// The first of these columns that is not in `seen`.
    fn unseen(&self, seen: &Seen) -> Option<(&'static str, &str)> {
        let seen = seen.0.load(Ordering::Relaxed);
        let columns = self.matters().into_iter().enumerate();
        let mut unseen = columns.filter(|(bit, _)| seen & 1 << bit == 0);
        unseen.find_map(|(_, (key, column))| Some((key, column?)))
    }

    /// A column that no row has is a mistake in the entry.
    ///
    /// # Errors
    /// If one that the entry names is in no row, neither in those that were converted with `seen` nor in others.
    pub fn check_columns(&self, seen: &Seen) -> Result<()> {
        let mut first = None;
        let mut rows = self.rows();
        while let Some((key, column)) = self.unseen(seen) {
            let Some(values) = rows.next().and_then(|row| row.and_then(RawRow::values).ok()) else {
                let first: Map<String, Value> = first.unwrap_or_default();
                let present: Vec<&str> = first.keys().map(String::as_str).take(12).collect();
                return Err(self.error(format!(
                    "no row has the column \"{column}\" ({key}); the first row has {}; name the columns with \"columns\"",
                    present.join(", ")
                )));
            };
            self.note(&values, seen);
            first.get_or_insert(values);
        }
        Ok(())
    }

    /// What is to be said about the columns of data that are not read to their end before they are used.
    ///
    /// # Errors
    /// As [`DataSource::check_columns`], if the data end within the rows that are looked at.
    pub(crate) fn check_first_columns(&self) -> Result<Option<String>> {
        const ROWS: usize = 1000;
        let seen = Seen::default();
        let mut rows = self.rows();
        for row in rows.by_ref().take(ROWS) {
            // A broken row is refused when its turn comes.
            let Ok(values) = row.and_then(RawRow::values) else { return Ok(None) };
            self.note(&values, &seen);
        }
        match self.unseen(&seen) {
            Some((key, column)) if rows.next().is_some() => {
                Ok(Some(format!("none of the first {ROWS} rows has the column \"{column}\" ({key})")))
            }
            Some(_) => self.check_columns(&seen).map(|()| None),
            None => Ok(None),
        }
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

/// What an entry must name for rows to be read.
pub(super) fn check_names(info: &DatasetInfo) -> std::result::Result<(), String> {
    let (columns, tags) = (&info.columns, &info.tags);
    let needed = match info.format {
        Format::Alpaca => vec![("columns", "prompt", &columns.prompt)],
        Format::Sharegpt | Format::OpenAi => vec![
            ("columns", "messages", &columns.messages),
            ("tags", "role_tag", &tags.role),
            ("tags", "content_tag", &tags.content),
        ],
    };
    match needed.into_iter().find(|(.., name)| name.is_none()) {
        // A key that is unknown may be the one that is missing, misspelt.
        Some((table, key, _)) => {
            Err([vec![format!("\"{table}\" does not name \"{key}\"")], info.notes.clone()]
                .concat()
                .join("; "))
        }
        None => Ok(()),
    }
}

/// Draws `samples` of `rows` rows: each once in a random order, then, if more are wanted, any again.
pub(crate) fn draw(rows: usize, samples: usize, rng: &mut LegacyRng) -> Vec<usize> {
    let mut drawn = rng.permutation(rows);
    drawn.truncate(samples);
    let missing = if rows == 0 { 0 } else { samples - drawn.len() };
    drawn.extend(rng.choices(rows, missing));
    drawn
}
