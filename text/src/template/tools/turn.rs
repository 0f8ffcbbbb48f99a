//! A turn with tool calls: the thought, the text and the calls in it, as the model writes them one after the other.
//!
//! A function message has its calls in one of two ways. [`Message::calls`] holds them, and thought and text stand
//! beside them: OpenAI's form. Or the content is LLaMA-Factory's notation: the calls as JSON, with a thought before
//! them, or inside the template's tool call words with any text around; then everything is written where it stands.
//!
//! What stands between text and calls in the first way is what the models' own chat templates put there:
//!
//! | format | text and calls | by the template of |
//! |---|---|---|
//! | `qwen`, `ling` | `text`, line break, calls | Qwen2.5, Qwen3, Ling 2 |
//! | `qwen3_5` | `text`, empty line, calls | Qwen3-Coder, Qwen3.5 |
//! | `glm4_moe` | `text`, line break (of the call itself), calls | GLM-4.5, GLM-4.6 |
//! | `minimax2` | `text`, line break, calls | MiniMax-M2 |
//! | `seed_oss` | `text`, empty line (one break is the call's own), calls | Seed-OSS |
//! | `lfm2` | `text`, calls | LFM2.5 |
//! | `mistral` | `text`, `[TOOL_CALLS]`, calls | Ministral 3, Devstral |
//! | `gemma4` | calls, `text` | Gemma 4 |
//! | `glm4` | `text`, `<\|assistant\|>`, call: each a turn of its own | GLM-4, ChatGLM3 |
//! | `default`, `llama3`, `minimax1` | `text`, line break, calls | none: Llama 3 and MiniMax-M1 leave the text out |
//!
//! A thought comes first in all of them, in the template's own words.

use std::borrow::Cow;

use serde_json::Value;

use super::{ToolCall, ToolFormat, arguments, excerpt};
use crate::error::{Error, Result};
use crate::template::render::fill;
use crate::template::{Message, Piece, Role, Template};

/// Where the text of a turn stands.
enum TextPlace {
    /// Before the calls, with this between them.
    Before(&'static str),
    /// Behind the calls.
    Behind,
    /// Before what the template puts around calls.
    BeforeSlot,
    /// In a turn of its own.
    OwnTurn,
}

impl ToolFormat {
    fn text_place(self) -> TextPlace {
        match self {
            Self::Gemma4 => TextPlace::Behind,
            Self::Glm4 | Self::ChatGlm3 => TextPlace::OwnTurn,
            Self::Mistral => TextPlace::BeforeSlot,
            Self::Glm4Moe | Self::Lfm2 => TextPlace::Before(""),
            Self::Qwen35 => TextPlace::Before("\n\n"),
            Self::Default
            | Self::Ling
            | Self::Llama3
            | Self::Minimax1
            | Self::Minimax2
            | Self::Qwen
            | Self::SeedOss => TextPlace::Before("\n"),
        }
    }

    /// The text as it is written beside calls: some templates trim it there.
    fn beside_calls(self, text: &str) -> &str {
        let trims = matches!(self, Self::Gemma4 | Self::Glm4Moe | Self::Qwen35 | Self::SeedOss);
        if trims || text.trim().is_empty() { text.trim() } else { text }
    }
}

impl Template {
    /// A message with calls in `slots`, which are those of the function role.
    pub(in crate::template) fn call_turn(&self, message: &Message, slots: &[Piece]) -> Result<Vec<Piece>> {
        let message = self.with_thought_apart(message);
        let (text, calls) = match (message.calls.as_slice(), message.thought.is_empty()) {
            ([], true) => return Ok(fill(slots, &self.call_text(&message.content)?)),
            ([], false) => ("", Cow::Owned(parse_calls(&message.content, &message.content)?)),
            (calls, _) => (self.tool_format.beside_calls(&message.content), Cow::Borrowed(calls)),
        };
        let calls = self.tool_format.write(&calls)?;
        let thought = self.thought_text(&message.thought);
        let said = format!("{thought}{text}");
        let before = |between: &str| match (said.is_empty(), lead(slots).is_empty()) {
            (true, _) => calls.clone(),
            // What opens an answer opens a turn that begins like one.
            (false, true) => format!("{}{said}{between}{calls}", lead(&self.assistant)),
            (false, false) => format!("{said}{between}{calls}"),
        };
        Ok(match (self.tool_format.text_place(), self.assistant_header()) {
            (TextPlace::Before(between), _) => {
                fill(slots, &before(if text.is_empty() { "" } else { between }))
            }
            (TextPlace::Behind, _) => fill(slots, &format!("{thought}{calls}{text}")),
            (TextPlace::BeforeSlot, _) => preceded(&said, fill(slots, &calls)),
            (TextPlace::OwnTurn, Some(header)) if !text.is_empty() => {
                let mut pieces = fill(&self.assistant, &said);
                pieces.push(header);
                pieces.extend(fill(slots, &calls));
                pieces
            }
            (TextPlace::OwnTurn, _) => fill(slots, &before(if text.is_empty() { "" } else { "\n" })),
        })
    }

