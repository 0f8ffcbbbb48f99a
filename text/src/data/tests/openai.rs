//! Rows in OpenAI's layout.

use super::{folder, load};
use crate::data::{Kind, Record};
use crate::template::{Message, Role, ToolCall};

const OPENAI: &str = r#"{"d": {"file_name": "d.json", "formatting": "openai"}}"#;

/// A row of OpenAI's layout without an entry that says more.
fn openai(messages: &str) -> Record {
    let folder = folder(OPENAI, "d.json", format!(r#"[{{"messages": [{messages}]}}]"#));
    load(folder.path(), Kind::Supervised).expect("one row").records.remove(0)
}

#[test]
fn openai_tool_calls_and_results_become_turns() {
    let info = r#"{"d": {"file_name": "d.json", "formatting": "openai", "columns": {"messages": "messages", "tools": "tools"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                 "observation_tag": "tool", "system_tag": "system"}}}"#;
    let content = r#"[{"tools": [{"name": "f"}], "messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
        {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"},
        {"role": "assistant", "content": "A"}]}]"#;
    let folder = folder(info, "d.json", content);
    let record = load(folder.path(), Kind::Supervised).expect("one row").records.remove(0);
    assert_eq!((record.system.as_str(), record.tools.as_str()), ("S", r#"[{"name": "f"}]"#));
    let call = ToolCall { name: "f".into(), arguments: serde_json::json!({"x": 1}) };
    assert_eq!(record.prompt[1], Message { calls: vec![call], ..Message::new(Role::Function, "") });
    assert_eq!(record.prompt[2], Message::new(Role::Observation, "1\n</tool_response>\n<tool_response>\n2"));
    assert_eq!(record.response, [Message::new(Role::Assistant, "A")]);
}

/// As LLaMA-Factory 0.9.5: nobody answers the result, so the call is what is learnt.
#[test]
fn a_tool_result_at_the_end_of_an_openai_row_is_dropped() {
    let info = r#"{"d": {"file_name": "d.json", "formatting": "openai", "columns": {"messages": "messages"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
                 "observation_tag": "tool"}}}"#;
    let content = r#"[{"messages": [{"role": "user", "content": "Q"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]}]"#;
    let folder = folder(info, "d.json", content);
    let record = load(folder.path(), Kind::Supervised).expect("one row").records.remove(0);
    assert_eq!(record.prompt, [Message::new(Role::User, "Q")]);
    assert_eq!(record.response[0].role, Role::Function);
}

/// As transformers' chat templates see them: text, thought and calls apart.
#[test]
fn openai_messages_are_read_as_they_are_written() {
    let call = ToolCall { name: "tide".into(), arguments: serde_json::json!({"port": "Wick"}) };
    let turn = |content: &str, thought: &str| Message {
        thought: thought.into(),
        calls: vec![call.clone()],
        ..Message::new(Role::Function, content)
    };
    let calls = r#""tool_calls": [{"id": "c1", "type": "function",
        "function": {"name": "tide", "arguments": "{\"port\": \"Wick\"}"}}]"#;
    for (fields, expected) in [
        (format!(r#""content": "Let me look.", {calls}"#), turn("Let me look.", "")),
        (format!(r#""content": null, {calls}"#), turn("", "")),
        (calls.to_owned(), turn("", "")),
        (format!(r#""content": "", "reasoning_content": "Hm.\n", {calls}"#), turn("", "Hm.")),
        (format!(r#""content": "T", "thinking": "Hm.", {calls}"#), turn("T", "Hm.")),
        (format!(r#""content": "<think>\nHm.\n</think>\n\nT", {calls}"#), turn("T", "Hm.")),
        (format!(r#""content": "Hm.</think>", {calls}"#), turn("", "Hm.")),
        (
            format!(
                r#""content": [{{"type": "thinking", "thinking": "Hm."}}, {{"type": "text", "text": "T"}}], {calls}"#
            ),
            turn("T", "Hm."),
        ),
        (
            r#""content": "T", "function_call": {"name": "tide", "arguments": "{\"port\": \"Wick\"}"}"#
                .into(),
            turn("T", ""),
        ),
        (
            r#""tool_calls": "[{\"name\": \"tide\", \"arguments\": {\"port\": \"Wick\"}}]""#.into(),
            turn("", ""),
        ),
        (
            r#""content": "A", "reasoning": "Hm.", "tool_calls": []"#.into(),
            Message { thought: "Hm.".into(), ..Message::new(Role::Assistant, "A") },
        ),
        (
            r#""content": "<think>Hm.</think>A", "reasoning": "Hm.", "tool_calls": null"#.into(),
            Message::new(Role::Assistant, "<think>Hm.</think>A"),
        ),
        (
            r#""content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]"#.into(),
            Message::new(Role::Assistant, "AB"),
        ),
    ] {
        let record =
            openai(&format!(r#"{{"role": "user", "content": "Q"}}, {{"role": "assistant", {fields}}}"#));
        assert_eq!(record.response, [expected], "{fields}");
    }
    let shown = "<think>Hm.</think>\nT\n{\"name\": \"tide\", \"arguments\": {\"port\": \"Wick\"}}";
    assert_eq!(turn("T", "Hm.").shown(), shown);
    assert_eq!(Message::new(Role::Assistant, "A").shown(), "A");
}

#[test]
fn no_arguments_are_an_empty_object() {
    for arguments in [r#", "arguments": "" "#, r#", "arguments": null"#, r#", "arguments": "{}""#, ""] {
        let record = openai(&format!(
            r#"{{"role": "user", "content": "Q"}},
               {{"role": "assistant", "tool_calls": [{{"function": {{"name": "f"{arguments}}}}}]}}"#
        ));
        assert_eq!(record.response[0].calls[0].arguments, serde_json::json!({}), "{arguments}");
    }
}

/// The role `function` answered before there was the role `tool`; an entry may still take it for calls.
#[test]
fn the_first_form_of_openai_tools_is_read() {
    let record = openai(
        r#"{"role": "developer", "content": "S"}, {"role": "user", "content": "Q"},
           {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
           {"role": "function", "name": "f", "content": "1"}, {"role": "assistant", "content": "A"}"#,
    );
    let roles: Vec<Role> = record.prompt.iter().map(|message| message.role).collect();
    assert_eq!((record.system.as_str(), roles), ("S", vec![Role::User, Role::Function, Role::Observation]));
}
