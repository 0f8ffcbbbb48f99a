//! `text/chat_templates.json` and `text/jinja.json`: Jinja chat templates as transformers renders them.

use engine::text::{ChatTemplate, Conversation, Tokenizer};
use serde_json::{Value, json};

use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    for case in items(&file["masks"]) {
        let [name, conversation] = [text(case, "template"), text(case, "conversation")];
        let source = text(&file["templates"][name], "template").to_owned();
        let messages = file["conversations"][conversation].clone();
        let expected = case.clone();
        cases.add(format!("masks/{name}/{conversation}"), move || mask(&source, &messages, &expected));
    }
    for (name, template) in entries(&file["templates"]) {
        for case in items(&template["cases"]).iter().cloned() {
            let (asks, has_tools) = (case["add_generation_prompt"] == true, case["tools"] == true);
            let named = text(&case, "conversation");
            let (prompt, with_tools) =
                (if asks { "+prompt" } else { "" }, if has_tools { "+tools" } else { "" });
            let case_name = format!("chat_templates/{name}/{named}{prompt}{with_tools}");
            let given = |key: &str| if case[key] == true { file[key].clone() } else { Value::Null };
            let conversation = Conversation {
                messages: file["conversations"][named].clone(),
                tools: given("tools"),
                documents: given("documents"),
                add_generation_prompt: asks,
                variables: case["variables"].as_object().cloned().unwrap_or_default(),
            };
            let [source, bos, eos] =
                [text(template, "template"), text(file, "bos_token"), text(file, "eos_token")]
                    .map(str::to_owned);
            cases.add(case_name, move || {
                let rendered = ChatTemplate::new(&source, &bos, &eos)
                    .and_then(|chat| chat.write(&conversation))
                    .map(|rendered| {
                        let range = |range: &std::ops::Range<usize>| json!([range.start, range.end]);
                        let generated: Vec<Value> = rendered.generated.iter().map(range).collect();
                        (rendered.text, generated)
                    });
                check(rendered, &case)
            });
        }
    }
}

/// The tokens of a conversation, and which of them a chat template marks as generated.
fn mask(source: &str, messages: &Value, case: &Value) -> Outcome {
    let folder = crate::common::goldens("data").join("base");
    let mut tokenizer = Tokenizer::from_folder(&folder).map_err(|e| e.to_string())?;
    tokenizer.set_chat_template(source);
    let chat = ChatTemplate::of(&tokenizer).map_err(|e| e.to_string())?.ok_or("no chat template")?;
    let conversation = Conversation { messages: messages.clone(), ..Conversation::default() };
    let rendered = chat.write(&conversation).map_err(|e| e.to_string())?;
    let marked = tokenizer.encode_marked(&rendered.text, &rendered.generated);
    let (ids, marks) = marked.map_err(|e| e.to_string())?;
    same("ids", &json!(ids), &case["ids"])?;
    same("mask", &json!(marks.into_iter().map(u8::from).collect::<Vec<_>>()), &case["mask"])
}

fn check(rendered: engine::text::Result<(String, Vec<Value>)>, case: &Value) -> Outcome {
    match (rendered, case["output"].as_str()) {
        (Ok((got, generated)), Some(expected)) => {
            same("output", &got.as_str(), &expected)?;
            same("generated", &generated.as_slice(), &items(&case["generated"]))
        }
        (Err(error), Some(_)) => Err(error.to_string()),
        (Ok((got, _)), None) => {
            Err(format!("rendered {got:?}, but the reference refuses it: {}", text(case, "message")))
        }
        (Err(error), None) if error.to_string().contains(text(case, "message")) => Ok(()),
        (Err(error), None) => Err(format!("refused with {error}, expected {}", text(case, "message"))),
    }
}
