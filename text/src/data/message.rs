//! One message of a conversation as people write it: who speaks, what is said, what is thought and what is called.
//!
//! The names are those of the entry's tags; where these leave one open, what it is usually called.

use serde_json::{Map, Value};

use super::entry::{DatasetInfo, Format};
use super::{Row, wrong};
use crate::error::{Error, Result};
use crate::template::tools::{ToolCall, arguments};
use crate::template::{Message, Role};

/// Fields that hold what a model thought before it spoke, as the servers of reasoning models name them.
const THOUGHTS: [&str; 3] = ["reasoning_content", "reasoning", "thinking"];

/// Types of a part of a message that are text.
const TEXT_PARTS: [&str; 3] = ["text", "input_text", "output_text"];

/// Who speaks.
pub(super) enum Speaker<'a> {
    System,
    Known(Role),
    Unknown(&'a str),
}

/// A message with its place, for what is said about it.
pub(super) struct Entry<'a> {
    info: &'a DatasetInfo,
    row: &'a Row<'a>,
    column: &'a str,
    /// Counted from 1 in its list.
    number: usize,
    fields: &'a Map<String, Value>,
}

impl<'a> Entry<'a> {
    /// # Errors
    /// If `message` is no object.
    pub(super) fn new(
        info: &'a DatasetInfo,
        row: &'a Row<'a>,
        column: &'a str,
        number: usize,
        message: &'a Value,
    ) -> Result<Self> {
        match message {
            Value::Object(fields) => Ok(Self { info, row, column, number, fields }),
            other => Err(row.error(column, format!("message {number} {}", wrong("an object", other)))),
        }
    }

    fn error(&self, problem: impl std::fmt::Display) -> Error {
        self.row.error(self.column, format!("message {}: {problem}", self.number))
    }

