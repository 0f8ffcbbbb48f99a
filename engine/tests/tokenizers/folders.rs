//! Small folders with tokens in every place where a configuration may name them, against transformers.
//!
//! `folders.json` is written by `benches/tokenizer_goldens.py`.

use std::path::Path;

use engine::text::Tokenizer;
use serde_json::{Value, json};

use crate::common::Case;

pub fn cases(goldens: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(goldens.join("folders.json")).unwrap_or_default();
    let mut all: Value = serde_json::from_str(&text).unwrap_or_default();
    let bases = all["bases"].take();
    let cases = all["cases"].as_array().cloned().unwrap_or_default();
    assert!(!cases.is_empty(), "folders.json has no cases");
    let case = |case: Value| -> Case {
        let name = format!("folder/{}", case["name"].as_str().unwrap_or_default());
        let base = bases[case["base"].as_str().unwrap_or_default()].clone();
        (name, Box::new(move || check(&base, &case)))
    };
    cases.into_iter().map(case).collect()
}

/// What is read is as it should be, and so is what is written and read again: as it was, or what transformers makes of
/// what it has written itself (`again`).
fn check(base: &Value, case: &Value) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    write(folder.path(), base, &case["files"])?;
    let tokenizer = Tokenizer::from_folder(folder.path()).map_err(|e| e.to_string())?;
    same_as(&tokenizer, case)?;
    let copy = tempfile::tempdir().map_err(|e| e.to_string())?;
    tokenizer.save(copy.path()).map_err(|e| e.to_string())?;
    let again = Tokenizer::from_folder(copy.path()).map_err(|e| e.to_string())?;
    let same = same_as(&again, case).or_else(|e| same_as(&again, case.get("again").ok_or(e)?));
    same.map_err(|e| format!("written and read again, {e}"))
}

/// A base is a `tokenizer.json`, or files by name.
fn write(folder: &Path, base: &Value, own: &Value) -> Result<(), String> {
    let json = json!({"tokenizer.json": base});
    let base = if base.get("model").is_some() { &json } else { base };
    let files = [base, own].into_iter().filter_map(Value::as_object).flatten();
    for (name, content) in files {
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(folder.join(name), text).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn same_as(tokenizer: &Tokenizer, case: &Value) -> Result<(), String> {
    let same = |what: &str, got: Value, want: &Value| match got == *want {
        true => Ok(()),
        false => Err(format!("{what} is {got}, expected {want}")),
    };
    same("the number of tokens", json!(tokenizer.vocab_size()), &case["length"])?;
    let names = case["added"].as_object().into_iter().flatten();
    let names: Value =
        names.map(|(id, token)| json!([id.parse::<u32>().unwrap_or_default(), token[0]])).collect();
    same("the list of added tokens", json!(tokenizer.added_tokens()), &names)?;
    let special = tokenizer.special_tokens();
    let roles = json!({"bos": special.bos, "eos": special.eos, "pad": special.pad, "unk": special.unk});
    same("the list of roles", roles, &case["roles"])?;
    let encode = |text: &str, around: bool| tokenizer.encode(text, around).map_err(|e| e.to_string());
    same("\"in\" with what stands around it", json!(encode("in", true)?), &case["around"])?;
    for row in case["texts"].as_array().into_iter().flatten() {
        let text = row["text"].as_str().unwrap_or_default();
        let ids = encode(text, false)?;
        same(&format!("{text:?}"), json!(ids), &row["ids"])?;
        let decode = |skip: bool| tokenizer.decode(&ids, skip).map_err(|e| e.to_string());
        same(&format!("{text:?} decoded"), json!(decode(false)?), &row["decoded"])?;
        same(&format!("{text:?} without special tokens"), json!(decode(true)?), &row["plain"])?;
    }
    Ok(())
}
