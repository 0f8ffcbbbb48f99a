//! Chat templates: how a conversation is spelt for a model.
//!
//! A template is data: a few lists of [`Piece`]s per role with the placeholder `{{content}}`, stop words, and flags.
//! The templates themselves are in `groups/`, one file per kind; [`Template::named`] finds one. How they are applied
//! is in `render` (messages to pieces), `thinking` (reasoning templates) and `tools` (tool descriptions and calls).
//! The names, strings and rules are those of LLaMA-Factory 0.9.5, so that its users get the prompts they know.

mod chat;
mod disagreement;
mod draft;
mod export;
mod groups;
mod marked;
mod parse;
mod render;
mod thinking;
pub mod tools;

pub use chat::{ChatTemplate, ChatTurn, Conversation};
pub use tools::{ToolCall, ToolFormat};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::error::{Error, Result};
use super::{Tokenizer, pyjson};

/// A part of a prompt. Text is tokenized piece by piece, never across a border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is, with `{{content}}` where what is said comes.
    Text(String),
    /// The tokenizer's BOS token, nothing if it has none.
    Bos,
    /// The tokenizer's EOS token, nothing if it has none.
    Eos,
    /// One entry of the vocabulary, looked up by name.
    Token(String),
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// The assistant calls a tool; the content is the call as JSON.
    Function,
    /// What the tool answered.
    Observation,
}

/// One turn's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; in a function message without `calls` they stand in it (see [`tools`]).
    pub content: String,
    /// What was thought before, where the data have it apart from what is said.
    pub thought: String,
    /// The tools that a function message calls.
    pub calls: Vec<ToolCall>,
    /// The answer does not count in the loss.
    pub masked: bool,
}

impl Message {
    /// A message of text alone, which counts in the loss.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), thought: String::new(), calls: Vec::new(), masked: false }
    }

    /// Nothing is said, thought or called.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.thought.is_empty() && self.calls.is_empty()
    }

    /// All of the message for people to read: the thought, the text, and the calls as JSON.
    pub fn shown(&self) -> Cow<'_, str> {
        if self.thought.is_empty() && self.calls.is_empty() {
            return Cow::Borrowed(&self.content);
        }
        let thought = (!self.thought.is_empty()).then(|| format!("<think>{}</think>", self.thought));
        let text = (!self.content.is_empty()).then(|| self.content.clone());
        let calls = self.calls.iter().map(|call| pyjson::dumps(&call.to_json("arguments")));
        Cow::Owned(thought.into_iter().chain(text).chain(calls).collect::<Vec<_>>().join("\n"))
    }
}

/// A conversation to encode: user and assistant in turn, the last message being the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogue {
    /// The turns, in order.
    pub messages: Vec<Message>,
    /// Empty: the template's default.
    pub system: String,
    /// JSON list of tool descriptions; empty: none.
    pub tools: String,
}

/// Where the system text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemPlace {
    /// A segment of its own before the first turn.
    OwnSegment,
    /// Inside the first user turn (Llama 2, Gemma, Mistral).
    FirstUserTurn,
}

/// What a template does about thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// Nothing: thoughts are text like any other.
    None,
    /// An answer without a thought gets an empty one, opened and closed.
    EmptyThought,
    /// As before, but the empty thought is the closing word alone.
    ClosedThought,
}

/// A chat template: how a conversation is written for a model.
///
/// ```
/// use std::path::Path;
/// use text::{Dialogue, Message, Role, Template, Tokenizer};
///
/// let tokenizer = Tokenizer::from_folder(Path::new("../models/wick"))?;
/// let dialogue = Dialogue {
///     messages: vec![Message::new(Role::User, "Good morning")],
///     system: "Be brief.".to_owned(),
///     ..Dialogue::default()
/// };
/// let prompt = Template::named("chatml")?.encode_prompt(&tokenizer, &dialogue)?;
/// assert_eq!(
///     tokenizer.decode(&prompt, false)?,
///     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nGood morning<|im_end|>\n<|im_start|>assistant\n"
/// );
/// # Ok::<(), text::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What recipes call it (`template`).
    pub name: String,
    /// Once, before everything else.
    pub prefix: Vec<Piece>,
    /// Around the system text.
    pub system: Vec<Piece>,
    /// Around a question, up to where the answer begins.
    pub user: Vec<Piece>,
    /// Around an answer.
    pub assistant: Vec<Piece>,
    /// Around calls of tools.
    pub function: Vec<Piece>,
    /// Around a tool's answer, up to where the model's begins.
    pub observation: Vec<Piece>,
    /// Before every question but the first.
    pub separator: Vec<Piece>,
    /// How tools and their calls are written.
    pub tool_format: ToolFormat,
    /// Put around the tools' JSON as it is, instead of the tool format's own description.
    pub raw_tools: Option<String>,
    /// The system text where the conversation has none.
    pub default_system: String,
    /// Tokens that end an answer, besides EOS.
    pub stop_words: Vec<String>,
    /// What opens and closes a thought.
    pub thought_words: (String, String),
    /// What opens and closes a tool call in a function message.
    pub tool_call_words: (String, String),
    /// Answers carry no EOS; training puts it where the next turn starts.
    pub efficient_eos: bool,
    /// The first stop word becomes the tokenizer's EOS.
    pub replace_eos: bool,
    /// The model's own Jinja template is replaced when the tokenizer is saved.
    pub replace_jinja_template: bool,
    /// Where the system text goes.
    pub system_place: SystemPlace,
    /// What becomes of thoughts.
    pub reasoning: Reasoning,
    /// `None`: the model may decide; only reasoning templates look at it.
    pub enable_thinking: Option<bool>,
    /// Keeps the thoughts of earlier turns.
    pub preserve_thinking: bool,
    /// The day that some tool formats name, like `02 Jan 2025`; `None` is today.
    pub today: Option<String>,
    /// The model's own chat template, if it marks what counts in the loss: it writes the conversations to train on.
    pub marked: Option<Arc<ChatTemplate>>,
}

