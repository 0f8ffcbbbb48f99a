//! Regular expressions in the two places that a `tokenizer.json` has for them, against Oniguruma by way of `tokenizers`.
//!
//! `patterns.json` is written by `benches/tokenizer_goldens.py`. Its tokenizers know bytes alone, so that decoding shows
//! what replacing and splitting leave; a null stands where `tokenizers` breaks off.

use std::path::Path;

use engine::text::Tokenizer;
use serde_json::{Value, json};

use crate::common::Case;

pub fn cases(goldens: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(goldens.join("patterns.json")).unwrap_or_default();
    let all: Value = serde_json::from_str(&text).unwrap_or_default();
    let cases = all["cases"].as_array().cloned().unwrap_or_default();
    assert!(!cases.is_empty(), "patterns.json has no cases");
    let texts = all["texts"].clone();
    let case = |case: Value| -> Case {
        let pattern = case["pattern"].as_str().unwrap_or_default().to_owned();
        let [mut replacing, mut splitting] = ["replacing", "splitting"].map(|name| all[name].clone());
        replacing["normalizer"]["pattern"] = json!({"Regex": pattern});
        splitting["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json!({"Regex": pattern});
        let texts = texts.clone();
        let check = move || {
            same_as(&replacing, &texts, &case, "replaced")?;
            same_as(&splitting, &texts, &case, "split")
        };
        (format!("pattern/{pattern}"), Box::new(check))
    };
    cases.into_iter().map(case).collect()
}

fn same_as(written: &Value, texts: &Value, case: &Value, how: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    std::fs::write(folder.path().join("tokenizer.json"), written.to_string()).map_err(|e| e.to_string())?;
    let tokenizer = match (Tokenizer::from_folder(folder.path()), case["refused"].as_str()) {
        (Err(e), Some(why)) => {
            let (message, pattern) = (e.to_string(), case["pattern"].as_str().unwrap_or_default());
            let why = why.trim_start_matches("Oniguruma error: ");
            return match message.contains(why) && message.contains(pattern) {
                true => Ok(()),
                false => Err(format!("is refused with {message:?}, which lacks {why:?} or the pattern")),
            };
        }
        (Err(e), None) => return Err(e.to_string()),
        (Ok(_), Some(why)) => return Err(format!("should be refused: {why}")),
        (Ok(tokenizer), None) => tokenizer,
    };
    for (text, want) in texts.as_array().into_iter().flatten().zip(case[how].as_array().into_iter().flatten())
    {
        let text = text.as_str().unwrap_or_default();
        let ids = tokenizer.encode(text, false);
        let got = ids.and_then(|ids| tokenizer.decode(&ids, false)).ok();
        if got.as_deref() != want.as_str() {
            return Err(format!("{how}, {text:?} gives {got:?}, expected {want}"));
        }
    }
    Ok(())
}
