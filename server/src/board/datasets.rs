//! The datasets that `dataset_info.json` lists: what the form offers, and whether a name can be trained on.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use app::api::DatasetChoice;
use engine::text::data::{Catalog, DatasetInfo, Format};
use serde::{Deserialize, Deserializer, de};

use crate::security::paths;

/// Larger files are offered without their number of rows.
const COUNTED_BYTES: u64 = 256 << 20;

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

/// The datasets of a data folder (a canonical path). A list that cannot be read is one choice that says so.
pub fn choices(dir: &Path, counts: &RowCounts) -> Vec<DatasetChoice> {
    match Catalog::open(dir) {
        Ok(catalog) => catalog.names().map(|name| choice(&catalog, dir, name, counts)).collect(),
        Err(e) => vec![broken("dataset_info.json", e.to_string())],
    }
}

fn choice(catalog: &Catalog, dir: &Path, name: &str, counts: &RowCounts) -> DatasetChoice {
    match find(catalog, dir, name) {
        Ok((info, file)) => DatasetChoice {
            name: name.to_owned(),
            rows: file.as_deref().and_then(|file| counts.of(file)),
            format: format_name(info.format).to_owned(),
            ranking: info.ranking,
            problem: None,
        },
        Err(problem) => broken(name, problem),
    }
}

fn broken(name: &str, problem: String) -> DatasetChoice {
    DatasetChoice {
        name: name.to_owned(),
        rows: None,
        format: String::new(),
        ranking: false,
        problem: Some(problem),
    }
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
    /// Rows of a file; `None` where they are not counted.
    pub fn of(&self, file: &Path) -> Option<u64> {
        let metadata = fs::metadata(file).ok()?;
        let (modified, length) = (metadata.modified().ok()?, metadata.len());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied();
        if let Some(count) = known.filter(|count| count.modified == modified && count.length == length) {
            return count.rows;
        }
        let rows = (metadata.is_file() && length <= COUNTED_BYTES).then(|| count_rows(file)).flatten();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(file.to_owned(), Count { modified, length, rows });
        rows
    }
}

/// Records of a JSON array or of lines; `None` where the file is of another kind or broken.
fn count_rows(file: &Path) -> Option<u64> {
    let open = || File::open(file).map(BufReader::new);
    match file.extension()?.to_str()? {
        "json" => count_elements(open().ok()?).or_else(|| count_lines(open().ok()?).ok()),
        "jsonl" | "txt" => count_lines(open().ok()?).ok(),
        _ => None,
    }
}

fn count_lines(file: impl BufRead) -> io::Result<u64> {
    let mut count = 0;
    for line in file.split(b'\n') {
        count += u64::from(!line?.trim_ascii().is_empty());
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
    fn lists_datasets_with_their_rows_and_problems() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        fs::write(dir.join("a.json"), r#"[{"x": [1, 2]}, {}, {}]"#).unwrap();
        fs::write(dir.join("b.jsonl"), "{}\n\n{}\n").unwrap();
        let info = r#"{"a": {"file_name": "a.json"},
            "b": {"file_name": "b.jsonl", "formatting": "sharegpt", "ranking": true},
            "gone": {"file_name": "gone.json"}, "hub": {"hf_hub_url": "x/y"}}"#;
        fs::write(dir.join("dataset_info.json"), info).unwrap();
        let counts = RowCounts::default();
        let choices = choices(&dir, &counts);
        let rows: Vec<_> = choices.iter().map(|c| (c.name.as_str(), c.rows, c.problem.is_some())).collect();
        assert_eq!(
            rows,
            [("a", Some(3), false), ("b", Some(2), false), ("gone", None, true), ("hub", None, false)]
        );
        assert!(choices[1].ranking && choices[1].format == "sharegpt");
        // A changed file is counted anew.
        fs::write(dir.join("a.json"), "[1]").unwrap();
        assert_eq!(super::choices(&dir, &counts)[0].rows, Some(1));
    }

    #[test]
    fn a_broken_list_says_where_it_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |text: &str| {
            fs::write(dir.path().join("dataset_info.json"), text).unwrap();
            choices(dir.path(), &RowCounts::default())[0].problem.clone().unwrap()
        };
        assert!(problem("{\"a\": {},\n}").contains('2'));
        assert!(problem("[]").contains("dataset_info.json"));
    }
}
