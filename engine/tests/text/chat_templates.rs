//! `text/chat_templates.json`: Jinja chat templates as transformers renders them.

use engine::text::ChatTemplate;
use engine::text::template::ChatTurn;
use serde_json::Value;

use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    for (name, template) in entries(&file["templates"]) {
        for case in items(&template["cases"]).iter().cloned() {
            let (asks, has_tools) = (case["add_generation_prompt"] == true, case["tools"] == true);
            let conversation = text(&case, "conversation");
            let (prompt, with_tools) =
                (if asks { "+prompt" } else { "" }, if has_tools { "+tools" } else { "" });
            let case_name = format!("chat_templates/{name}/{conversation}{prompt}{with_tools}");
            let turns = turns(&file["conversations"][conversation]);
            let tools = if has_tools { file["tools"].clone() } else { Value::Null };
            let [source, bos, eos] =
                [text(template, "template"), text(file, "bos_token"), text(file, "eos_token")]
                    .map(str::to_owned);
            cases.add(case_name, move || {
                let chat = ChatTemplate::new(&source, &bos, &eos).map_err(|e| e.to_string())?;
                check(chat.render(&turns, &tools, asks), &case)
            });
        }
    }
}

fn check(rendered: engine::text::Result<String>, case: &Value) -> Outcome {
    match (rendered, case["output"].as_str()) {
        (Ok(got), Some(expected)) => same("output", &got.as_str(), &expected),
        (Err(error), Some(_)) => Err(error.to_string()),
        (Ok(got), None) => {
            Err(format!("rendered {got:?}, but the reference refuses it: {}", text(case, "message")))
        }
        (Err(error), None) if error.to_string().contains(text(case, "message")) => Ok(()),
        (Err(error), None) => Err(format!("refused with {error}, expected {}", text(case, "message"))),
    }
}

fn turns(conversation: &Value) -> Vec<ChatTurn> {
    let turn = |message: &Value| ChatTurn {
        role: text(message, "role").to_owned(),
        content: text(message, "content").to_owned(),
        tool_calls: message.get("tool_calls").cloned(),
    };
    items(conversation).iter().map(turn).collect()
}