    /// What a thought looks like in front of an answer; nothing if there is none.
    pub(in crate::template) fn thought_text(&self, thought: &str) -> String {
        let (open, close) = &self.thought_words;
        if thought.is_empty() { String::new() } else { format!("{open}{thought}{close}") }
    }

    /// A function message whose thought, if it has one before its calls, is no longer part of its content. What
    /// LLaMA-Factory reads stays as it is; it knows the thought by the template's words alone, blanks and all.
    pub(in crate::template) fn with_thought_apart<'a>(&self, message: &'a Message) -> Cow<'a, Message> {
        let (open, close) = &self.thought_words;
        let (open_call, close_call) = &self.tool_call_words;
        let content = message.content.as_str();
        let is_read = message.calls.is_empty()
            && (cut(content, open, close).is_some() || cut(content, open_call, close_call).is_some());
        if message.role != Role::Function || !message.thought.is_empty() || is_read {
            return Cow::Borrowed(message);
        }
        let parts =
            [(open.trim(), close.trim()), ("<think>", "</think>")].into_iter().find_map(|(open, close)| {
                cut(content, open, close).filter(|(before, ..)| before.trim().is_empty())
            });
        match parts {
            Some((_, thought, rest)) => Cow::Owned(Message {
                content: rest.trim_start_matches('\n').to_owned(),
                thought: thought.trim().to_owned(),
                ..message.clone()
            }),
            None => Cow::Borrowed(message),
        }
    }

    /// The text of a function message, with the thought before it, and its calls.
    ///
    /// # Errors
    /// If the calls cannot be read.
    pub(in crate::template) fn said_and_called(&self, message: &Message) -> Result<(String, Vec<ToolCall>)> {
        let message = self.with_thought_apart(message);
        let content = message.content.as_str();
        let thought = self.thought_text(&message.thought);
        if !message.calls.is_empty() {
            return Ok((format!("{thought}{content}"), message.calls.clone()));
        }
        let (open, close) = &self.tool_call_words;
        if let Some((before, json, after)) = cut(content, open, close) {
            return Ok((format!("{thought}{before}{after}"), parse_calls(json, content)?));
        }
        let (open, close) = &self.thought_words;
        Ok(match cut(content, open, close) {
            Some((before, thought, after)) => {
                (format!("{open}{thought}{close}"), parse_calls(&format!("{before}{after}"), content)?)
            }
            None => (thought, parse_calls(content, content)?),
        })
    }

    /// `<|assistant|>`, if that is how questions end.
    fn assistant_header(&self) -> Option<Piece> {
        const HEADER: &str = "<|assistant|>";
        match self.user.last()? {
            Piece::Token(token) if token == HEADER => Some(Piece::Token(HEADER.into())),
            Piece::Text(text) if text.ends_with(HEADER) => Some(Piece::Text(HEADER.into())),
            _ => None,
        }
    }

    /// A function message in LLaMA-Factory's notation as the model would write it.
    fn call_text(&self, content: &str) -> Result<String> {
        let (open, close) = &self.tool_call_words;
        if let Some((before, json, after)) = cut(content, open, close) {
            return Ok(format!("{before}{after}{}", self.tool_format.write(&parse_calls(json, content)?)?));
        }
        let (open, close) = &self.thought_words;
        let Some((before, thought, after)) = cut(content, open, close) else {
            return self.tool_format.write(&parse_calls(content, content)?);
        };
        let calls = parse_calls(&format!("{before}{after}"), content)?;
        Ok(format!("{open}{thought}{close}{}", self.tool_format.write(&calls)?))
    }
}

