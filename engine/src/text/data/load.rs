//! From an entry to records.

use std::path::PathBuf;

use rayon::prelude::*;

use super::entry::{DatasetInfo, Format};
use super::files::{Rows, read_rows};
use super::{Catalog, Converted, Kind, Record, Row, alpaca, messages};
use crate::rng::Rng;
use crate::text::error::{Error, Result};

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

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub info: DatasetInfo,
    pub records: Vec<Record>,
    pub skipped: Vec<Skipped>,
}

impl Catalog {
    /// Loads the data set called `name` for a stage that needs `kind`: `num_samples` of its rows if its entry says so,
    /// and of those the first `max_samples`. `seed` decides which rows are drawn.
    ///
    /// # Errors
    /// If the entry or a row is wrong, or the data set is of another kind.
    pub fn load(&self, name: &str, kind: Kind, max_samples: Option<usize>, seed: u64) -> Result<Dataset> {
        let info = self.get(name)?;
        let error = |message: String| Error::Dataset {
            path: self.path().to_owned(),
            entry: name.to_owned(),
            message,
        };
        check_kind(&info, kind).map_err(error)?;
        let files = read_rows(&info.path)?;
        check_columns(&info, &files, kind).map_err(error)?;

        let places =
            (0..files.len()).flat_map(|file| (0..files[file].rows.len()).map(move |row| (file, row)));
        let mut places: Vec<(usize, usize)> = places.collect();
        if let Some(samples) = info.num_samples {
            places = draw(&places, samples, seed);
        }
        places.truncate(max_samples.unwrap_or(usize::MAX));
        let converted: Vec<(usize, usize, Converted)> = places
            .into_par_iter()
            .map(|(file, row)| Ok((file, row, convert(&info, &files[file], row)?)))
            .collect::<Result<_>>()?;

        let (mut records, mut skipped) = (Vec::with_capacity(converted.len()), Vec::new());
        for (file, row, converted) in converted {
            let (key, reason) = match converted {
                Converted::Record(record) => match record.unfit(kind) {
                    None => {
                        records.push(record);
                        continue;
                    }
                    Some(reason) => (main_column(&info).to_owned(), reason),
                },
                Converted::Skipped(key, reason) => (key, reason),
            };
            skipped.push(Skipped { path: files[file].path.to_path_buf(), row: row + 1, key, reason });
        }
        if records.is_empty() {
            let first = skipped.first().map(|first| format!("; the first: {first}")).unwrap_or_default();
            return Err(error(format!("no row can be used{first}")));
        }
        Ok(Dataset { info, records, skipped })
    }
}

fn convert(info: &DatasetInfo, file: &Rows, row: usize) -> Result<Converted> {
    let row = Row { path: &file.path, number: row + 1, values: &file.rows[row] };
    match info.format {
        Format::Alpaca => alpaca::convert(info, &row),
        Format::Sharegpt | Format::OpenAi => messages::convert(info, &row),
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

fn check_kind(info: &DatasetInfo, kind: Kind) -> std::result::Result<(), String> {
    if info.ranking != (kind == Kind::Preference) {
        return Err(if info.ranking {
            "has \"ranking\": true, so it holds pairs of answers, which this stage does not train on".into()
        } else {
            "holds no pairs of answers (\"ranking\": true), which this stage needs".into()
        });
    }
    if info.columns.kto_tag.is_some() && kind == Kind::Supervised {
        return Err(
            "has a \"kto_tag\" column, so it holds judged answers, which this stage does not train on".into(),
        );
    }
    if kind == Kind::Feedback && info.columns.kto_tag.is_none() {
        return Err("has no \"kto_tag\" column, which this stage needs".into());
    }
    Ok(())
}

/// A column that no row has is a mistake in the entry.
fn check_columns(info: &DatasetInfo, files: &[Rows], kind: Kind) -> std::result::Result<(), String> {
    let columns = &info.columns;
    let needed: &[(&str, &Option<String>)] = match info.format {
        Format::Alpaca => &[("prompt", &columns.prompt), ("response", &columns.response)],
        Format::Sharegpt | Format::OpenAi => &[("messages", &columns.messages)],
    };
    let answers =
        [("chosen", &columns.chosen), ("rejected", &columns.rejected), ("kto_tag", &columns.kto_tag)];
    for (key, column) in needed.iter().copied().chain(answers) {
        let matters = key != "response" || matches!(kind, Kind::Supervised | Kind::Feedback);
        let Some(column) = column.as_deref().filter(|_| matters) else { continue };
        if !files.iter().any(|file| file.rows.iter().any(|row| row.contains_key(column))) {
            let present: Vec<&str> = files
                .iter()
                .flat_map(|file| file.rows.first())
                .flat_map(|row| row.keys())
                .map(String::as_str)
                .take(12)
                .collect();
            return Err(format!(
                "no row has the column \"{column}\" ({key}); the first row has {}; name the columns with \"columns\"",
                present.join(", ")
            ));
        }
    }
    let main = if info.format == Format::Alpaca {
        ("prompt", &columns.prompt)
    } else {
        ("messages", &columns.messages)
    };
    if main.1.is_none() {
        return Err(format!("\"columns\" does not name \"{}\"", main.0));
    }
    Ok(())
}

/// Draws `samples` of `places`: each once in a random order, then, if more are wanted, any again.
fn draw<T: Copy>(places: &[T], samples: usize, seed: u64) -> Vec<T> {
    const STREAM: u64 = 3 << 32;
    let mut rng = Rng::stream(seed, STREAM);
    let mut drawn: Vec<T> =
        rng.permutation(places.len()).into_iter().take(samples).map(|place| places[place]).collect();
    while drawn.len() < samples && !places.is_empty() {
        drawn.push(places[rng.below(places.len())]);
    }
    drawn
}