    /// The value of a field; null counts as missing.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// # Errors
    /// If the role is missing or no text.
    pub(super) fn speaker(&self) -> Result<Speaker<'a>> {
        let key = self.info.tags.role.as_deref().unwrap_or_default();
        let name = self.fields.get(key).ok_or_else(|| self.error(format!("\"{key}\" is missing")))?;
        let name = name.as_str().ok_or_else(|| self.error(format!("\"{key}\" {}", wrong("a text", name))))?;
        let tags = &self.info.tags;
        let is = |tag: &Option<String>| tag.as_deref() == Some(name);
        // OpenAI's first tools answered in the role `function`, which elsewhere is a call: an answer names its function.
        let answers = self.info.format == Format::OpenAi
            && name == "function"
            && self.get("name").is_some()
            && self.get("tool_calls").is_none();
        Ok(match name {
            _ if answers => Speaker::Known(Role::Observation),
            _ if is(&tags.system) => Speaker::System,
            _ if is(&tags.user) => Speaker::Known(Role::User),
            _ if is(&tags.assistant) => Speaker::Known(Role::Assistant),
            _ if is(&tags.observation) => Speaker::Known(Role::Observation),
            _ if is(&tags.function) => Speaker::Known(Role::Function),
            "system" | "developer" => Speaker::System,
            "user" | "human" => Speaker::Known(Role::User),
            "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "model" => Speaker::Known(Role::Assistant),
            "tool" | "observation" => Speaker::Known(Role::Observation),
            "function_call" => Speaker::Known(Role::Function),
            other => Speaker::Unknown(other),
        })
    }

    /// The message of a speaker who is `role`.
    ///
    /// # Errors
    /// If a field is not what it should be.
    pub(super) fn read(&self, role: Role) -> Result<Message> {
        if !matches!(role, Role::Assistant | Role::Function) {
            return Ok(Message::new(role, self.content(false)?.0));
        }
        let calls = self.calls()?;
        let (mut content, mut thought) = self.content(!calls.is_empty())?;
        if thought.is_empty() {
            let field = THOUGHTS.iter().find_map(|key| self.get(key)?.as_str()).unwrap_or_default().trim();
            // Some write it into the text as well.
            field.clone_into(&mut thought);
            if content.contains(field) {
                thought.clear();
            }
        }
        let mut role = role;
        if !calls.is_empty() {
            role = Role::Function;
            if let (true, Some((inside, text))) = (thought.is_empty(), spoken_thought(&content)) {
                (thought, content) = (inside.to_owned(), text.to_owned());
            }
        }
        Ok(Message { thought, calls, masked: !self.is_learnt()?, ..Message::new(role, content) })
    }

    /// The text, and the thoughts among its parts; both empty if there is none and there `may_be_none`.
    fn content(&self, may_be_none: bool) -> Result<(String, String)> {
        let key = self.info.tags.content.as_deref().unwrap_or_default();
        let parts = match self.fields.get(key) {
            Some(Value::String(text)) => return Ok((text.clone(), String::new())),
            Some(Value::Array(parts)) if parts.iter().all(Value::is_object) && !parts.is_empty() => parts,
            None | Some(Value::Null) if may_be_none => return Ok(Default::default()),
            None => return Err(self.error(format!("\"{key}\" is missing"))),
            Some(other) => return Err(self.error(format!("\"{key}\" {}", wrong("a text", other)))),
        };
        let (mut text, mut thought) = (String::new(), String::new());
        for part in parts {
            let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
            let of = |key: &str| part.get(key).and_then(Value::as_str);
            match (of("text"), of("thinking")) {
                (Some(said), _) if TEXT_PARTS.contains(&kind) => text.push_str(said),
                (_, Some(thinks)) if kind == "thinking" => thought.push_str(thinks),
                _ => {
                    let given = if kind.is_empty() { part.to_string() } else { format!("\"{kind}\"") };
                    return Err(self.error(format!(
                        "\"{key}\" has a part {given}; only text can be trained on: {}",
                        r#"{"type": "text", "text": …}"#
                    )));
                }
            }
        }
        Ok((text, thought.trim().to_owned()))
    }

    /// Calls in OpenAI's form, `tool_calls` or the older `function_call`.
    fn calls(&self) -> Result<Vec<ToolCall>> {
        let Some((key, given)) =
            ["tool_calls", "function_call"].into_iter().find_map(|key| Some((key, self.get(key)?)))
        else {
            return Ok(Vec::new());
        };
        let parsed;
        let list = match given {
            Value::String(json) if json.trim().is_empty() => return Ok(Vec::new()),
            Value::String(json) => {
                parsed = serde_json::from_str(json).unwrap_or(Value::Null);
                &parsed
            }
            other => other,
        };
        match list {
            Value::Array(calls) => calls.iter().map(|call| self.call(call)).collect(),
            Value::Object(_) if key == "function_call" => Ok(vec![self.call(list)?]),
            Value::Null if given.as_str().is_some_and(|json| json.trim() == "null") => Ok(Vec::new()),
            _ => Err(self.error(format!("\"{key}\" {}", wrong("a list of calls", given)))),
        }
    }

    fn call(&self, call: &Value) -> Result<ToolCall> {
        let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| self.error("a tool call has no \"function\" with a \"name\""))?.to_owned();
        let given = function.get("arguments").cloned().unwrap_or_default();
        let arguments = arguments(given).map_err(|given| {
            let problem = wrong("an object, or JSON of one", &given);
            self.error(format!("the arguments of \"{name}\" {problem}"))
        })?;
        Ok(ToolCall { name, arguments })
    }

    /// OpenAI's `weight` of an answer: 0 keeps it out of the loss.
    fn is_learnt(&self) -> Result<bool> {
        let Some(weight) = self.get("weight") else { return Ok(true) };
        match weight.as_f64() {
            Some(0.0) => Ok(false),
            Some(1.0) => Ok(true),
            _ => Err(self.error(format!("\"weight\" {}", wrong("0 (not learnt) or 1", weight)))),
        }
    }
}

/// The thought that a text begins with, and what follows; the opening word may be missing, where a prompt gave it.
fn spoken_thought(content: &str) -> Option<(&str, &str)> {
    let (thought, text) = content.split_once("</think>")?;
    let thought = thought.trim_start();
    let thought = thought.strip_prefix("<think>").unwrap_or(thought);
    (!thought.contains("<think>")).then(|| (thought.trim(), text.trim_start_matches('\n')))
}