/// Text before, between and after the first `open` and the `close` that follows it.
fn cut<'a>(content: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, rest) = content.split_once(open)?;
    let (inside, after) = rest.split_once(close)?;
    Some((before, inside, after))
}

/// What stands in `slots` before the content.
fn lead(slots: &[Piece]) -> String {
    let mut lead = String::new();
    for slot in slots {
        let Piece::Text(text) = slot else { return String::new() };
        match text.split_once("{{content}}") {
            Some((before, _)) => return lead + before,
            None => lead.push_str(text),
        }
    }
    lead
}

/// `pieces` behind `text`.
fn preceded(text: &str, mut pieces: Vec<Piece>) -> Vec<Piece> {
    match pieces.first_mut() {
        Some(Piece::Text(first)) => first.insert_str(0, text),
        _ => pieces.insert(0, Piece::Text(text.to_owned())),
    }
    pieces
}

/// Calls as LLaMA-Factory has them: `{"name": …, "arguments": …}`, or a list of such. Arguments that are no object stay
/// what they are, unless they are the beginning of one.
fn parse_calls(json: &str, content: &str) -> Result<Vec<ToolCall>> {
    let bad = |why: &str| Error::call(format!("{why}: {}", excerpt(content)));
    let value: Value =
        serde_json::from_str(json.trim()).map_err(|e| bad(&format!("not valid JSON ({e})")))?;
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    list.into_iter()
        .map(|mut call| {
            let name = call.get("name").and_then(Value::as_str).ok_or_else(|| bad("no \"name\""))?.to_owned();
            let given = call.get_mut("arguments").ok_or_else(|| bad("no \"arguments\""))?.take();
            match arguments(given) {
                Ok(arguments) => Ok(ToolCall { name, arguments }),
                Err(Value::String(json)) if json.trim_start().starts_with('{') => {
                    Err(bad(&format!("the arguments of \"{name}\" are broken JSON")))
                }
                Err(arguments) => Ok(ToolCall { name, arguments }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(template: &Template, message: &Message) -> Result<String> {
        let pieces = template.call_turn(message, &template.function)?;
        let text = |piece: Piece| match piece {
            Piece::Text(text) | Piece::Token(text) => text,
            Piece::Bos => "[BOS]".into(),
            Piece::Eos => "[EOS]".into(),
        };
        Ok(pieces.into_iter().map(text).collect())
    }

    #[test]
    fn a_broken_call_is_named() -> Result<()> {
        let template = Template::named("default")?;
        for (content, why) in [
            ("{\"name\": ", "not valid JSON"),
            ("{\"arguments\": {}}", "\"name\""),
            ("[{\"name\": \"f\"}]", "\"arguments\""),
            (r#"{"name": "f", "arguments": "{\"x\": "}"#, "the arguments of \"f\" are broken JSON"),
            ("Let me look. {\"name\": \"f\", \"arguments\": {}}", "not valid JSON"),
        ] {
            let error = written(&template, &Message::new(Role::Function, content));
            let error = error.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(why), "{error}");
        }
        Ok(())
    }

    /// LLaMA-Factory leaves JSON inside a string as it is, and so writes it as a quoted text.
    #[test]
    fn arguments_that_are_a_text_of_an_object_are_that_object() -> Result<()> {
        let template = Template::named("qwen")?;
        for (given, expected) in [
            (r#""{\"port\": \"Wick\"}""#, r#"{"port": "Wick"}"#),
            (r#""""#, "{}"),
            ("null", "{}"),
            (r#""noon""#, r#""noon""#),
        ] {
            let call = format!(r#"{{"name": "f", "arguments": {given}}}"#);
            let expected = format!(
                "<tool_call>\n{{\"name\": \"f\", \"arguments\": {expected}}}\n</tool_call><|im_end|>\n"
            );
            assert_eq!(written(&template, &Message::new(Role::Function, call))?, expected);
        }
        Ok(())
    }

    /// A template of each format, and what it writes around a call with a text and a thought.
    const TURNS: [(&str, &str, &str); 13] = [
        ("default", "<think>\nHm.\n</think>\n\nLook.\n", "[EOS]\n"),
        ("gemma4", "<|tool><|channel>thought\nHm.<channel|>", "Look.<tool|>"),
        ("glm4", "\n<think>\nHm.\n</think>\n\nLook.<|assistant|>", ""),
        ("chatglm3", "\n<think>\nHm.\n</think>\n\nLook.<|assistant|>", ""),
        ("glm4_moe", "\n<think>\nHm.\n</think>\n\nLook.", ""),
        ("lfm2", "<think>\nHm.\n</think>\n\nLook.", "<|im_end|>\n"),
        ("llama3", "<think>\nHm.\n</think>\n\nLook.\n", "<|eot_id|>"),
        ("minimax1", "<think>\nHm.\n</think>\n\nLook.\n", "<end_of_sentence>\n"),
        ("minimax2", "<think>\nHm.\n</think>\n\nLook.\n", "[e~[\n"),
        ("mistral", "<think>\nHm.\n</think>\n\nLook.[TOOL_CALLS] ", "[EOS]"),
        ("qwen3", "<think>\nHm.\n</think>\n\nLook.\n", "<|im_end|>\n"),
        ("qwen3_5", "<think>\nHm.\n</think>\n\nLook.\n\n", "<|im_end|>\n"),
        ("seed_oss", "[BOS]\n<seed:think>Hm.</seed:think>Look.\n", "[EOS]"),
    ];

    #[test]
    fn text_and_thought_stand_where_the_format_has_them() -> Result<()> {
        for (name, before, after) in TURNS {
            let template = Template::named(name)?;
            let calls = vec![ToolCall { name: "f".into(), arguments: json!({"x": 1}) }];
            let call = template.tool_format.write(&calls)?;
            let message = Message { thought: "Hm.".into(), calls, ..Message::new(Role::Function, "Look.") };
            assert_eq!(written(&template, &message)?, format!("{before}{call}{after}"), "{name}");
            // A thought in the text is one too, in the template's words or the usual ones.
            let thought = template.thought_text("Hm.");
            for thought in [thought.as_str(), "<think>\nHm.\n</think>\n\n", "<think>Hm.</think>"] {
                let content = format!("{thought}Look.");
                let message = Message { content, thought: String::new(), ..message.clone() };
                assert_eq!(
                    written(&template, &message)?,
                    format!("{before}{call}{after}"),
                    "{name} {thought}"
                );
            }
            // Without a text nothing comes between.
            let message = Message { content: String::new(), ..message };
            let alone = before.replace("Look.\n\n", "").replace("Look.\n", "").replace("Look.", "");
            let alone = alone.trim_end_matches("<|assistant|>");
            let expected = format!("{alone}{call}{}", after.trim_start_matches("Look."));
            assert_eq!(written(&template, &message)?, expected, "{name}");
        }
        Ok(())
    }

    /// LLaMA-Factory's notation is written where it stands; a thought in other words than the template's is refused
    /// there, and read here.
    #[test]
    fn a_thought_may_stand_before_a_call_in_every_format() -> Result<()> {
        for (name, ..) in TURNS {
            let template = Template::named(name)?;
            let json = r#"{"name": "f", "arguments": {"x": 1}}"#;
            let calls = vec![ToolCall { name: "f".into(), arguments: json!({"x": 1}) }];
            let call = template.tool_format.write(&calls)?;
            let own = template.thought_text("Hm.");
            let content = format!("{own}{json}");
            let expected = fill(&template.function, &format!("{own}{call}"));
            let message = Message::new(Role::Function, content);
            assert_eq!(template.call_turn(&message, &template.function)?, expected, "{name}");
            let apart = Message { thought: "Hm.".into(), calls, ..Message::new(Role::Function, "") };
            let expected = written(&template, &apart)?;
            for thought in ["<think>Hm.</think>\n", "\n<think>\nHm.</think>"] {
                let message = Message::new(Role::Function, format!("{thought}{json}"));
                assert_eq!(written(&template, &message)?, expected, "{name} {thought}");
            }
        }
        Ok(())
    }
}
