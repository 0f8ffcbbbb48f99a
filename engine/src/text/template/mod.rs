//! Chat templates: how a conversation is spelt for a model.
//!
//! A template is data: a few lists of [`Piece`]s per role with the placeholder `{{content}}`, stop words, and flags.
//! The templates themselves are in `groups/`, one file per kind; [`Template::named`] finds one. How they are applied
//! is in `render` (messages to pieces), `thinking` (reasoning templates) and `tools` (tool descriptions and calls).
//! The names, strings and rules are those of LLaMA-Factory 0.9.5, so that its users get the prompts they know.

mod chat;
mod date;
mod groups;
mod parse;
mod render;
mod thinking;
pub mod tools;

pub use chat::{ChatTemplate, ChatTurn};
pub use tools::ToolFormat;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Tokenizer;
use super::error::{Error, Result};

/// A part of a prompt. Text is tokenized piece by piece, never across a border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
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
    User,
    Assistant,
    /// The assistant calls a tool; the content is the call as JSON.
    Function,
    /// What the tool answered.
    Observation,
}

/// One turn's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// A conversation to encode: user and assistant in turn, the last message being the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogue {
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

/// A chat template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub name: String,
    /// Once, before everything else.
    pub prefix: Vec<Piece>,
    pub system: Vec<Piece>,
    pub user: Vec<Piece>,
    pub assistant: Vec<Piece>,
    pub function: Vec<Piece>,
    pub observation: Vec<Piece>,
    pub tool_format: ToolFormat,
    /// Put around the tools' JSON as it is, instead of the tool format's own description.
    pub raw_tools: Option<String>,
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
    pub system_place: SystemPlace,
    pub reasoning: Reasoning,
    /// `None`: the model may decide; only reasoning templates look at it.
    pub enable_thinking: Option<bool>,
    /// Keeps the thoughts of earlier turns.
    pub preserve_thinking: bool,
    /// The day that some tool formats name, like `02 Jan 2025`; `None` is today.
    pub today: Option<String>,
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
        self.function = vec![text("{{content}}")];
        if !self.efficient_eos {
            self.function.push(EOS);
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
    /// filled in. Returns the tokens that the vocabulary lacked: the model has no rows for them.
    pub fn fit_tokenizer(&self, tokenizer: &mut Tokenizer) -> Vec<String> {
        let mut added = Vec::new();
        let mut stop_words = self.stop_words.as_slice();
        if let (true, Some((eos, rest))) = (self.replace_eos, stop_words.split_first()) {
            if tokenizer.set_eos(eos) {
                added.push(eos.clone());
            }
            stop_words = rest;
        }
        if tokenizer.eos_id().is_none() && tokenizer.set_eos(FALLBACK_EOS) {
            added.push(FALLBACK_EOS.to_owned());
        }
        if tokenizer.pad_id().is_none() {
            let eos = tokenizer.special_tokens().eos.clone();
            tokenizer.set_pad(eos.as_deref().unwrap_or(FALLBACK_EOS));
        }
        if !stop_words.is_empty() {
            added.extend(tokenizer.add_special_tokens(stop_words));
        }
        added
    }
}

/// EOS of a tokenizer that has none.
const FALLBACK_EOS: &str = "<|endoftext|>";

/// Names that start alike or hold the given one.
fn suggestion(name: &str) -> String {
    let head: String = name.chars().take(4).collect();
    let near: Vec<&str> = Template::names()
        .filter(|known| !head.is_empty() && (known.contains(name) || known.starts_with(&head)))
        .take(8)
        .collect();
    if near.is_empty() { String::new() } else { format!("; similar names: {}", near.join(", ")) }
}

// How the files in `groups/` are written.

const BOS: Piece = Piece::Bos;
const EOS: Piece = Piece::Eos;

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn token(token: &str) -> Piece {
    Piece::Token(token.to_owned())
}

impl From<&str> for Piece {
    fn from(value: &str) -> Self {
        text(value)
    }
}

/// What a slot of a template is made from: one text, or a list of pieces.
struct Slots(Vec<Piece>);

impl From<&str> for Slots {
    fn from(value: &str) -> Self {
        Self(vec![text(value)])
    }
}

