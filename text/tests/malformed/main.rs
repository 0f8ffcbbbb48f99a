//! Broken and unusual data: every input loads as documented, or is refused in one sentence that names the file and,
//! where there is one, row and key. None panics, and none loads in part without saying so.

// Inputs are made with writers that do not fail in memory.
#![allow(clippy::expect_used)]

mod binary;
mod conversations;
mod entries;
mod json;
mod tables;

use std::path::Path;

use text::data::{Catalog, Kind};

/// What must become of an input.
pub enum Expect {
    /// All of its rows load, so many.
    Loads(usize),
    /// So many rows load, and one is left out for each reason, in order.
    LeavesOut(usize, &'static [&'static str]),
    /// A sentence that has these parts.
    Refuses(&'static [&'static str]),
}

pub use Expect::{LeavesOut, Loads, Refuses};

/// An entry of `dataset_info.json` without its file name, a file and its contents.
pub struct Input {
    pub entry: &'static str,
    pub file: &'static str,
    pub content: Vec<u8>,
    pub expect: Expect,
}

/// An alpaca file.
pub fn alpaca(file: &'static str, content: impl Into<Vec<u8>>, expect: Expect) -> Input {
    Input { entry: "", file, content: content.into(), expect }
}

/// A file of messages.
pub fn chat(content: impl Into<Vec<u8>>, expect: Expect) -> Input {
    Input { entry: r#""formatting": "sharegpt""#, file: "d.json", content: content.into(), expect }
}

/// A file with an entry of its own.
pub fn with(entry: &'static str, file: &'static str, content: impl Into<Vec<u8>>, expect: Expect) -> Input {
    Input { entry, file, content: content.into(), expect }
}

fn kind(entry: &str) -> Kind {
    if entry.contains(r#""ranking": true"#) {
        Kind::Preference
    } else if entry.contains("kto_tag") {
        Kind::Feedback
    } else if entry.contains(r#""text""#) {
        Kind::Text
    } else {
        Kind::Supervised
    }
}

/// Loads an input as a user would; a panic of the loader is a panic of the test.
fn check(group: &str, number: usize, input: &Input) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let comma = if input.entry.is_empty() { "" } else { ", " };
    let info = format!(r#"{{"d": {{"file_name": "{}"{comma}{}}}}}"#, input.file, input.entry);
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).map_err(|e| format!("{name}: {e}"))
    };
    write("dataset_info.json", info.as_bytes())?;
    write(input.file, &input.content)?;
    let shown: String = String::from_utf8_lossy(&input.content).chars().take(80).collect();
    compare(folder.path(), kind(input.entry), &input.expect)
        .map_err(|why| format!("{group} {number}, {} {shown:?}: {why}", input.file))
}

fn compare(folder: &Path, kind: Kind, expect: &Expect) -> Result<(), String> {
    let loaded = Catalog::open(folder).and_then(|catalog| catalog.load("d", kind, None, 1));
    match (loaded, expect) {
        (Ok(set), Loads(rows)) if set.records.len() == *rows && set.skipped.is_empty() => Ok(()),
        (Ok(set), LeavesOut(rows, reasons)) => {
            let said: Vec<String> = set.skipped.iter().map(ToString::to_string).collect();
            let all = said.len() == reasons.len()
                && said.iter().zip(*reasons).all(|(said, part)| said.contains(part));
            let placed = said.iter().all(|said| said.contains(", row ") && said.contains(", key "));
            if set.records.len() == *rows && all && placed {
                return Ok(());
            }
            Err(format!("{} rows, left out: {said:?}", set.records.len()))
        }
        (Ok(set), _) => Err(format!("loads {} rows and leaves out {}", set.records.len(), set.skipped.len())),
        (Err(error), Refuses(parts)) => {
            let said = error.to_string();
            let one_sentence = !said.contains('\n') && said.len() < 600;
            let placed =
                said.contains("/d") || said.contains("dataset \"d\"") || said.contains("dataset_info.json");
            if one_sentence && placed && parts.iter().all(|part| said.contains(part)) {
                Ok(())
            } else {
                Err(said)
            }
        }
        (Err(error), _) => Err(format!("is refused: {error}")),
    }
}

fn run(group: &str, inputs: &[Input]) {
    let failures: Vec<String> =
        inputs.iter().enumerate().filter_map(|(number, input)| check(group, number, input).err()).collect();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), inputs.len(), failures.join("\n"));
}

#[test]
fn json_files() {
    run("json", &json::inputs());
}

#[test]
fn conversations() {
    run("conversations", &conversations::inputs());
}

#[test]
fn tables_and_texts() {
    run("tables", &tables::inputs());
}

#[test]
fn binary_and_compressed_files() {
    run("binary", &binary::inputs());
}

#[test]
fn entries() {
    run("entries", &entries::inputs());
}

/// Keeps the tables from thinning out.
#[test]
fn there_are_two_hundred_inputs() {
    let groups =
        [json::inputs(), conversations::inputs(), tables::inputs(), binary::inputs(), entries::inputs()];
    let count: usize = groups.iter().map(Vec::len).sum();
    assert!(count >= 200, "{count}");
}
