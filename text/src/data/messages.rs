//! Rows that hold a list of messages: the sharegpt and openai layouts.

use std::borrow::Cow;

use serde_json::Value;

use super::entry::{DatasetInfo, Format};
use super::message::{Entry, Speaker};
use super::{Converted, Record, Row, wrong};
use crate::error::Result;
use crate::template::{Message, Role};

/// Between the results of several tools that answer together.
const RESULT_BORDER: &str = "\n</tool_response>\n<tool_response>\n";

pub(super) fn convert(info: &DatasetInfo, row: &Row<'_>) -> Result<Converted> {
    row.refuse_media(&info.columns)?;
    let column = info.columns.messages.as_deref().unwrap_or_default();
    let list = list(row, column)?;
    let skipped = |reason: String| Ok(Converted::Skipped(column.to_owned(), reason));

    let mut system = row.text(info.columns.system.as_deref())?.to_owned();
    let mut messages = Vec::with_capacity(list.len());
    for (number, message) in (1..).zip(&*list) {
        let entry = Entry::new(info, row, column, number, message)?;
        let role = match entry.speaker()? {
            Speaker::System if number == 1 => {
                system = entry.read(Role::User)?.content;
                continue;
            }
            Speaker::System => {
                return skipped(format!("message {number} is a system text, which only the first may be"));
            }
            Speaker::Known(role) => role,
            Speaker::Unknown(tag) => {
                return skipped(format!("message {number} has the unknown role \"{tag}\""));
            }
        };
        merge(info.format, &mut messages, entry.read(role)?);
    }
    // In OpenAI's layout a tool's result that nobody answers is dropped, and the call is what is learnt.
    if info.format == Format::OpenAi {
        messages.pop_if(|last| last.role == Role::Observation);
    }
    if let Some(reason) = disorder(&messages, info.ranking) {
        return skipped(reason);
    }
    let mut answers = messages.iter().skip(1).step_by(2).peekable();
    if answers.peek().is_some() && answers.all(|answer| answer.masked) {
        return skipped("has a \"weight\" of 0 at every answer, so there is nothing to learn".into());
    }
    let (prompt, response) = match split(info, row, messages)? {
        Ok(parts) => parts,
        Err((key, reason)) => return Ok(Converted::Skipped(key, reason)),
    };
    let tools = row.text_or_json(info.columns.tools.as_deref())?;
    Ok(Converted::Record(Record { prompt, response, system, tools, origin: row.origin() }))
}

/// The messages of `column`, which may stand there as a text of JSON.
fn list<'a>(row: &Row<'a>, column: &str) -> Result<Cow<'a, [Value]>> {
    let value = row.values.get(column).unwrap_or(&Value::Null);
    let parsed = match value {
        Value::Array(list) => return Ok(Cow::Borrowed(list)),
        Value::String(json) => serde_json::from_str(json).ok(),
        _ => None,
    };
    parsed.map(Cow::Owned).ok_or_else(|| row.error(column, wrong("a list of messages", value)))
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
            let entry = Entry::new(info, row, column, 1, message)?;
            let problem = match entry.speaker()? {
                Speaker::Known(role @ (Role::Assistant | Role::Function)) => {
                    response.push(entry.read(role)?);
                    continue;
                }
                Speaker::Known(role) => format!("should be an answer, but its role is {role:?}"),
                Speaker::System => "should be an answer, not a system text".into(),
                Speaker::Unknown(tag) => format!("has the unknown role \"{tag}\""),
            };
            return Ok(Err((column.into(), problem)));
        }
        return Ok(Ok((messages, response)));
    }
    let response = messages.pop().into_iter().collect();
    Ok(Ok((messages, response)))
}
