//! What rows in OpenAI's layout teach: the texts of their labels, from the file on.

use engine::text::data::{Catalog, Kind};
use engine::text::encode::{IGNORE_INDEX, Masking, supervised};
use engine::text::{Template, Tokenizer};

use super::common::goldens;
use super::{Cases, Outcome, same};

/// A call with a text, its result, and the answer.
const SAIL: &str = r#"{"messages": [
    {"role": "user", "content": "Can I sail at noon?"},
    {"role": "assistant", "content": "Let me look at the tide first.", "reasoning_content": "Boats need water.",
     "tool_calls": [{"id": "c1", "type": "function",
                     "function": {"name": "tide", "arguments": "{\"port\": \"Wick\"}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "3.1 m"},
    {"role": "assistant", "content": "Yes, there is water enough.", "weight": 1}]}"#;

const CALL: &str =
    "<tool_call>\n{\"name\": \"tide\", \"arguments\": {\"port\": \"Wick\"}}\n</tool_call><|im_end|>\n";

pub fn add(cases: &mut Cases) {
    let text = format!("Let me look at the tide first.\n{CALL}");
    let (answer, empty) = ("Yes, there is water enough.<|im_end|>\n", "<think>\n\n</think>\n\n");
    let thought = "<think>\nBoats need water.\n</think>\n\n";
    let all = Masking::default();
    let last = Masking { mask_history: true, ..all };
    let call_apart = SAIL.replace("\"reasoning_content\"", "\"weight\": 0, \"reasoning_content\"");
    let answer_apart = SAIL.replace("\"weight\": 1", "\"weight\": 0");
    // Here a turn ends with a token of the turn that follows it.
    let glm_call = "Let me look at the tide first.<|assistant|>tide\n{\"port\": \"Wick\"}</s>";
    let rows = [
        ("thoughts", "qwen3", SAIL, Some(true), all, format!("{thought}{text}{empty}{answer}")),
        ("no thinking", "qwen3", SAIL, Some(false), all, format!("{text}{answer}")),
        ("as the model likes", "qwen3", SAIL, None, all, format!("{thought}{text}{answer}")),
        ("history without thoughts", "qwen3", SAIL, None, last, answer.into()),
        ("without a reasoning template", "qwen", SAIL, Some(true), all, format!("{thought}{text}{answer}")),
        ("weight of a call", "qwen3", &call_apart, Some(false), all, answer.into()),
        ("weight of an answer", "qwen3", &answer_apart, Some(false), all, text.clone()),
        (
            "weight of a call with a late end",
            "glm4",
            &call_apart,
            None,
            all,
            "\nYes, there is water enough.</s>".into(),
        ),
        (
            "weight of an answer with a late end",
            "glm4",
            &answer_apart,
            None,
            all,
            format!("\n{thought}{glm_call}"),
        ),
    ];
    for (name, template, row, thinking, masking, expected) in rows {
        let row = row.to_owned();
        cases.add(format!("labels/{name}"), move || learnt(template, &row, thinking, masking, &expected));
    }
}

fn learnt(template: &str, row: &str, thinking: Option<bool>, masking: Masking, expected: &str) -> Outcome {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).map_err(|e| format!("{name}: {e}"))
    };
    write("dataset_info.json", r#"{"d": {"file_name": "d.json", "formatting": "openai"}}"#)?;
    write("d.json", row)?;
    let loaded =
        Catalog::open(folder.path()).and_then(|catalog| catalog.load("d", Kind::Supervised, None, 1));
    let record = loaded.map_err(|e| e.to_string())?.records.pop().ok_or("no record")?;
    let mut tokenizer = Tokenizer::from_folder(&goldens("data/base")).map_err(|e| e.to_string())?;
    let mut template = Template::named(template).map_err(|e| e.to_string())?;
    template.fit_tokenizer(&mut tokenizer).map_err(|e| e.to_string())?;
    template.enable_thinking = thinking;
    let example = supervised(&record, &template, &tokenizer, masking, 1000).map_err(|e| e.to_string())?;
    let ids: Vec<u32> =
        example.labels.iter().filter(|label| **label != IGNORE_INDEX).map(|label| *label as u32).collect();
    let text = tokenizer.decode(&ids, false).map_err(|e| e.to_string())?;
    same("labels", &text.as_str(), &expected)
}
