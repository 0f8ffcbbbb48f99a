//! The datasets that `dataset_info.json` lists: whether a name can be trained on, and how many rows there are.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use engine::text::data::{
    Catalog, DatasetInfo, Format,
    files::{Rows, files_of, parquet_rows},
};
use serde::{Deserialize, Deserializer, de};

use crate::security::paths;

/// Larger files are offered without their number of rows.
const COUNTED_BYTES: u64 = 256 << 20;
/// The same for files whose rows must be read to be counted.
const READ_BYTES: u64 = 16 << 20;

/// Row counts, remembered for as long as a file stays as it is.
#[derive(Default)]
pub struct RowCounts {
    known: Mutex<HashMap<PathBuf, Count>>,
}

/// What was counted in a file as it then was.
#[derive(Clone, Copy)]
struct Count {
    modified: SystemTime,
    length: u64,
    rows: Option<u64>,
}

pub fn format_name(format: Format) -> &'static str {
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
pub fn find(catalog: &Catalog, dir: &Path, name: &str) -> Result<(DatasetInfo, Option<PathBuf>), String> {
    let info = catalog.get(name).map_err(|e| e.to_string())?;
    let Some(file) = info.file() else { return Ok((info, None)) };
    let file = paths::resolve(&file.display().to_string(), &[dir]);
    let file = file.map_err(|e| format!("{}: \"{name}\": {e}", catalog.path().display()))?;
    Ok((info, Some(file)))
}

impl RowCounts {
    /// Rows of a file, or of the files of a folder; `None` where they are not counted.
    pub fn of(&self, place: &Path) -> Option<u64> {
        files_of(place).ok()?.iter().map(|file| self.of_file(file)).sum()
    }

    fn of_file(&self, file: &Path) -> Option<u64> {
        let metadata = fs::metadata(file).ok()?;
        let (modified, length) = (metadata.modified().ok()?, metadata.len());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied();
        if let Some(count) = known.filter(|count| count.modified == modified && count.length == length) {
            return count.rows;
        }
        let rows = count_rows(file, length);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(file.to_owned(), Count { modified, length, rows });
        rows
    }
}

/// Rows of a file of `length` bytes, as they are read; `None` where that would take too long, or the file is broken.
fn count_rows(file: &Path, length: u64) -> Option<u64> {
    let open = || File::open(file).map(BufReader::new);
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

    #[test]
    fn rows_are_counted_anew_in_a_changed_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("a.json"), r#"[{"x": [1, 2]}, {}, {}]"#).unwrap();
        fs::write(file("b.jsonl"), "{}\n\n{}\n").unwrap();
        let counts = RowCounts::default();
        assert_eq!((counts.of(&file("a.json")), counts.of(&file("b.jsonl"))), (Some(3), Some(2)));
        fs::write(file("a.json"), "[1]").unwrap();
        assert_eq!(counts.of(&file("a.json")), Some(1));
        assert_eq!(counts.of(&file("gone.json")), None);
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
            assert_eq!(counts.of(&file), Some(read), "{name}");
        }
        fs::write(dir.path().join("broken.csv"), "q,a\nA\n").unwrap();
        assert_eq!(counts.of(&dir.path().join("broken.csv")), None);
        let parts = dir.path().join("parts");
        fs::create_dir(&parts).unwrap();
        for name in ["a.txt", "b.txt"] {
            fs::write(parts.join(name), "one\ntwo\n").unwrap();
        }
        assert_eq!(counts.of(&parts), Some(4));
    }
}
