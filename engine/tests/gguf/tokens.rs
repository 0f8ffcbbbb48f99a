//! Tokens and ends of generations beside llama.cpp's own (`benches/gguf_tokens.py`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use engine::text::{GgufTokenizer, Tokenizer};
use serde_json::Value;

use crate::{Check, common, say};

/// Splits by the case of letters, which llama.cpp knows of ASCII alone; the patterns of the models' own tokenizers know
/// it of all letters.
const CASED: [&str; 2] = ["tekken", "gpt-4o"];

pub fn cases() -> Vec<common::Case> {
    let path = common::goldens("gguf").join("tokens.json");
    let Ok(golden) = read(&path) else { return Vec::new() };
    let golden = Arc::new(golden);
    let mut cases: Vec<common::Case> = Vec::new();
    let mut add = |name: String, check: fn(&Value, &str) -> Check, key: String| {
        let golden = golden.clone();
        cases.push((name, Box::new(move || check(&golden, &key))));
    };
    for pre in golden["byte_level"]["ids"].as_object().into_iter().flat_map(|ids| ids.keys()) {
        add(format!("tokens/{pre}"), byte_level, pre.clone());
    }
    add("tokens/sentencepiece".to_owned(), sentencepiece, String::new());
    for index in 0..golden["ends"].as_array().map_or(0, Vec::len) {
        add(format!("ends/{index}"), ends, index.to_string());
    }
    cases
}

fn read(path: &Path) -> Check<Value> {
    serde_json::from_str(&std::fs::read_to_string(path).map_err(say)?).map_err(say)
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|number| number as u32).collect()
}

fn compare(golden: &Value, tokenizer: &Tokenizer, wanted: &Value, exempt: impl Fn(&str) -> bool) -> Check {
    for (index, text) in texts(&golden["texts"]).into_iter().enumerate().filter(|(_, text)| !exempt(text)) {
        let (got, want) = (tokenizer.encode(text, false).map_err(say)?, numbers(&wanted[index]));
        let shown = |ids: &[u32]| ids.iter().filter_map(|id| tokenizer.id_to_token(*id)).collect::<Vec<_>>();
        if got != want {
            return Err(format!("{text:?} is {:?}, not {:?}", shown(&got), shown(&want)));
        }
    }
    Ok(())
}

fn byte_level(golden: &Value, pre: &str) -> Check {
    let part = &golden["byte_level"];
    let source = GgufTokenizer {
        origin: pre.to_owned(),
        model: "gpt2",
        pre: Some(pre),
        tokens: texts(&part["tokens"]),
        merges: texts(&part["merges"]),
        ..GgufTokenizer::default()
    };
    let tokenizer = Tokenizer::from_gguf(&source).map_err(say)?;
    let exempt =
        |text: &str| CASED.contains(&pre) && text.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    compare(golden, &tokenizer, &part["ids"][pre], exempt)
}

fn sentencepiece(golden: &Value, _: &str) -> Check {
    let part = &golden["sentencepiece"];
    let scores = part["scores"].as_array().into_iter().flatten().filter_map(Value::as_f64);
    let source = GgufTokenizer {
        origin: "sentencepiece".to_owned(),
        model: "llama",
        tokens: texts(&part["tokens"]),
        scores: scores.map(|score| score as f32).collect(),
        token_types: numbers(&part["token_types"]).into_iter().map(|kind| kind as i32).collect(),
        ..GgufTokenizer::default()
    };
    let tokenizer = Tokenizer::from_gguf(&source).map_err(say)?;
    compare(golden, &tokenizer, &part["ids"], |_| false)
}

fn ends(golden: &Value, index: &str) -> Check {
    let case = &golden["ends"][index.parse::<usize>().map_err(say)?];
    let ids = case["ids"].as_object().into_iter().flatten();
    let ids: HashMap<&str, u32> =
        ids.filter_map(|(role, id)| Some((role.as_str(), id.as_u64()? as u32))).collect();
    let mut tokens = texts(&case["special"]);
    tokens.extend(texts(&golden["byte_level"]["tokens"]));
    let source = GgufTokenizer { model: "gpt2", tokens, ids, ..GgufTokenizer::default() };
    let (got, want) = (source.end_ids(), numbers(&case["ends"]));
    if got == want { Ok(()) } else { Err(format!("ends are {got:?}, not {want:?}")) }
}
