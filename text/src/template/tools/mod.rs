//! Tool use: how tools are described to a model, how its calls are written, and how they are read back.

mod describe;
mod python;
mod read;
mod turn;
mod write;

use serde_json::{Map, Value, json};

use super::Template;
use crate::error::{Error, Result};
use crate::pyjson;

/// A family of models' way to write tools and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolFormat {
    /// Lines of `Action: NAME` and `Action Input: JSON`.
    Default,
    /// ChatGLM3 as LLaMA-Factory 0.7.0 had it: tools described as in `Default`, calls written as in `Glm4`.
    ChatGlm3,
    /// `call:NAME{key:value}` within the tokens of Gemma 4.
    Gemma4,
    /// A line with the name, one with the arguments as JSON; a call at a time.
    Glm4,
    /// Tags around the call, and around each argument's key and value (GLM-4.5).
    Glm4Moe,
    /// A list of calls as Python writes them, within the tokens of LFM2.
    Lfm2,
    /// As `Qwen`; tools are described in another way.
    Ling,
    /// JSON with `name` and `parameters`; a list of it for several calls (Llama 3.1).
    Llama3,
    /// A line of JSON a call, within `tool_calls` tags.
    Minimax1,
    /// `invoke` tags, with one for each argument.
    Minimax2,
    /// A JSON list of calls.
    Mistral,
    /// JSON within `tool_call` tags, each call by itself (Qwen 2.5 and 3).
    Qwen,
    /// Tags for the function and for each argument (Qwen 3.5).
    Qwen35,
    /// The same with the tags of Seed-OSS, on fewer lines.
    SeedOss,
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// An object of arguments, or its text as the data have it.
    pub arguments: Value,
}

impl ToolCall {
    pub(super) fn to_json(&self, arguments_key: &str) -> Value {
        json!({"name": self.name, arguments_key: self.arguments})
    }
}

impl ToolFormat {
    /// All formats that have a name of their own in `tool_format`.
    pub const ALL: [(&'static str, Self); 13] = [
        ("default", Self::Default),
        ("gemma4", Self::Gemma4),
        ("glm4", Self::Glm4),
        ("glm4_moe", Self::Glm4Moe),
        ("lfm2", Self::Lfm2),
        ("ling", Self::Ling),
        ("llama3", Self::Llama3),
        ("minimax1", Self::Minimax1),
        ("minimax2", Self::Minimax2),
        ("mistral", Self::Mistral),
        ("qwen", Self::Qwen),
        ("qwen3_5", Self::Qwen35),
        ("seed_oss", Self::SeedOss),
    ];

    /// The format called `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(known, _)| *known).collect();
            Error::Setting {
                key: "tool_format",
                message: format!("\"{name}\" is unknown; allowed are {}", names.join(", ")),
            }
        })
    }

    /// The description of `tools` that goes behind the system text; `today` like `02 Jan 2025`.
    ///
    /// # Errors
    /// If a tool has no name.
    pub fn describe(self, tools: &[Value], today: &str) -> Result<String> {
        describe::describe(self, tools, today)
    }

    /// The calls as the model would write them.
    ///
    /// # Errors
    /// If the format cannot express them.
    pub fn write(self, calls: &[ToolCall]) -> Result<String> {
        write::write(self, calls)
    }

    /// The calls in a model's answer; `None` if it is plain text.
    pub fn read(self, answer: &str) -> Option<Vec<ToolCall>> {
        read::read(self, answer)
    }
}

impl Template {
    /// What stands behind the system text for `tools`, a JSON list.
    pub(super) fn tool_text(&self, tools: &str) -> Result<String> {
        if tools.is_empty() {
            return Ok(String::new());
        }
        if let Some(slot) = &self.raw_tools {
            return Ok(slot.replacen("{{content}}", tools, 1));
        }
        let parsed = serde_json::from_str(tools)
            .map_err(|e| Error::tools(format!("not valid JSON ({e}): {}", excerpt(tools))))?;
        let list = match parsed {
            Value::Array(list) => list.into_iter().map(unquoted).collect::<Vec<_>>(),
            Value::Object(none) if none.is_empty() => Vec::new(),
            Value::Null => Vec::new(),
            _ => return Err(Error::tools(format!("should be a JSON list, not {}", excerpt(tools)))),
        };
        if list.is_empty() {
            return Ok(String::new());
        }
        let today = self.today.clone().unwrap_or_else(|| crate::jinja::now_as("%d %b %Y"));
        self.tool_format.describe(&list, &today)
    }
}

/// A tool of a list; some stand there as a text of JSON.
fn unquoted(tool: Value) -> Value {
    let parsed = tool.as_str().and_then(|json| serde_json::from_str(json).ok());
    parsed.unwrap_or(tool)
}

/// The arguments of a call as an object. OpenAI's own form has them as a text of JSON; nothing is no arguments.
///
/// # Errors
/// What was given, if it is no object and no text of one.
pub(crate) fn arguments(given: Value) -> std::result::Result<Value, Value> {
    match &given {
        Value::Object(_) => Ok(given),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::String(json) if json.trim().is_empty() => Ok(Value::Object(Map::new())),
        Value::String(json) => match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
            _ => Err(given),
        },
        _ => Err(given),
    }
}

/// The text of one argument: strings as they are, everything else as JSON.
fn argument_text(value: &Value) -> String {
    value.as_str().map_or_else(|| pyjson::dumps(value), str::to_owned)
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Formats that write argument by argument read OpenAI's form; what has no arguments by name is refused.
    #[test]
    fn arguments_may_be_json_inside_a_string() -> Result<()> {
        let call = |arguments: Value| ToolCall { name: "f".into(), arguments };
        for format in ["minimax2", "qwen3_5", "seed_oss", "glm4_moe", "lfm2"] {
            let format = ToolFormat::named(format)?;
            let written = format.write(&[call(serde_json::json!({"q": [1]}))])?;
            assert!(written.contains("[1]"), "{written}");
            assert_eq!(format.write(&[call(Value::from("{\"q\": [1]}"))])?, written);
            for arguments in [Value::from("q"), Value::from("[1]"), Value::from(5)] {
                let error = format.write(&[call(arguments)]).expect_err("no object").to_string();
                assert!(
                    error.contains("function_call: the arguments of \"f\" should be an object, not"),
                    "{error}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn tools_may_be_none_or_quoted() -> Result<()> {
        let quoted = Template::named("qwen")?.tool_text(r#"["{\"name\": \"f\"}"]"#)?;
        assert_eq!(quoted, Template::named("qwen")?.tool_text(r#"[{"name": "f"}]"#)?);
        for none in ["{}", "[]", "null"] {
            assert_eq!(Template::named("qwen")?.tool_text(none)?, "");
        }
        Ok(())
    }

    #[test]
    fn every_format_can_be_asked_for() {
        let asked: Vec<&str> = recipe::ToolFormat::ALL.iter().map(|format| format.name()).collect();
        let known: Vec<&str> = ToolFormat::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(asked, known);
    }
}