static TEMPLATES: LazyLock<BTreeMap<String, Template>> =
    LazyLock::new(|| groups::all().map(|template| (template.name.clone(), template)).collect());

impl Template {
    /// The template called `name`.
    ///
    /// # Errors
    /// If there is none; the message offers the nearest names.
    pub fn named(name: &str) -> Result<Self> {
        TEMPLATES.get(name).cloned().ok_or_else(|| Error::Template {
            name: name.to_owned(),
            message: format!("does not exist{}", suggestion(name)),
        })
    }

    /// All names, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TEMPLATES.keys().map(String::as_str)
    }

    /// Uses another tool format than the template's own.
    ///
    /// # Errors
    /// If there is no format of that name.
    pub fn use_tool_format(&mut self, name: &str) -> Result<()> {
        self.tool_format = ToolFormat::named(name)?;
        self.raw_tools = None;
        self.function = vec![Piece::Text("{{content}}".into())];
        if !self.efficient_eos {
            self.function.push(Piece::Eos);
        }
        Ok(())
    }

    /// Ids that end an answer: EOS and the stop words.
    pub fn stop_ids(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let words = self.stop_words.iter().filter_map(|word| tokenizer.token_to_id(word));
        let mut ids: Vec<u32> = tokenizer.eos_id().into_iter().chain(words).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Fits the tokenizer to the template: EOS and stop words become special tokens, a missing EOS or padding token is
    /// filled in, and a missing chat template too. Returns the tokens that the vocabulary lacked: the model has no rows for them.
    ///
    /// # Errors
    /// If the tokenizer cannot take in a token.
    pub fn fit_tokenizer(&self, tokenizer: &mut Tokenizer) -> Result<Vec<String>> {
        let mut added = Vec::new();
        let mut stop_words = self.stop_words.as_slice();
        if let (true, Some((eos, rest))) = (self.replace_eos, stop_words.split_first()) {
            if tokenizer.set_eos(eos)? {
                added.push(eos.clone());
            }
            stop_words = rest;
        }
        if tokenizer.eos_id().is_none() && tokenizer.set_eos(FALLBACK_EOS)? {
            added.push(FALLBACK_EOS.to_owned());
        }
        if tokenizer.pad_id().is_none() {
            let eos = tokenizer.special_tokens().eos.clone();
            tokenizer.set_pad(eos.as_deref().unwrap_or(FALLBACK_EOS));
        }
        if !stop_words.is_empty() {
            added.extend(tokenizer.add_special_tokens(stop_words)?);
        }
        if (tokenizer.chat_template().is_none() || self.replace_jinja_template)
            && let Some(jinja) = self.jinja(tokenizer)
        {
            tokenizer.set_chat_template(&jinja);
        }
        Ok(added)
    }
}

/// EOS of a tokenizer that has none.
const FALLBACK_EOS: &str = "<|endoftext|>";

/// Names that start alike or hold the given one.
fn suggestion(name: &str) -> String {
    if let Some(meant) = recipe::closest(name, Template::names()) {
        return format!("; did you mean \"{meant}\"?");
    }
    let name = name.to_lowercase();
    let head: String = name.chars().take(4).collect();
    let near: Vec<&str> = Template::names()
        .filter(|known| !head.is_empty() && (known.contains(&name) || known.starts_with(&head)))
        .take(8)
        .collect();
    if near.is_empty() { String::new() } else { format!("; similar names: {}", near.join(", ")) }
}
