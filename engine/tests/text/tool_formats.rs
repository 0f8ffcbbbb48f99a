//! `text/tool_formats.json`: descriptions of tools, calls as text, and calls read back.

use engine::text::template::ToolFormat;
use engine::text::template::tools::ToolCall;
use serde_json::{Value, json};

use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    let tools = items(&file["tools"]).to_vec();
    let wrapped: Vec<Value> =
        tools.iter().map(|tool| json!({"type": "function", "function": tool})).collect();
    for (name, expected) in entries(&file["formats"]) {
        let Ok(format) = ToolFormat::named(name) else {
            cases.fail(format!("tool_formats/{name}"), "not supported");
            continue;
        };
        for (key, tools) in [("tool_text", &tools), ("tool_text_from_type_function_wrapped", &wrapped)] {
            let (tools, date) = (tools.clone(), text(file, "fixed_date").to_owned());
            let expected = text(expected, key).to_owned();
            cases.add(format!("tool_formats/{name}/{key}"), move || {
                same(key, &format.describe(&tools, &date).map_err(|e| e.to_string())?, &expected)
            });
        }
        for (place, case) in items(&expected["calls"]).iter().cloned().enumerate() {
            cases.add(format!("tool_formats/{name}/calls_{place}"), move || calls(format, &case));
        }
        for (place, (answer, _)) in entries(&expected["not_a_call"]).enumerate() {
            let answer = answer.clone();
            let run = move || same("calls", &format.read(&answer), &None);
            cases.add(format!("tool_formats/{name}/not_a_call_{place}"), run);
        }
    }
}

fn calls(format: ToolFormat, case: &Value) -> Outcome {
    let calls = read(&case["calls"])?;
    let written = format.write(&calls);
    if let Some(refusal) = case["error"].as_str() {
        return written
            .map_or(Ok(()), |_| Err(format!("was written, but the reference refuses it: {refusal}")));
    }
    let written = written.map_err(|e| e.to_string())?;
    same("text", &written.as_str(), &text(case, "text"))?;
    let expected = if case["extracted"].is_string() { None } else { Some(read(&case["extracted"])?) };
    same("read back", &format.read(&written), &expected)
}

/// Pairs of a name and the arguments as JSON text.
fn read(pairs: &Value) -> Result<Vec<ToolCall>, String> {
    let call = |pair: &Value| {
        let arguments =
            serde_json::from_str(pair[1].as_str().unwrap_or_default()).map_err(|e| e.to_string())?;
        Ok(ToolCall { name: pair[0].as_str().unwrap_or_default().to_owned(), arguments })
    };
    items(pairs).iter().map(call).collect()
}
