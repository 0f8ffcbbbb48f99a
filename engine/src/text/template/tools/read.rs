//! Tool calls read back out of a model's answer.

use serde_json::{Map, Value};

use super::{ToolCall, ToolFormat};

pub(super) fn read(format: ToolFormat, answer: &str) -> Option<Vec<ToolCall>> {
    let calls = match format {
        ToolFormat::Default => default(answer)?,
        ToolFormat::Gemma4 => gemma4(answer)?,
        ToolFormat::Glm4 | ToolFormat::ChatGlm3 => {
            let (name, arguments) = answer.split_once('\n')?;
            vec![ToolCall { name: name.to_owned(), arguments: parse(arguments)? }]
        }
        ToolFormat::Lfm2 => {
            python::calls(between(answer, "<|tool_call_start|>", "<|tool_call_end|>").next()?)?
        }
        ToolFormat::Llama3 => objects(parse(answer)?, "parameters")?,
        ToolFormat::Minimax1 => {
            let lines = between(answer, "<tool_calls>", "</tool_calls>").next()?.lines();
            lines.filter_map(|line| objects(parse(line)?, "arguments")).flatten().collect()
        }
        ToolFormat::Minimax2 => {
            let block = between(answer, "<minimax:tool_call>", "</minimax:tool_call>").next()?;
            named_blocks(block, "<invoke name=\"", "\">", "</invoke>")
                .map(|(name, body)| {
                    call(name, named_blocks(body, "<parameter name=\"", "\">", "</parameter>"))
                })
                .collect()
        }
        ToolFormat::Mistral => objects(parse(answer)?, "arguments")?,
        ToolFormat::Qwen | ToolFormat::Ling | ToolFormat::Glm4Moe => {
            let calls: Option<Vec<_>> = between(answer, "<tool_call>", "</tool_call>")
                .map(|json| objects(parse(json)?, "arguments"))
                .collect();
            calls?.into_iter().flatten().collect()
        }
        ToolFormat::Qwen35 => function_blocks(answer, "<tool_call>", "</tool_call>", ">"),
        ToolFormat::SeedOss => function_blocks(answer, "<seed:tool_call>", "</seed:tool_call>", "\n"),
    };
    (!calls.is_empty()).then_some(calls)
}

fn parse(json: &str) -> Option<Value> {
    serde_json::from_str(json.trim()).ok()
}

/// A value as JSON, or else as the text it is.
fn parse_or_text(text: &str) -> Value {
    parse(text).unwrap_or_else(|| Value::from(text.trim()))
}

/// Calls written as objects, one or a list.
fn objects(value: Value, arguments_key: &str) -> Option<Vec<ToolCall>> {
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    list.into_iter()
        .map(|mut object| {
            let name = object.get("name")?.as_str()?.to_owned();
            Some(ToolCall { name, arguments: object.get_mut(arguments_key)?.take() })
        })
        .collect()
}

/// Every text between `open` and the next `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (inside, after) = rest.split_once(open)?.1.split_once(close)?;
        rest = after;
        Some(inside)
    })
}

/// Every `open NAME middle BODY close`.
fn named_blocks<'a>(
    text: &'a str,
    open: &'a str,
    middle: &'a str,
    close: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    between(text, open, close).filter_map(move |block| block.split_once(middle))
}

fn call<'a>(name: &str, arguments: impl Iterator<Item = (&'a str, &'a str)>) -> ToolCall {
    let arguments: Map<String, Value> =
        arguments.map(|(key, value)| (key.trim().to_owned(), parse_or_text(value))).collect();
    ToolCall { name: name.trim().to_owned(), arguments: Value::Object(arguments) }
}

/// `<function=NAME…<parameter=KEY>VALUE</parameter>…</function>` inside `open` and `close`.
fn function_blocks(answer: &str, open: &str, close: &str, after_name: &str) -> Vec<ToolCall> {
    between(answer, open, close)
        .filter_map(|block| {
            let (name, body) = between(block, "<function=", "</function>").next()?.split_once(after_name)?;
            Some(call(name.trim_end_matches('>'), named_blocks(body, "<parameter=", ">", "</parameter>")))
        })
        .collect()
}

