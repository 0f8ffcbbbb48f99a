//! A model's own chat template, written in Jinja.

use minijinja::value::{Serde, Value as Jinja};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

use crate::text::Tokenizer;
use crate::text::error::{Error, Result};
use crate::text::pyjson;

/// A message as Jinja templates see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChatTurn {
    pub role: String,
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

/// A compiled Jinja chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat template";

impl ChatTemplate {
    /// The template that came with `tokenizer`, if one did.
    ///
    /// # Errors
    /// If it is not valid Jinja.
    pub fn of(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let special = tokenizer.special_tokens();
        let (bos, eos) =
            (special.bos.as_deref().unwrap_or_default(), special.eos.as_deref().unwrap_or_default());
        tokenizer.chat_template().map(|source| Self::new(source, bos, eos)).transpose()
    }

    /// Compiles `source` as transformers does: blocks trimmed, Python's string and list methods, `raise_exception`,
    /// `strftime_now`, and `tojson` with Python's blanks and without HTML escapes.
    ///
    /// # Errors
    /// If it is not valid Jinja.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self> {
        let mut environment = Environment::new();
        let mut syntax = minijinja::syntax::SyntaxConfig::builder();
        environment.set_syntax(syntax.trim_blocks(true).lstrip_blocks(true).build().map_err(|e| error(&e))?);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<Jinja, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_function("strftime_now", |format: String| super::date::now_as(&format));
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| error(&e))?;
        Ok(Self { environment, bos: bos.to_owned(), eos: eos.to_owned() })
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
        let mut context = std::collections::BTreeMap::from([
            ("messages", Jinja::from(Serde(turns))),
            ("tools", Jinja::from(Serde(tools))),
            ("documents", Jinja::from(())),
            ("add_generation_prompt", Jinja::from(add_generation_prompt)),
            ("bos_token", Jinja::from(self.bos.as_str())),
            ("eos_token", Jinja::from(self.eos.as_str())),
        ]);
        if let Some(thinking) = enable_thinking {
            context.insert("enable_thinking", Jinja::from(thinking));
        }
        let template = self.environment.get_template(NAME).map_err(|e| error(&e))?;
        template.render(context).map_err(|e| error(&e))
    }
}

fn error(error: &minijinja::Error) -> Error {
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::Template { name: "the model's own chat template".into(), message: format!("{detail}{place}") }
}

fn to_json(value: Jinja, options: minijinja::value::Kwargs) -> std::result::Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    // `ensure_ascii`, `separators` and `sort_keys` are left at what transformers gives.
    let json = serde_json::to_value(&value)
        .map_err(|e| minijinja::Error::new(ErrorKind::InvalidOperation, format!("tojson: {e}")))?;
    Ok(indent.map_or_else(|| pyjson::dumps(&json), |indent| pyjson::dumps_indented(&json, indent)))
}
