//! A template read off a model's own Jinja chat template, for training without a named one.

use serde_json::Value;

use super::chat::{ChatTemplate, ChatTurn};
use super::draft::template;
use super::{Reasoning, Template};
use crate::text::Tokenizer;
use crate::text::error::Result;

impl Template {
    /// Renders short conversations with the tokenizer's chat template and takes the slots from the differences: the
    /// text around a system message, a question and an answer.
    ///
    /// `None` if the tokenizer has no chat template.
    ///
    /// # Errors
    /// If the chat template cannot be rendered.
    pub fn from_chat_template(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(chat) = ChatTemplate::of(tokenizer)? else { return Ok(None) };
        let prefix = tokenizer.decode(&tokenizer.encode("", true)?, false)?;
        let render = |turns: &[(&str, &str)], ask: bool| {
            let turns: Vec<ChatTurn> = turns
                .iter()
                .map(|(role, content)| ChatTurn {
                    role: (*role).into(),
                    content: (*content).into(),
                    tool_calls: None,
                })
                .collect();
            let text = chat.render(&turns, &Value::Null, ask)?;
            Ok(text.get(prefix.len()..).unwrap_or_default().to_owned())
        };
        const CONTENT: &str = "{{content}}";
        let system = render(&[("system", CONTENT)], false)?;
        let user_after_empty_system = render(&[("system", ""), ("user", CONTENT)], true)?;
        let user = render(&[("user", CONTENT)], true)?;
        let exchange = render(&[("user", CONTENT), ("assistant", CONTENT)], false)?;
        let assistant = exchange.get(user.len()..).unwrap_or_default();
        let thinks = assistant.contains("<think>");
        let assistant = assistant.replace("<think>", "").replace("</think>", "");

        let mut user_slot = user.as_str();
        let mut default_system = String::new();
        if user.len() > user_after_empty_system.len() {
            default_system = inserted(&user_after_empty_system, &user);
            let sole_system = system.replacen(CONTENT, &default_system, 1);
            user_slot = user.get(sole_system.len()..).unwrap_or_default();
        }
        let mut draft = template("chat_template", user_slot)
            .system(system.as_str())
            .assistant(assistant.trim_start_matches('\n'))
            .default_system(&default_system);
        if !prefix.is_empty() {
            draft = draft.prefix(prefix.as_str());
        }
        let mut parsed = draft.build();
        if thinks {
            parsed.reasoning = Reasoning::EmptyThought;
        }
        Ok(Some(parsed))
    }
}

/// The characters of `long` that `short` lacks, both read from the start.
fn inserted(short: &str, long: &str) -> String {
    let mut expected = short.chars().peekable();
    let mut difference = String::new();
    for c in long.chars() {
        if expected.peek().is_none() {
            break;
        }
        if expected.next_if_eq(&c).is_none() {
            difference.push(c);
        }
    }
    difference
}
