//! A model's own chat template, written in Jinja.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Tokenizer;
use crate::error::{Error, Result};
use crate::jinja::{Jinja, Rendered};

/// A message as Jinja templates see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChatTurn {
    /// Who speaks: `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Calls in OpenAI's form, if the assistant makes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Value>,
}

impl ChatTurn {
    /// A turn without calls.
    pub fn of(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), tool_calls: None }
    }
}

/// What a chat template writes, as transformers' `apply_chat_template` takes it.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// A list of messages with whatever fields they have.
    pub messages: Value,
    /// A list of tool descriptions, or null.
    pub tools: Value,
    /// A list of documents, or null.
    pub documents: Value,
    /// The text ends where the assistant's answer begins.
    pub add_generation_prompt: bool,
    /// What else the template may look at, such as `enable_thinking`.
    pub variables: Map<String, Value>,
}

/// A compiled Jinja chat template.
pub struct ChatTemplate {
    source: String,
    jinja: Jinja,
    /// `bos_token` and the like.
    tokens: Vec<(String, Value)>,
    /// Whose it is, for messages.
    origin: String,
}

impl ChatTemplate {
    /// The template that came with `tokenizer`, if one did.
    ///
    /// # Errors
    /// If it is not valid Jinja.
    pub fn of(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let tokens =
            || tokenizer.named_tokens().into_iter().map(|(name, token)| (name, token.into())).collect();
        let origin = || format!("of {}", tokenizer.origin());
        tokenizer.chat_template().map(|source| Self::with_tokens(source, tokens(), origin())).transpose()
    }

    /// Compiles `source` for a tokenizer with these two special tokens.
    ///
    /// # Errors
    /// If it is not valid Jinja.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self> {
        let tokens = vec![("bos_token".into(), bos.into()), ("eos_token".into(), eos.into())];
        Self::with_tokens(source, tokens, "of the model".to_owned())
    }

    fn with_tokens(source: &str, tokens: Vec<(String, Value)>, origin: String) -> Result<Self> {
        let jinja = Jinja::new(source).map_err(|e| refused(&origin, &e))?;
        Ok(Self { source: source.to_owned(), jinja, tokens, origin })
    }

    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        format!("the chat template {}", self.origin)
    }

    /// Whether the template says what of a conversation the assistant generates (`{% generation %}`).
    pub fn marks_generation(&self) -> bool {
        self.jinja.marks_generation()
    }

    /// The prompt for `turns`. `tools` is a list of tool descriptions or null; with `add_generation_prompt` the prompt
    /// ends where the assistant's answer begins.
    ///
    /// # Errors
    /// If the template refuses the conversation; the message is the template's own.
    pub fn render(&self, turns: &[ChatTurn], tools: &Value, add_generation_prompt: bool) -> Result<String> {
        self.render_with(turns, tools, add_generation_prompt, None)
    }

    /// As [`ChatTemplate::render`], telling templates that look at it whether to think.
    ///
    /// # Errors
    /// As there.
    pub fn render_with(
        &self,
        turns: &[ChatTurn],
        tools: &Value,
        add_generation_prompt: bool,
        enable_thinking: Option<bool>,
    ) -> Result<String> {
        let messages = serde_json::to_value(turns).map_err(|e| refused(&self.origin, &e))?;
        let mut variables = Map::new();
        variables.extend(enable_thinking.map(|thinks| ("enable_thinking".to_owned(), thinks.into())));
        let conversation = Conversation {
            messages,
            tools: tools.clone(),
            add_generation_prompt,
            variables,
            ..Conversation::default()
        };
        Ok(self.write(&conversation)?.text)
    }

    /// The conversation's text, and what of it the assistant generates.
    ///
    /// # Errors
    /// If the template refuses the conversation; the message is the template's own.
    pub fn write(&self, conversation: &Conversation) -> Result<Rendered> {
        let Conversation { messages, tools, documents, add_generation_prompt, variables } = conversation;
        let asks = Value::from(*add_generation_prompt);
        let mut context = vec![
            ("messages", messages),
            ("tools", tools),
            ("documents", documents),
            ("add_generation_prompt", &asks),
        ];
        let others = self.tokens.iter().filter(|(name, _)| !variables.contains_key(name));
        context.extend(others.map(|(name, value)| (name.as_str(), value)));
        context.extend(variables.iter().map(|(name, value)| (name.as_str(), value)));
        self.jinja.render(&context).map_err(|e| refused(&self.origin, &e))
    }
}

/// Equal templates write equal texts.
impl PartialEq for ChatTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.tokens == other.tokens
    }
}

impl Eq for ChatTemplate {}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.source).field("tokens", &self.tokens).finish()
    }
}

fn refused(origin: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Template { name: format!("the chat template {origin}"), message: why.to_string() }
}
