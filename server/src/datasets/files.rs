//! The datasets that `dataset_info.json` lists: whether a name can be trained on, and how many rows there are.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use engine::{
    files,
    text::data::{
        Catalog, DatasetInfo, Format,
        files::{Rows, files_of, parquet_rows},
    },
};
use serde::{Deserialize, Deserializer, de};

use crate::security::paths;

/// Larger files are offered without their number of rows.
const COUNTED_BYTES: u64 = 256 << 20;
/// The same for files whose rows must be read to be counted.
const READ_BYTES: u64 = 16 << 20;

/// Row counts, remembered for as long as a file stays as it is.
#[derive(Default)]
pub(crate) struct RowCounts {
    known: Mutex<HashMap<PathBuf, Count>>,
    /// Files that were asked for and are not known.
    wanted: Mutex<BTreeSet<PathBuf>>,
}

/// What was counted in a file as it then was.
#[derive(Clone, Copy)]
struct Count {
    stamp: Stamp,
    rows: Option<u64>,
}

/// When a file was changed last, and its length.
type Stamp = (SystemTime, u64);

/// A file whose rows are to be counted, as it is.
pub(crate) struct Wanted {
    pub file: PathBuf,
    stamp: Stamp,
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Alpaca => "alpaca",
        Format::Sharegpt => "sharegpt",
        Format::OpenAi => "openai",
    }
}

/// The entry of a dataset and where its rows are: inside the data folder, and there; `None` for data on a hub.
///
/// # Errors
/// A sentence about what is wrong.
pub(crate) fn find(
    catalog: &Catalog,
    dir: &Path,
    name: &str,
) -> Result<(DatasetInfo, Option<PathBuf>), String> {
    let info = catalog.get(name).map_err(|e| e.to_string())?;
    let Some(file) = info.file() else { return Ok((info, None)) };
    let file = paths::resolve(&file.display().to_string(), &[dir]);
    let file = file.map_err(|e| format!("{}: \"{name}\": {e}", catalog.path().display()))?;
    // A folder's files are looked at when they are listed.
    if !file.is_dir() {
        files::check(&file)
            .map_err(|e| format!("{}: \"{name}\": {}: {e}", catalog.path().display(), file.display()))?;
    }
    Ok((info, Some(file)))
}

impl RowCounts {
    /// Rows of a file, or of the files of a folder, as far as they are known; what is not is wanted from now on.
    pub(crate) fn of(&self, place: &Path) -> Option<u64> {
        // All of them are looked at: what is not known of several files is wanted at once.
        let counts: Vec<_> = files_of(place).ok()?.into_iter().map(|file| self.of_file(file)).collect();
        counts.into_iter().sum()
    }

    fn of_file(&self, file: PathBuf) -> Option<u64> {
        let stamp = stamp(&file)?;
        match self.known(&file, stamp) {
            Some(count) => count.rows,
            None => {
                self.wanted.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
                None
            }
        }
    }

    fn known(&self, file: &Path, stamp: Stamp) -> Option<Count> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied();
        known.filter(|count| count.stamp == stamp)
    }

    pub(crate) fn are_wanted(&self) -> bool {
        !self.wanted.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The next file to count; it is no longer wanted then.
    pub(crate) fn next_wanted(&self) -> Option<Wanted> {
        loop {
            let file = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).pop_first()?;
            if let Some(stamp) = stamp(&file)
                && self.known(&file, stamp).is_none()
            {
                return Some(Wanted { file, stamp });
            }
        }
    }

    /// Remembers what was counted; `None` where it cannot be.
    pub(crate) fn note(&self, wanted: Wanted, rows: Option<u64>) {
        let Wanted { file, stamp } = wanted;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(file, Count { stamp, rows });
    }
}

/// Rows of a file as they are read; `None` where that would take too long, or the file is broken.
pub(crate) fn count_rows(file: &Path) -> Option<u64> {
    let length = fs::metadata(file).ok()?.len();
    let open = || files::open(file).map(BufReader::new);
    let is_text = |line: &[u8]| !line.trim_ascii().is_empty();
    match file.extension()?.to_str()? {
        "parquet" => parquet_rows(file),
        _ if length > COUNTED_BYTES => None,
        "json" => count_elements(open().ok()?).or_else(|| count_lines(open().ok()?, is_text).ok()),
        "jsonl" => count_lines(open().ok()?, is_text).ok(),
        "txt" => count_lines(open().ok()?, |_| true).ok(),
        _ if length > READ_BYTES => None,
        _ => Rows::of(vec![file.to_owned()]).try_fold(0, |count, row| row.ok().map(|_| count + 1)),
    }
}

fn count_lines(file: impl BufRead, counts: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
    let mut count = 0;
    for line in file.split(b'\n') {
        count += u64::from(counts(&line?));
    }
    Ok(count)
}

/// Elements of a JSON array, without holding them.
fn count_elements(file: impl BufRead) -> Option<u64> {
    struct Elements(u64);
    struct Counter;
    impl<'de> de::Visitor<'de> for Counter {
        type Value = Elements;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
            let mut count = 0;
            while seq.next_element::<de::IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(Elements(count))
        }
    }
    impl<'de> Deserialize<'de> for Elements {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Elements, D::Error> {
            deserializer.deserialize_seq(Counter)
        }
    }
    serde_json::from_reader(file).ok().map(|Elements(count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what is wanted, as helpers do.
    fn counted(counts: &RowCounts, place: &Path) -> Option<u64> {
        counts.of(place);
        while let Some(wanted) = counts.next_wanted() {
            let rows = count_rows(&wanted.file);
            counts.note(wanted, rows);
        }
        counts.of(place)
    }

    #[test]
    fn rows_are_counted_anew_in_a_changed_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("a.json"), r#"[{"x": [1, 2]}, {}, {}]"#).unwrap();
        fs::write(file("b.jsonl"), "{}\n\n{}\n").unwrap();
        let counts = RowCounts::default();
        assert_eq!((counts.of(&file("a.json")), counts.are_wanted()), (None, true));
        assert_eq!(counted(&counts, &file("a.json")), Some(3));
        assert_eq!(counted(&counts, &file("b.jsonl")), Some(2));
        fs::write(file("a.json"), "[1]").unwrap();
        assert_eq!((counts.of(&file("a.json")), counted(&counts, &file("a.json"))), (None, Some(1)));
        assert_eq!((counted(&counts, &file("gone.json")), counts.are_wanted()), (None, false));
    }

    #[test]
    fn rows_are_counted_as_they_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let counts = RowCounts::default();
        for (name, text) in [
            ("a.txt", "one\n\n  \nfour"),
            ("a.csv", "q,a\n\"two\nlines\",A\n\nB,C\n"),
            ("a.jsonl", "{}\n\n{}\n"),
        ] {
            let file = dir.path().join(name);
            fs::write(&file, text).unwrap();
            let read = Rows::of(vec![file.clone()]).count() as u64;
            assert_eq!(counted(&counts, &file), Some(read), "{name}");
        }
        fs::write(dir.path().join("broken.csv"), "q,a\nA\n").unwrap();
        assert_eq!(counted(&counts, &dir.path().join("broken.csv")), None);
        let parts = dir.path().join("parts");
        fs::create_dir(&parts).unwrap();
        for name in ["a.txt", "b.txt"] {
            fs::write(parts.join(name), "one\ntwo\n").unwrap();
        }
        assert_eq!(counted(&counts, &parts), Some(4));
    }
}
