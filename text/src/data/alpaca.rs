//! Rows of instruction, input and output.

use serde_json::Value;

use super::entry::DatasetInfo;
use super::{Converted, Record, Row, wrong};
use crate::error::Result;
use crate::template::{Message, Role};

pub(super) fn convert(info: &DatasetInfo, row: &Row<'_>) -> Result<Converted> {
    let columns = &info.columns;
    row.refuse_media(columns)?;
    let mut prompt = history(info, row)?;
    let question: Vec<&str> = [row.text(columns.prompt.as_deref())?, row.text(columns.query.as_deref())?]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    // An empty question is one; without the column there is none.
    if let Some(column) = columns.prompt.as_ref().filter(|column| !row.values.contains_key(*column))
        && question.is_empty()
    {
        return Ok(Converted::Skipped(column.clone(), "is missing, so there is no question".into()));
    }
    prompt.push(Message::new(Role::User, question.join("\n")));
    Ok(Converted::Record(Record {
        prompt,
        response: response(info, row)?,
        system: row.text(columns.system.as_deref())?.to_owned(),
        tools: row.text_or_json(columns.tools.as_deref())?,
        origin: row.origin(),
    }))
}

fn response(info: &DatasetInfo, row: &Row<'_>) -> Result<Vec<Message>> {
    let columns = &info.columns;
    let answer = |text: &str| Message::new(Role::Assistant, text);
    if let Some(wanted) = row.truth(columns.kto_tag.as_deref())? {
        let given = answer(row.text(columns.response.as_deref())?);
        return Ok(if wanted { vec![given, answer("")] } else { vec![answer(""), given] });
    }
    if info.ranking {
        let (chosen, rejected) = (columns.chosen.as_deref(), columns.rejected.as_deref());
        if row.get(chosen).is_some() && row.get(rejected).is_some() {
            return Ok(vec![answer(row.text(chosen)?), answer(row.text(rejected)?)]);
        }
        // LLaMA-Factory 0.7 has both in a list, the better one first.
        if let Some(Value::Array(answers)) = row.get(columns.response.as_deref())
            && let [Value::String(better), Value::String(worse), ..] = answers.as_slice()
        {
            return Ok(vec![answer(better), answer(worse)]);
        }
        return Ok(Vec::new());
    }
    if row.get(columns.response.as_deref()).is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![answer(row.text(columns.response.as_deref())?)])
}

/// Earlier questions and answers.
fn history(info: &DatasetInfo, row: &Row<'_>) -> Result<Vec<Message>> {
    let column = info.columns.history.as_deref();
    let Some(history) = row.get(column) else { return Ok(Vec::new()) };
    let bad = |value: &Value| {
        row.error(column.unwrap_or_default(), wrong("a list of [question, answer] pairs", value))
    };
    let mut messages = Vec::new();
    for pair in history.as_array().ok_or_else(|| bad(history))? {
        let [Value::String(question), Value::String(answer)] =
            pair.as_array().map(Vec::as_slice).unwrap_or_default()
        else {
            return Err(bad(pair));
        };
        messages.push(Message::new(Role::User, question));
        messages.push(Message::new(Role::Assistant, answer));
    }
    Ok(messages)
}
