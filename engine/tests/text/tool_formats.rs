//! `text/tool_formats.json` and `text/tool_edges.json`: descriptions of tools, calls as text, and calls read back.

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

/// `text/tool_edges.json`: answers that are hardly calls, and descriptions of unusual tools.
pub fn edges(cases: &mut Cases, file: &Value) {
    for (name, answers) in entries(&file["reads"]) {
        let (name, answers) = (name.clone(), answers.clone());
        cases.add(format!("tool_edges/{name}/reads"), move || {
            let format = ToolFormat::named(&name).map_err(|e| e.to_string())?;
            for case in items(&answers) {
                let expected = if case["calls"].is_null() { None } else { Some(read(&case["calls"])?) };
                same(&case["answer"].to_string(), &format.read(text(case, "answer")), &expected)?;
            }
            Ok(())
        });
    }
    for (name, expected) in entries(&file["descriptions"]) {
        let (name, expected, tools) = (name.clone(), expected.clone(), file["tools"].clone());
        cases.add(format!("tool_edges/{name}/descriptions"), move || {
            let format = ToolFormat::named(&name).map_err(|e| e.to_string())?;
            for (tool, expected) in items(&tools).iter().zip(items(&expected)) {
                let described = format.describe(std::slice::from_ref(tool), "").map_err(|e| e.to_string())?;
                same(&tool.to_string(), &json!(described), expected)?;
            }
            Ok(())
        });
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
        // Gemma 4 may write text that is no JSON.
        let arguments = pair[1].as_str().unwrap_or_default();
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into());
        Ok(ToolCall { name: pair[0].as_str().unwrap_or_default().to_owned(), arguments })
    };
    items(pairs).iter().map(call).collect()
}
