//! What the columns of a file are likely to mean, by its first rows.

use std::collections::BTreeMap;

use engine::text::data::files::Rows;
use serde_json::{Map, Value};
use wire::EntryDraft;

/// Rows that are looked at.
const ROWS: usize = 10;

/// Columns by what they are usually called, most usual first.
const ALPACA: [(&str, &[&str]); 6] = [
    ("prompt", &["instruction", "prompt", "question", "query", "problem", "text", "content"]),
    ("query", &["input", "context"]),
    ("response", &["output", "response", "answer", "completion", "solution", "target"]),
    ("history", &["history"]),
    ("chosen", &["chosen"]),
    ("rejected", &["rejected"]),
];
const ANY: [(&str, &[&str]); 5] = [
    ("system", &["system", "system_prompt"]),
    ("tools", &["tools"]),
    ("images", &["images", "image"]),
    ("videos", &["videos", "video"]),
    ("audios", &["audios", "audio"]),
];
const JUDGED: [&str; 2] = ["label", "kto_tag"];
const ROLE_KEYS: [&str; 3] = ["from", "role", "speaker"];
const CONTENT_KEYS: [&str; 3] = ["value", "content", "text"];
/// Roles by what they are usually called; the first is taken where no row has one.
const ROLES: [(&str, &[&str]); 5] = [
    ("user_tag", &["human", "user"]),
    ("assistant_tag", &["gpt", "assistant", "model", "bot"]),
    ("observation_tag", &["observation", "tool"]),
    ("function_tag", &["function_call", "function"]),
    ("system_tag", &["system"]),
];

/// Fills in what the rows say; a file whose rows cannot be read leaves the draft as it is.
pub(super) fn fill_in(draft: &mut EntryDraft, rows: Rows) {
    let rows: Vec<Map<String, Value>> = rows.take(ROWS).filter_map(|row| row.ok()?.values().ok()).collect();
    let names = |wanted: &[&str], fits: &dyn Fn(&Value) -> bool| {
        let has = |name: &&&str| rows.iter().any(|row| row.get(**name).is_some_and(fits));
        wanted.iter().find(has).map(|name| (*name).to_owned())
    };
    let is_text = |value: &Value| value.is_string();
    let not_null = |value: &Value| !value.is_null();
    let mut set = |key: &str, name: Option<String>| {
        if let Some(name) = name {
            draft.columns.insert(key.to_owned(), name);
        }
    };
    for (key, wanted) in ANY {
        set(key, names(wanted, &not_null));
    }
    set("kto_tag", names(&JUDGED, &Value::is_boolean));
    match messages(&rows) {
        Some((column, tags)) => {
            set("messages", Some(column));
            set("chosen", names(&["chosen"], &Value::is_object));
            set("rejected", names(&["rejected"], &Value::is_object));
            let is_openai = tags.get("role_tag").is_some_and(|role| role == "role");
            draft.formatting = if is_openai { "openai" } else { "sharegpt" }.into();
            draft.tags = tags;
        }
        None => {
            for (key, wanted) in ALPACA {
                let is_list = key == "history";
                set(key, names(wanted, if is_list { &Value::is_array } else { &is_text }));
            }
            draft.formatting = "alpaca".into();
        }
    }
    draft.ranking = draft.columns.contains_key("chosen") && draft.columns.contains_key("rejected");
}

/// The column of messages, and what their fields and roles are called.
fn messages(rows: &[Map<String, Value>]) -> Option<(String, BTreeMap<String, String>)> {
    let lists = |row: &Map<String, Value>| {
        let list = |(name, value): (&String, &Value)| Some((name.clone(), value.as_array()?.clone()));
        row.iter().filter_map(list).collect::<Vec<_>>()
    };
    let key = |message: &Value, keys: &[&str]| {
        keys.iter().find(|key| message.get(**key).is_some_and(Value::is_string)).map(|key| (*key).to_owned())
    };
    let (column, role, content) = rows.iter().flat_map(lists).find_map(|(name, messages)| {
        let first = messages.first()?;
        Some((name, key(first, &ROLE_KEYS)?, key(first, &CONTENT_KEYS)?))
    })?;
    let messages = rows.iter().filter_map(|row| row.get(&column)?.as_array()).flatten();
    let seen: Vec<&str> = messages.filter_map(|message| message.get(&role)?.as_str()).collect();
    let tag = |(key, usual): &(&str, &[&str])| {
        let found = usual.iter().find(|name| seen.contains(name)).or(usual.first());
        ((*key).to_owned(), found.copied().unwrap_or_default().to_owned())
    };
    let mut tags: BTreeMap<String, String> = ROLES.iter().map(tag).collect();
    tags.insert("role_tag".into(), role);
    tags.insert("content_tag".into(), content);
    Some((column, tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(row: &str) -> EntryDraft {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.jsonl");
        std::fs::write(&file, row).unwrap();
        let mut draft = EntryDraft::default();
        fill_in(&mut draft, Rows::of(vec![file]));
        draft
    }

    fn columns(draft: &EntryDraft) -> Vec<(&str, &str)> {
        draft.columns.iter().map(|(key, name)| (key.as_str(), name.as_str())).collect()
    }

    #[test]
    fn usual_columns_are_recognised() {
        let alpaca = guess(r#"{"question": "Q", "context": "", "answer": "A", "history": []}"#);
        assert_eq!(alpaca.formatting, "alpaca");
        let expected =
            [("history", "history"), ("prompt", "question"), ("query", "context"), ("response", "answer")];
        assert_eq!(columns(&alpaca), expected);
        let pairs = guess(r#"{"prompt": "Q", "chosen": "A", "rejected": "B"}"#);
        assert!(pairs.ranking && columns(&pairs).contains(&("chosen", "chosen")));
        assert_eq!(columns(&guess(r#"{"text": "T"}"#)), [("prompt", "text")]);
        let judged = guess(r#"{"prompt": "Q", "completion": "A", "label": true}"#);
        assert!(columns(&judged).contains(&("kto_tag", "label")) && !judged.ranking);
    }

    #[test]
    fn messages_are_recognised_with_their_roles() {
        let draft = guess(
            r#"{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"},
                {"role": "tool", "content": "R"}], "tools": "[]"}"#
                .replace('\n', "")
                .as_str(),
        );
        assert_eq!((draft.formatting.as_str(), draft.tags["role_tag"].as_str()), ("openai", "role"));
        assert_eq!(columns(&draft), [("messages", "messages"), ("tools", "tools")]);
        let tags = ["user_tag", "assistant_tag", "observation_tag"].map(|key| draft.tags[key].as_str());
        assert_eq!(tags, ["user", "assistant", "tool"]);
        let shared = guess(r#"{"conversations": [{"from": "human", "value": "Q"}]}"#);
        assert_eq!((shared.formatting.as_str(), shared.tags["assistant_tag"].as_str()), ("sharegpt", "gpt"));
    }
}
