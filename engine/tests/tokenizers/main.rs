//! Ids and texts against the libraries that tokenizers come from.
//!
//! A case is a folder with a sentencepiece or tiktoken file and `reference.json`, a list of `{"text", "ids", "decoded"}`;
//! or an entry of `folders.json` ([`folders`]) or `patterns.json` ([`patterns`]).

#[allow(dead_code, reason = "shared with tests that compare numbers")]
#[path = "../common/mod.rs"]
mod common;
mod folders;
mod patterns;

use std::path::Path;

use engine::text::Tokenizer;
use serde_json::Value;

fn main() {
    let given = common::goldens("tokenizers");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/tokenizers");
    let root = if given.is_dir() { given } else { own.clone() };
    let cases = common::cases(&root, "reference.json").into_iter().map(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case: common::Case = (name, Box::new(move || check(&folder)));
        case
    });
    common::run(cases.chain(folders::cases(&own)).chain(patterns::cases(&own)).collect());
}

fn check(folder: &Path) -> Result<(), String> {
    let tokenizer = Tokenizer::from_folder(folder).map_err(|e| e.to_string())?;
    let text = std::fs::read_to_string(folder.join("reference.json")).map_err(|e| e.to_string())?;
    let rows: Vec<Value> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    same_as(&tokenizer, &rows)?;
    let copy = tempfile::tempdir().map_err(|e| e.to_string())?;
    tokenizer.save(copy.path()).map_err(|e| e.to_string())?;
    let again = Tokenizer::from_folder(copy.path()).map_err(|e| e.to_string())?;
    same_as(&again, &rows).map_err(|e| format!("written and read again, {e}"))
}

fn same_as(tokenizer: &Tokenizer, rows: &[Value]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let text = row["text"].as_str().ok_or(format!("row {index} has no text"))?;
        let want: Vec<u32> = row["ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_u64().map(|id| id as u32))
            .collect();
        let got = tokenizer.encode(text, false).map_err(|e| e.to_string())?;
        if got != want {
            wrong.push(format!("ids of {text:?} are {got:?}, expected {want:?}"));
            continue;
        }
        let whole = tokenizer.decode(&got, false).map_err(|e| e.to_string())?;
        if row["decoded"].as_str() != Some(&whole) {
            wrong.push(format!("ids of {text:?} give {whole:?}, expected {}", row["decoded"]));
            continue;
        }
        let mut stream = tokenizer.stream(false);
        let parts: Result<String, _> = got.iter().map(|id| stream.push(*id)).collect();
        let streamed = parts.and_then(|parts| Ok(parts + &stream.finish()?)).map_err(|e| e.to_string())?;
        if streamed != whole {
            wrong.push(format!("piece by piece, {text:?} gives {streamed:?} instead of {whole:?}"));
        }
    }
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} of {} rows: {first}", wrong.len(), rows.len())),
    }
}
