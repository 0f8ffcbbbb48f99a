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
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::security::paths;

const INFO: &str = "dataset_info.json";
/// Larger files are offered without their number of rows.
const COUNTED_BYTES: u64 = 256 << 20;

/// Row counts, remembered for as long as a file stays as it is.
#[derive(Default)]
pub struct Catalogue {
    rows: Mutex<HashMap<PathBuf, (SystemTime, u64, Option<u64>)>>,
}

/// What one `dataset_info.json` lists.
pub struct Listed {
    entries: Result<Map<String, Value>, String>,
    dir: PathBuf,
}

impl Catalogue {
    /// Reads the list of a data folder (a canonical path).
    pub fn read(&self, dir: &Path) -> Listed {
        let path = dir.join(INFO);
        let entries = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()));
        let entries = entries.and_then(|text| {
            let parsed = serde_json::from_str(text.trim_start_matches('\u{feff}'));
            parsed.map_err(|e| format!("{} is not a JSON object of datasets: {e}", path.display()))
        });
        Listed { entries, dir: dir.to_owned() }
    }

    /// The choices of a data folder. A list that cannot be read is one choice that says so.
    pub fn choices(&self, dir: &Path) -> Vec<DatasetChoice> {
        let listed = self.read(dir);
        match &listed.entries {
            Ok(entries) => entries.keys().map(|name| self.choice(&listed, name)).collect(),
            Err(problem) => vec![DatasetChoice {
                name: INFO.to_owned(),
                rows: None,
                format: String::new(),
                ranking: false,
                problem: Some(problem.clone()),
            }],
        }
    }

    fn choice(&self, listed: &Listed, name: &str) -> DatasetChoice {
        let file = listed.file(name);
        let entry = listed.entry(name);
        let text = |key: &str| entry.and_then(|entry| entry.get(key)).and_then(Value::as_str);
        DatasetChoice {
            name: name.to_owned(),
            rows: file.as_ref().ok().and_then(|file| self.rows(file)),
            format: text("formatting").unwrap_or("alpaca").to_owned(),
            ranking: entry.and_then(|entry| entry.get("ranking")).and_then(Value::as_bool).unwrap_or(false),
            problem: file.err().map(|(en, _)| en),
        }
    }

    fn rows(&self, file: &Path) -> Option<u64> {
        let metadata = fs::metadata(file).ok()?;
        let (modified, length) = (metadata.modified().ok()?, metadata.len());
        let known = self.rows.lock().unwrap_or_else(PoisonError::into_inner).get(file).copied();
        if let Some((at, of, rows)) = known
            && (at, of) == (modified, length)
        {
            return rows;
        }
        let rows = (metadata.is_file() && length <= COUNTED_BYTES).then(|| count_rows(file)).flatten();
        let mut remembered = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(file.to_owned(), (modified, length, rows));
        rows
    }
}

/// A sentence in English and the same in Chinese.
type Sentence = (String, String);

impl Listed {
    fn entry(&self, name: &str) -> Option<&Value> {
        self.entries.as_ref().ok()?.get(name)
    }

    /// Whether a dataset can be trained on, as far as its entry and its file's place tell.
    pub fn check(&self, name: &str) -> Result<(), Sentence> {
        self.file(name).map(drop)
    }

    fn file(&self, name: &str) -> Result<PathBuf, Sentence> {
        let entries = self.entries.as_ref().map_err(|problem| (problem.clone(), problem.clone()))?;
        let info = self.dir.join(INFO);
        let info = info.display();
        let entry = entries.get(name).ok_or_else(|| {
            let known = entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            (
                format!("`{name}` is not in {info}; it lists {known}"),
                format!("{info} 中没有 `{name}`；已有：{known}"),
            )
        })?;
        let file = entry.get("file_name").and_then(Value::as_str).ok_or_else(|| {
            (
                format!("`{name}` in {info} has no `file_name`; datasets are read from local files only"),
                format!("{info} 中的 `{name}` 没有 `file_name`；只支持本地数据文件"),
            )
        })?;
        paths::resolve(&self.dir.join(file).display().to_string(), &[&self.dir])
            .map_err(|e| (format!("dataset `{name}`: {e}"), format!("数据集 `{name}`：{e}")))
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
        fs::write(dir.join(INFO), info).unwrap();
        let catalogue = Catalogue::default();
        let choices = catalogue.choices(&dir);
        let rows: Vec<_> = choices.iter().map(|c| (c.name.as_str(), c.rows, c.problem.is_some())).collect();
        assert_eq!(
            rows,
            [("a", Some(3), false), ("b", Some(2), false), ("gone", None, true), ("hub", None, true)]
        );
        assert!(choices[1].ranking && choices[1].format == "sharegpt");
        // A changed file is counted anew.
        fs::write(dir.join("a.json"), "[1]").unwrap();
        assert_eq!(catalogue.choices(&dir)[0].rows, Some(1));
    }

    #[test]
    fn a_broken_list_says_where_it_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |text: &str| {
            fs::write(dir.path().join(INFO), text).unwrap();
            Catalogue::default().choices(dir.path())[0].problem.clone().unwrap()
        };
        assert!(problem("{\"a\": {},\n}").contains("line 2"));
        assert!(problem("[]").contains(INFO));
    }
}