/// `Action: NAME` and `Action Input: JSON`, again and again.
fn default(answer: &str) -> Option<Vec<ToolCall>> {
    let mut calls = Vec::new();
    for block in answer.split("Action:").skip(1) {
        let (name, input) = block.split_once("Action Input:")?;
        let input = input.trim().trim_matches('"').trim_matches('`');
        calls.push(ToolCall { name: name.trim().to_owned(), arguments: parse(input)? });
    }
    Some(calls)
}

/// `call:NAME{key:value,…}`: JSON with bare keys and marked strings.
fn gemma4(answer: &str) -> Option<Vec<ToolCall>> {
    between(answer, "<|tool_call>call:", "}<tool_call|>")
        .map(|call| {
            let (name, arguments) = call.split_once('{')?;
            let json = gemma4_json(&format!("{{{arguments}}}"));
            Some(ToolCall { name: name.trim().to_owned(), arguments: parse(&json)? })
        })
        .collect()
}

fn gemma4_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for (part, chunk) in text.split("<|\"|>").enumerate() {
        if part % 2 == 1 {
            json.push_str(&Value::from(chunk).to_string());
        } else {
            quote_keys(chunk, &mut json);
        }
    }
    json
}

/// Puts quotes around every bare word that a colon follows.
fn quote_keys(text: &str, json: &mut String) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let word_end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |length| start + length);
        let (word, after) = (&rest[start..word_end], &rest[word_end..]);
        json.push_str(&rest[..start]);
        if after.trim_start().starts_with(':') {
            json.push_str(&format!("\"{word}\""));
        } else {
            json.push_str(word);
        }
        rest = after;
    }
    json.push_str(rest);
}

/// Calls in Python's notation: `[f(a="x", b=[1, true]), g()]`.
mod python {
    use serde_json::{Map, Value};

    use super::ToolCall;

    pub(super) fn calls(text: &str) -> Option<Vec<ToolCall>> {
        let text = text.trim();
        let list = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
        split(list)?.into_iter().map(call).collect()
    }

    fn call(text: &str) -> Option<ToolCall> {
        let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
        let arguments: Option<Map<String, Value>> = split(arguments)?
            .into_iter()
            .map(|argument| {
                let (key, value) = argument.split_once('=')?;
                Some((key.trim().to_owned(), value_of(value)?))
            })
            .collect();
        Some(ToolCall { name: name.trim().to_owned(), arguments: Value::Object(arguments?) })
    }

    /// JSON, or Python's `True`, `False`, `None` and strings in single quotes.
    fn value_of(text: &str) -> Option<Value> {
        let text = text.trim();
        match text {
            "True" => return Some(Value::Bool(true)),
            "False" => return Some(Value::Bool(false)),
            "None" => return Some(Value::Null),
            _ => {}
        }
        if let Some(inner) = text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')) {
            return Some(Value::from(inner.replace("\\'", "'")));
        }
        serde_json::from_str(text).ok()
    }

    /// Splits at commas that are inside neither brackets nor strings.
    fn split(text: &str) -> Option<Vec<&str>> {
        let mut parts = Vec::new();
        let (mut start, mut depth, mut quote, mut escaped) = (0, 0i32, None, false);
        for (at, c) in text.char_indices() {
            match (quote, c) {
                (Some(_), '\\') if !escaped => {
                    escaped = true;
                    continue;
                }
                (Some(open), c) if c == open && !escaped => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth -= 1,
                (None, ',') if depth == 0 => {
                    parts.push(text[start..at].trim());
                    start = at + 1;
                }
                _ => {}
            }
            escaped = false;
        }
        parts.push(text[start..].trim());
        parts.retain(|part| !part.is_empty());
        (depth == 0 && quote.is_none()).then_some(parts)
    }
}
