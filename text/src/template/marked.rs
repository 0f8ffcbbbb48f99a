//! Conversations written whole by a model's own chat template that marks what counts in the loss.
//!
//! A template read off a chat template ([`super::parse`]) knows prompts and answers, and so what to train on. Where the
//! chat template itself says what the assistant generates, it is believed: it writes the conversation, and what
//! stands in `{% generation %}` counts, as with transformers' `return_assistant_tokens_mask`.

use serde_json::{Map, Value, json};

use super::chat::{ChatTemplate, Conversation};
use super::{Dialogue, Message, Role, Template};
use crate::error::{Error, Result};
use crate::jinja::Rendered;

impl Template {
    /// The dialogue as the model's own chat template `own` writes it.
    ///
    /// # Errors
    /// If tools or calls cannot be read, or the chat template refuses the conversation or marks nothing of it.
    pub fn write_marked(&self, own: &ChatTemplate, dialogue: &Dialogue) -> Result<Rendered> {
        let system = if dialogue.system.is_empty() { &self.default_system } else { &dialogue.system };
        let mut messages = Vec::with_capacity(dialogue.messages.len() + 1);
        if !system.is_empty() {
            messages.push(json!({"role": "system", "content": system}));
        }
        for message in &dialogue.messages {
            messages.push(self.as_openai(message)?);
        }
        let mut variables = Map::new();
        variables.extend(self.enable_thinking.map(|thinks| ("enable_thinking".to_owned(), thinks.into())));
        let rendered = own.write(&Conversation {
            messages: messages.into(),
            tools: tools(&dialogue.tools)?,
            variables,
            ..Conversation::default()
        })?;
        if rendered.generated.iter().all(|range| range.is_empty()) {
            return Err(Error::Template {
                name: own.name(),
                message: "marks nothing of this conversation as generated ({% generation %}), so that nothing would be learnt".into(),
            });
        }
        Ok(rendered)
    }

    /// Calls become `tool_calls`, with what stands beside them as content; a thought stands before it, in the template's
    /// words.
    fn as_openai(&self, message: &Message) -> Result<Value> {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant | Role::Function => "assistant",
            Role::Observation => "tool",
        };
        if message.role != Role::Function {
            let thought = self.thought_text(&message.thought);
            return Ok(json!({"role": role, "content": format!("{thought}{}", message.content)}));
        }
        let (said, calls) = self.said_and_called(message)?;
        let calls: Vec<Value> = calls
            .into_iter()
            .map(|call| json!({"type": "function", "function": call.to_json("arguments")}))
            .collect();
        Ok(json!({"role": role, "content": said, "tool_calls": calls}))
    }
}

/// Tool descriptions in OpenAI's form, null if there are none.
fn tools(tools: &str) -> Result<Value> {
    if tools.is_empty() {
        return Ok(Value::Null);
    }
    let parsed =
        serde_json::from_str(tools).map_err(|e| Error::tools(format!("not valid JSON ({e}): {tools}")))?;
    let wrapped = |tool: Value| match tool.get("function") {
        Some(_) => tool,
        None => json!({"type": "function", "function": tool}),
    };
    Ok(match parsed {
        Value::Array(list) if !list.is_empty() => list.into_iter().map(wrapped).collect(),
        Value::Array(_) => Value::Null,
        Value::Object(none) if none.is_empty() => Value::Null,
        _ => return Err(Error::tools(format!("should be a JSON list, not {tools}"))),
    })
}
