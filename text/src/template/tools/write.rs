//! Tool calls as models write them.

use serde_json::{Map, Value};

use super::{ToolCall, ToolFormat, argument_text, arguments, excerpt};
use crate::error::{Error, Result};
use crate::pyjson::dumps;

pub(super) fn write(format: ToolFormat, calls: &[ToolCall]) -> Result<String> {
    let each =
        |between: &str, one: fn(&ToolCall) -> String| calls.iter().map(one).collect::<Vec<_>>().join(between);
    Ok(match format {
        ToolFormat::Default => {
            each("\n", |call| format!("Action: {}\nAction Input: {}", call.name, dumps(&call.arguments)))
        }
        ToolFormat::Gemma4 => each("", |call| {
            format!("<|tool_call>call:{}{{{}}}<tool_call|>", call.name, gemma4(&call.arguments))
        }),
        ToolFormat::Glm4 | ToolFormat::ChatGlm3 => match calls {
            [call] => format!("{}\n{}", call.name, dumps(&call.arguments)),
            _ => {
                return Err(Error::call(format!(
                    "the glm4 format writes one tool call at a time, not {}",
                    calls.len()
                )));
            }
        },
        ToolFormat::Glm4Moe => by_key(calls, |name, arguments| {
            let arguments = joined(arguments, |key, value| {
                format!("\n<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>")
            });
            format!("\n<tool_call>{name}{arguments}")
        })?
        .join("\n"),
        ToolFormat::Lfm2 => {
            format!("<|tool_call_start|>[{}]<|tool_call_end|>", by_key(calls, lfm2)?.join(", "))
        }
        ToolFormat::Llama3 => one_or_list(calls, "parameters"),
        ToolFormat::Minimax1 => {
            format!("<tool_calls>\n{}\n</tool_calls>", each("\n", |call| dumps(&call.to_json("arguments"))))
        }
        ToolFormat::Minimax2 => by_key(calls, |name, arguments| {
            let arguments =
                joined(arguments, |key, value| format!("\n<parameter name=\"{key}\">{value}</parameter>"));
            format!("<invoke name=\"{name}\">{arguments}\n</invoke>")
        })?
        .join("\n"),
        ToolFormat::Mistral => dumps(&calls.iter().map(|call| call.to_json("arguments")).collect()),
        ToolFormat::Qwen | ToolFormat::Ling => {
            each("\n", |call| format!("<tool_call>\n{}\n</tool_call>", dumps(&call.to_json("arguments"))))
        }
        ToolFormat::Qwen35 => by_key(calls, |name, arguments| {
            let arguments =
                joined(arguments, |key, value| format!("\n<parameter={key}>\n{value}\n</parameter>"));
            format!("<tool_call>\n<function={name}>{arguments}\n</function>\n</tool_call>")
        })?
        .join("\n"),
        // The first line has no closing bracket; that is how the format is trained.
        ToolFormat::SeedOss => by_key(calls, |name, arguments| {
            let arguments = joined(arguments, |key, value| format!("\n<parameter={key}>{value}</parameter>"));
            format!("\n<seed:tool_call>\n<function={name}{arguments}\n</function>\n</seed:tool_call>")
        })?
        .join("\n"),
    })
}

fn one_or_list(calls: &[ToolCall], arguments_key: &str) -> String {
    match calls {
        [call] => dumps(&call.to_json(arguments_key)),
        _ => dumps(&calls.iter().map(|call| call.to_json(arguments_key)).collect()),
    }
}

/// The calls as a format writes them that names every argument.
fn by_key(calls: &[ToolCall], one: impl Fn(&str, &Map<String, Value>) -> String) -> Result<Vec<String>> {
    calls.iter().map(|call| Ok(one(&call.name, &fields(call)?))).collect()
}

/// The arguments by name.
fn fields(call: &ToolCall) -> Result<Map<String, Value>> {
    let wrong = |given: Value| {
        let given = excerpt(&dumps(&given));
        Error::call(format!("the arguments of \"{}\" should be an object, not {given}", call.name))
    };
    match arguments(call.arguments.clone()).map_err(wrong)? {
        Value::Object(fields) => Ok(fields),
        other => Err(wrong(other)),
    }
}

fn joined(arguments: &Map<String, Value>, one: impl Fn(&str, String) -> String) -> String {
    arguments.iter().map(|(key, value)| one(key, argument_text(value))).collect()
}

fn lfm2(name: &str, arguments: &Map<String, Value>) -> String {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}=\"{text}\""),
            other => format!("{key}={}", dumps(other)),
        })
        .collect();
    format!("{name}({})", arguments.join(", "))
}

/// The arguments without outer braces, keys sorted.
fn gemma4(arguments: &Value) -> String {
    match arguments {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            entries
                .iter()
                .map(|(key, value)| format!("{key}:{}", gemma4_value(value)))
                .collect::<Vec<_>>()
                .join(",")
        }
        Value::String(text) => text.clone(),
        other => gemma4_value(other),
    }
}

fn gemma4_value(value: &Value) -> String {
    match value {
        Value::String(text) => format!("<|\"|>{text}<|\"|>"),
        Value::Object(_) => format!("{{{}}}", gemma4(value)),
        Value::Array(items) => format!("[{}]", items.iter().map(gemma4_value).collect::<Vec<_>>().join(",")),
        other => dumps(other),
    }
}
