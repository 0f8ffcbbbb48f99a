//! Tool calls read back out of a model's answer, by the patterns of LLaMA-Factory's `data/tool_utils.py`.

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::{ToolCall, ToolFormat, python};

/// The calls in `answer`; `None` if it is plain text. In the formats that write a list, an empty one is no text.
pub(super) fn read(format: ToolFormat, answer: &str) -> Option<Vec<ToolCall>> {
    let some = |calls: Vec<ToolCall>| (!calls.is_empty()).then_some(calls);
    match format {
        ToolFormat::Default => some(default(answer)?),
        ToolFormat::Gemma4 => some(gemma4(answer)?),
        ToolFormat::Glm4 | ToolFormat::ChatGlm3 => {
            let (name, arguments) = answer.split_once('\n')?;
            Some(vec![ToolCall { name: name.to_owned(), arguments: parse(arguments)? }])
        }
        ToolFormat::Lfm2 => {
            let (_, rest) = answer.split_once("<|tool_call_start|>")?;
            some(python::calls(rest.split_once("<|tool_call_end|>")?.0)?)
        }
        ToolFormat::Llama3 => one_or_list(answer, "parameters"),
        ToolFormat::Minimax1 => {
            let block = pattern(r"(?s)<tool_calls>\s*(.+?)\s*</tool_calls>")?.captures(answer)?;
            let calls = block[1].split('\n').filter_map(|line| object(parse(line)?, "arguments"));
            Some(calls.collect())
        }
        ToolFormat::Minimax2 => {
            let block = pattern(r"(?s)<minimax:tool_call>\s*(.+?)\s*</minimax:tool_call>")?;
            let block = block.captures(answer)?;
            let invoke = pattern(r#"(?s)<invoke name="(.*?)">(.*?)</invoke>"#)?;
            let parameter = pattern(r#"(?s)<parameter name="(.*?)">(.*?)</parameter>"#)?;
            Some(
                invoke
                    .captures_iter(&block[1])
                    .map(|call| by_key(&call, &parameter, str::to_owned))
                    .collect(),
            )
        }
        ToolFormat::Mistral => one_or_list(answer, "arguments"),
        ToolFormat::Qwen | ToolFormat::Ling | ToolFormat::Glm4Moe => {
            let block = pattern(r"(?s)(<tool_call>(.+?)</tool_call>)(?:\s*<tool_call>|\s*\z)")?;
            let calls: Option<Vec<_>> =
                each(&block, answer).map(|call| object(parse(&call[2])?, "arguments")).collect();
            some(calls?)
        }
        ToolFormat::Qwen35 => {
            let block = r"(?s)<tool_call>\s*<function=\s*([^\s<>]+)\s*(.*?)\s*</function>\s*</tool_call>";
            some(functions(answer, block, |text| text.trim().to_owned())?)
        }
        ToolFormat::SeedOss => {
            let block =
                r"(?s)<seed:tool_call>\s*<function=\s*([^\s<]+)\s*(.*?)\s*</function>\s*</seed:tool_call>";
            some(functions(answer, block, str::to_owned)?)
        }
    }
}

/// A pattern of this file.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// Every match, the next one searched for from the end of group 1 on: what the pattern has behind that group is looked
/// at and not taken.
fn each<'t>(pattern: &Regex, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let found = pattern.captures_at(text, from)?;
        from = found.get(1)?.end();
        Some(found)
    })
}

fn parse(json: &str) -> Option<Value> {
    serde_json::from_str(json.trim()).ok()
}

/// A call written as an object.
fn object(mut object: Value, arguments_key: &str) -> Option<ToolCall> {
    let name = object.get("name")?.as_str()?.to_owned();
    Some(ToolCall { name, arguments: object.get_mut(arguments_key)?.take() })
}

/// The whole answer is one call, or a list of any number of them.
fn one_or_list(answer: &str, arguments_key: &str) -> Option<Vec<ToolCall>> {
    let value = parse(answer)?;
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    list.into_iter().map(|call| object(call, arguments_key)).collect()
}

/// A call whose `parameter`s stand behind its name: JSON, or else text as `plain` leaves it.
fn by_key(call: &Captures<'_>, parameter: &Regex, plain: fn(&str) -> String) -> ToolCall {
    let arguments: Map<String, Value> = parameter
        .captures_iter(&call[2])
        .map(|found| (found[1].to_owned(), parse(&found[2]).unwrap_or_else(|| plain(&found[2]).into())))
        .collect();
    ToolCall { name: call[1].trim().to_owned(), arguments: arguments.into() }
}

/// Every `<function=NAME … <parameter=KEY>VALUE</parameter> … </function>` that matches `block`.
fn functions(answer: &str, block: &str, plain: fn(&str) -> String) -> Option<Vec<ToolCall>> {
    let parameter = pattern(r"(?s)<parameter=(.*?)>(.*?)</parameter>")?;
    Some(pattern(block)?.captures_iter(answer).map(|call| by_key(&call, &parameter, plain)).collect())
}

/// `Action: NAME` and `Action Input: JSON`, again and again.
fn default(answer: &str) -> Option<Vec<ToolCall>> {
    let action = pattern(r"(?s)(Action:\s*([a-zA-Z0-9_]+)\s*Action Input:\s*(.+?))(?:\s*Action:|\s*\z)")?;
    each(&action, answer)
        .map(|call| {
            let input = call[3].trim().trim_matches('"').trim_matches('`');
            Some(ToolCall { name: call[2].to_owned(), arguments: parse(input)? })
        })
        .collect()
}

/// `call:NAME{key:value,…}`: JSON with bare keys and marked strings; what is none, as JSON or else as text.
fn gemma4(answer: &str) -> Option<Vec<ToolCall>> {
    let call = pattern(r"(?s)<\|tool_call>call:([^{\s]+)\{(.*?)\}<tool_call\|>")?;
    let string = pattern(r#"(?s)<\|"\|>(.*?)<\|"\|>"#)?;
    let key = pattern(r"(^|[{\s,])([A-Za-z_][A-Za-z0-9_]*)(\s*:)")?;
    let arguments = |text: &str| {
        let object = format!("{{{text}}}");
        let object = string.replace_all(&object, |marked: &Captures<'_>| Value::from(&marked[1]).to_string());
        let object = key.replace_all(&object, "${1}\"${2}\"${3}");
        parse(&object).or_else(|| parse(text)).unwrap_or_else(|| text.into())
    };
    let calls = call.captures_iter(answer);
    let call =
        |call: Captures<'_>| ToolCall { name: call[1].to_owned(), arguments: arguments(call[2].trim()) };
    Some(calls.map(call).collect())
}
