//! Tool calls as models write them.

use serde_json::{Value, json};

use super::{ToolCall, ToolFormat, argument_text};
use crate::text::error::{Error, Result};
use crate::text::pyjson::dumps;

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
        ToolFormat::Glm4Moe => each("\n", |call| {
            let arguments = arguments(call, |key, value| {
                format!("\n<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>")
            });
            format!("\n<tool_call>{}{arguments}", call.name)
        }),
        ToolFormat::Lfm2 => format!("<|tool_call_start|>[{}]<|tool_call_end|>", each(", ", lfm2)),
        ToolFormat::Llama3 => one_or_list(calls, "parameters"),
        ToolFormat::Minimax1 => {
            format!("<tool_calls>\n{}\n</tool_calls>", each("\n", |call| dumps(&object(call, "arguments"))))
        }
        ToolFormat::Minimax2 => each("\n", |call| {
            let arguments =
                arguments(call, |key, value| format!("\n<parameter name=\"{key}\">{value}</parameter>"));
            format!("<invoke name=\"{}\">{arguments}\n</invoke>", call.name)
        }),
        ToolFormat::Mistral => dumps(&calls.iter().map(|call| object(call, "arguments")).collect()),
        ToolFormat::Qwen | ToolFormat::Ling => {
            each("\n", |call| format!("<tool_call>\n{}\n</tool_call>", dumps(&object(call, "arguments"))))
        }
        ToolFormat::Qwen35 => each("\n", |call| {
            let arguments =
                arguments(call, |key, value| format!("\n<parameter={key}>\n{value}\n</parameter>"));
            format!("<tool_call>\n<function={}>{arguments}\n</function>\n</tool_call>", call.name)
        }),
        // The first line has no closing bracket; that is how the format is trained.
        ToolFormat::SeedOss => each("\n", |call| {
            let arguments = arguments(call, |key, value| format!("\n<parameter={key}>{value}</parameter>"));
            format!("\n<seed:tool_call>\n<function={}{arguments}\n</function>\n</seed:tool_call>", call.name)
        }),
    })
}

fn object(call: &ToolCall, arguments_key: &str) -> Value {
    json!({"name": call.name, arguments_key: call.arguments})
}

fn one_or_list(calls: &[ToolCall], arguments_key: &str) -> String {
    match calls {
        [call] => dumps(&object(call, arguments_key)),
        _ => dumps(&calls.iter().map(|call| object(call, arguments_key)).collect()),
    }
}

fn arguments(call: &ToolCall, one: impl Fn(&str, String) -> String) -> String {
    let arguments = call.arguments.as_object().into_iter().flatten();
    arguments.map(|(key, value)| one(key, argument_text(value))).collect()
}

fn lfm2(call: &ToolCall) -> String {
    let arguments = call.arguments.as_object().into_iter().flatten();
    let arguments: Vec<String> = arguments
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}=\"{text}\""),
            other => format!("{key}={}", dumps(other)),
        })
        .collect();
    format!("{}({})", call.name, arguments.join(", "))
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
