//! `text/tool_turns.json`: turns with text, a thought and calls, from rows in OpenAI's layout to what the models' own
//! chat templates write.

use engine::text::Template;
use engine::text::data::{Catalog, Kind, Record};
use serde_json::{Value, json};

use super::templates::Words;
use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    for model in items(&file["models"]) {
        for (turn, expected) in entries(&model["turns"]) {
            let (file, model) = (file.clone(), model.clone());
            let (turn, expected) = (turn.clone(), expected.as_str().unwrap_or_default().to_owned());
            cases.add(format!("tool_turns/{}/{turn}", text(&model, "template")), move || {
                let mut message = file["turns"][&turn].clone();
                message["role"] = json!("assistant");
                let row = json!({"messages": [file["question"], message], "tools": file["tools"]});
                compare(&row, &model, &expected, text(&file, "eos_token"))
            });
        }
    }
}

fn compare(row: &Value, model: &Value, expected: &str, eos: &str) -> Outcome {
    let record = record(row)?;
    let template = Template::named(text(model, "template")).map_err(|e| e.to_string())?;
    let (prompt, answer) = template.last_turn(&record.dialogue(0)).map_err(|e| e.to_string())?;
    let words = Words { bos: String::new(), eos: eos.to_owned() };
    let written = words.render(&[prompt, answer].concat());
    let question = text(&row["messages"][0], "content");
    let (_, turn) = written.rsplit_once(question).ok_or_else(|| format!("no question in {written}"))?;
    match items(&model["part"]) {
        [from, to] => same("part", &part(turn, from, to)?, &part(expected, from, to)?),
        _ => same("turn", &turn, &expected),
    }
}

/// `turn` from one word to the end of another.
fn part<'t>(turn: &'t str, from: &Value, to: &Value) -> Result<&'t str, String> {
    let (from, to) = (from.as_str().unwrap_or_default(), to.as_str().unwrap_or_default());
    let found = turn.find(from).and_then(|start| {
        let length = turn[start + from.len()..].find(to)?;
        Some(&turn[start..start + from.len() + length + to.len()])
    });
    found.ok_or_else(|| format!("{turn:?} does not go from {from:?} to {to:?}"))
}

/// The row as a run would read it.
fn record(row: &Value) -> Result<Record, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let write = |name: &str, text: String| {
        std::fs::write(folder.path().join(name), text).map_err(|e| format!("{name}: {e}"))
    };
    write("dataset_info.json", r#"{"d": {"file_name": "d.jsonl", "formatting": "openai"}}"#.into())?;
    write("d.jsonl", row.to_string())?;
    let loaded =
        Catalog::open(folder.path()).and_then(|catalog| catalog.load("d", Kind::Supervised, None, 1));
    loaded.map_err(|e| e.to_string())?.records.pop().ok_or_else(|| "no record".into())
}
