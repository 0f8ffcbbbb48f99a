//! Rows that hold a list of messages: the sharegpt and openai layouts.

use serde_json::Value;

use super::entry::{DatasetInfo, Format};
use super::{Converted, Record, Row, wrong};
use crate::text::error::Result;
use crate::text::pyjson;
use crate::text::template::{Message, Role};

/// Between the results of several tools that answer together.
const RESULT_BORDER: &str = "\n</tool_response>\n<tool_response>\n";

pub(super) fn convert(info: &DatasetInfo, row: &Row<'_>) -> Result<Converted> {
    row.refuse_media(&info.columns)?;
    let column = info.columns.messages.as_deref().unwrap_or_default();
    let list = row.values.get(column).unwrap_or(&Value::Null);
    let Value::Array(list) = list else { return Err(row.error(column, wrong("a list of messages", list))) };
    let mut list = list.as_slice();

    let mut system = row.text(info.columns.system.as_deref())?.to_owned();
    if let Some((first, rest)) = list.split_first()
        && let Some(tag) = info.tags.system.as_deref()
        && field(row, column, 1, first, &info.tags.role)? == tag
    {
        field(row, column, 1, first, &info.tags.content)?.clone_into(&mut system);
        list = rest;
    }
    let skipped = |reason: String| Ok(Converted::Skipped(column.to_owned(), reason));
    let first_number = row.values[column].as_array().map_or(0, Vec::len) - list.len() + 1;
    let mut messages = Vec::with_capacity(list.len());
    for (place, message) in list.iter().enumerate() {
        let number = first_number + place;
        let (role, content) = match read(info, row, column, number, message)? {
            Ok(message) => message,
            Err(tag) => return skipped(format!("message {number} has the unknown role \"{tag}\"")),
        };
        merge(info.format, &mut messages, Message { role, content });
    }
    // In OpenAI's layout a tool's result that nobody answers is dropped, and the call is what is learnt.
    if info.format == Format::OpenAi {
        messages.pop_if(|last| last.role == Role::Observation);
    }
    if let Some(reason) = disorder(&messages, info.ranking) {
        return skipped(reason);
    }
    let (prompt, response) = match split(info, row, messages)? {
        Ok(parts) => parts,
        Err((key, reason)) => return Ok(Converted::Skipped(key, reason)),
    };
    let tools = row.text_or_json(info.columns.tools.as_deref())?;
    Ok(Converted::Record(Record { prompt, response, system, tools, origin: row.origin() }))
}

/// A text field of message number `number`.
fn field<'a>(
    row: &Row<'_>,
    column: &str,
    number: usize,
    message: &'a Value,
    key: &Option<String>,
) -> Result<&'a str> {
    let key = key.as_deref().unwrap_or_default();
    let error = |problem: String| row.error(column, format!("message {number}: \"{key}\" {problem}"));
    let Value::Object(fields) = message else {
        return Err(row.error(column, format!("message {number} {}", wrong("an object", message))));
    };
    let value = fields.get(key).ok_or_else(|| error("is missing".into()))?;
    value.as_str().ok_or_else(|| error(wrong("a text", value)))
}

/// Role and content of a message, or the role's name if it is unknown.
fn read(
    info: &DatasetInfo,
    row: &Row<'_>,
    column: &str,
    number: usize,
    message: &Value,
) -> Result<std::result::Result<(Role, String), String>> {
    let tag = field(row, column, number, message, &info.tags.role)?;
    let Some(role) = role_of(info, tag) else { return Ok(Err(tag.to_owned())) };
    if info.format == Format::OpenAi
        && matches!(role, Role::Assistant | Role::Function)
        && let Some(calls) =
            message.get("tool_calls").and_then(Value::as_array).filter(|calls| !calls.is_empty())
    {
        let functions: Option<Vec<Value>> = calls.iter().map(|call| call.get("function").cloned()).collect();
        let functions = functions
            .ok_or_else(|| row.error(column, format!("message {number}: a tool call has no \"function\"")))?;
        return Ok(Ok((Role::Function, pyjson::dumps(&Value::Array(functions)))));
    }
    Ok(Ok((role, field(row, column, number, message, &info.tags.content)?.to_owned())))
}

fn role_of(info: &DatasetInfo, tag: &str) -> Option<Role> {
    let tags = &info.tags;
    let is = |name: &Option<String>| name.as_deref() == Some(tag);
    Some(match () {
        () if is(&tags.user) => Role::User,
        () if is(&tags.assistant) => Role::Assistant,
        () if is(&tags.observation) => Role::Observation,
        () if is(&tags.function) => Role::Function,
        () => return None,
    })
}

/// In OpenAI's layout several tools may answer one after the other; they become one turn.
fn merge(format: Format, messages: &mut Vec<Message>, message: Message) {
    if format == Format::OpenAi
        && message.role == Role::Observation
        && let Some(last) = messages.last_mut().filter(|last| last.role == Role::Observation)
    {
        last.content.push_str(RESULT_BORDER);
        last.content.push_str(&message.content);
        return;
    }
    messages.push(message);
}

/// Questions (or tool results) and answers (or tool calls) must alternate, and end with an answer unless it stands in
/// columns of its own.
fn disorder(messages: &[Message], ranking: bool) -> Option<String> {
    for (place, message) in messages.iter().enumerate() {
        let asks = matches!(message.role, Role::User | Role::Observation);
        if asks != (place % 2 == 0) {
            let expected =
                if place % 2 == 0 { "a question or tool result" } else { "an answer or tool call" };
            return Some(format!(
                "turn {} should be {expected}, but its role is {:?}",
                place + 1,
                message.role
            ));
        }
    }
    match (messages.len() % 2, ranking) {
        (1, false) => Some(format!("has {} turns, so the last question has no answer", messages.len())),
        (0, true) => Some(format!("has {} turns, but must end with a question", messages.len())),
        _ => None,
    }
}

/// Prompt and answers.
type Parts = (Vec<Message>, Vec<Message>);

fn split(
    info: &DatasetInfo,
    row: &Row<'_>,
    mut messages: Vec<Message>,
) -> Result<std::result::Result<Parts, (String, String)>> {
    let columns = &info.columns;
    let nothing = || Message::new(Role::Assistant, "");
    if let Some(wanted) = row.truth(columns.kto_tag.as_deref())? {
        let answer = messages.pop().unwrap_or_else(nothing);
        let response = if wanted { vec![answer, nothing()] } else { vec![nothing(), answer] };
        return Ok(Ok((messages, response)));
    }
    let (chosen, rejected) = (row.get(columns.chosen.as_deref()), row.get(columns.rejected.as_deref()));
    if info.ranking
        && let (Some(chosen), Some(rejected)) = (chosen, rejected)
    {
        let mut response = Vec::new();
        for (column, message) in [(&columns.chosen, chosen), (&columns.rejected, rejected)] {
            let column = column.as_deref().unwrap_or_default();
            if !message.is_object() {
                return Err(row.error(column, wrong("an object with role and content", message)));
            }
            match read(info, row, column, 1, message)? {
                Ok((role @ (Role::Assistant | Role::Function), content)) => {
                    response.push(Message { role, content })
                }
                Ok((role, _)) => {
                    return Ok(Err((
                        column.into(),
                        format!("should be an answer, but its role is {role:?}"),
                    )));
                }
                Err(tag) => return Ok(Err((column.into(), format!("has the unknown role \"{tag}\"")))),
            }
        }
        return Ok(Ok((messages, response)));
    }
    let response = messages.pop().into_iter().collect();
    Ok(Ok((messages, response)))
}