impl<const N: usize> From<[Piece; N]> for Slots {
    fn from(value: [Piece; N]) -> Self {
        Self(value.into())
    }
}

/// A template in the making; [`Draft::build`] fills in what was left out.
struct Draft {
    template: Template,
    assistant: Option<Vec<Piece>>,
    function: Option<Vec<Piece>>,
    observation: Option<Vec<Piece>>,
}

/// Starts a template whose user turns are `user`.
fn template(name: &str, user: impl Into<Slots>) -> Draft {
    let words = |open: &str, close: &str| (open.to_owned(), close.to_owned());
    let template = Template {
        name: name.to_owned(),
        prefix: Vec::new(),
        system: vec![text("{{content}}")],
        user: user.into().0,
        assistant: Vec::new(),
        function: Vec::new(),
        observation: Vec::new(),
        tool_format: ToolFormat::Default,
        raw_tools: None,
        default_system: String::new(),
        stop_words: Vec::new(),
        thought_words: words("<think>\n", "\n</think>\n\n"),
        tool_call_words: words("<tool_call>", "</tool_call>"),
        efficient_eos: false,
        replace_eos: false,
        replace_jinja_template: false,
        system_place: SystemPlace::OwnSegment,
        reasoning: Reasoning::None,
        enable_thinking: Some(true),
        preserve_thinking: false,
        today: None,
    };
    Draft { template, assistant: None, function: None, observation: None }
}

impl Draft {
    /// The same template under another name.
    fn renamed(mut self, name: &str) -> Self {
        self.template.name = name.to_owned();
        self
    }

    fn prefix(mut self, slots: impl Into<Slots>) -> Self {
        self.template.prefix = slots.into().0;
        self
    }

    fn system(mut self, slots: impl Into<Slots>) -> Self {
        self.template.system = slots.into().0;
        self
    }

    /// Default: the content, and EOS unless `efficient_eos`.
    fn assistant(mut self, slots: impl Into<Slots>) -> Self {
        self.assistant = Some(slots.into().0);
        self
    }

    /// Default: as the assistant.
    fn function(mut self, slots: impl Into<Slots>) -> Self {
        self.function = Some(slots.into().0);
        self
    }

    /// Default: as the user.
    fn observation(mut self, slots: impl Into<Slots>) -> Self {
        self.observation = Some(slots.into().0);
        self
    }

    fn tools(mut self, format: ToolFormat) -> Self {
        self.template.tool_format = format;
        self
    }

    fn raw_tools(mut self, slot: &str) -> Self {
        self.template.raw_tools = Some(slot.to_owned());
        self
    }

    fn default_system(mut self, system: &str) -> Self {
        self.template.default_system = system.to_owned();
        self
    }

    fn stop<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.template.stop_words = words.map(str::to_owned).into();
        self
    }

    fn thought(mut self, open: &str, close: &str) -> Self {
        self.template.thought_words = (open.to_owned(), close.to_owned());
        self
    }

    fn tool_call_words(mut self, open: &str, close: &str) -> Self {
        self.template.tool_call_words = (open.to_owned(), close.to_owned());
        self
    }

    fn efficient_eos(mut self) -> Self {
        self.template.efficient_eos = true;
        self
    }

    fn replace_eos(mut self) -> Self {
        self.template.replace_eos = true;
        self
    }

    fn replace_jinja(mut self) -> Self {
        self.template.replace_jinja_template = true;
        self
    }

    fn system_in_user(mut self) -> Self {
        self.template.system_place = SystemPlace::FirstUserTurn;
        self
    }

    fn reasoning(mut self) -> Self {
        self.template.reasoning = Reasoning::EmptyThought;
        self
    }

    fn closed_thought(mut self) -> Self {
        self.template.reasoning = Reasoning::ClosedThought;
        self
    }

    fn build(self) -> Template {
        let mut template = self.template;
        let mut answer = vec![text("{{content}}")];
        if !template.efficient_eos {
            answer.push(EOS);
        }
        template.assistant = self.assistant.unwrap_or(answer);
        template.function = self.function.unwrap_or_else(|| template.assistant.clone());
        template.observation = self.observation.unwrap_or_else(|| template.user.clone());
        template
    }
}
