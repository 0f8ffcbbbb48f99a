//! `text/template_exports.json`: templates as Jinja and as Ollama model files, and the tokens they add.

use engine::text::template::ChatTurn;
use engine::text::{ChatTemplate, Template, Tokenizer};
use serde_json::{Value, json};

use super::common::goldens;
use super::templates::LONG_SYSTEM;
use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    let dialogues = std::fs::read_to_string(goldens("text").join("templates.json")).unwrap_or_default();
    let dialogues: Value = serde_json::from_str(&dialogues).unwrap_or_default();
    for (name, expected) in entries(file) {
        let (template, expected, dialogues) =
            (name.clone(), expected.clone(), dialogues["dialogues"].clone());
        cases.add(format!("exports/{name}"), move || export(&template, &expected, &dialogues));
    }
}

fn export(name: &str, expected: &Value, dialogues: &Value) -> Outcome {
    let mut tokenizer = Tokenizer::from_folder(&goldens("data/base")).map_err(|e| e.to_string())?;
    let mut template = Template::named(name).map_err(|e| e.to_string())?;
    if expected["jinja_template"].as_str().is_some_and(|jinja| jinja.contains(LONG_SYSTEM)) {
        template.default_system = LONG_SYSTEM.to_owned();
    }
    let before = tokenizer.vocab_size() as u64;
    template.fit_tokenizer(&mut tokenizer).map_err(|e| e.to_string())?;
    same("eos_token", &json!(tokenizer.special_tokens().eos), &expected["eos_token"])?;
    same("vocab_size", &json!(tokenizer.vocab_size()), &expected["vocab_size"])?;
    let added = tokenizer.added_tokens().into_iter().filter(|(id, _)| u64::from(*id) >= before);
    let added = added.map(|(id, token)| (token, json!(id))).collect();
    same("added", &Value::Object(added), &expected["added"])?;

    let jinja = template.jinja(&tokenizer);
    same("jinja_template", &json!(jinja), &expected["jinja_template"])?;
    // The first line names the maker, and stop words have no order.
    let body = |file: &str| {
        let mut lines: Vec<String> = file.lines().skip(1).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let modelfile = template.ollama_modelfile(&tokenizer);
    same(
        "ollama_modelfile",
        &modelfile.as_deref().map(body),
        &expected["ollama_modelfile"].as_str().map(body),
    )?;
    for (dialogue, expected) in entries(&expected["applied"]) {
        let chat =
            ChatTemplate::new(jinja.as_deref().unwrap_or_default(), "", "").map_err(|e| e.to_string())?;
        let rendered =
            chat.render(&turns(&dialogues[dialogue]), &Value::Null, false).map_err(|e| e.to_string())?;
        same(dialogue, &json!(rendered), expected)?;
    }
    Ok(())
}

fn turns(dialogue: &Value) -> Vec<ChatTurn> {
    let turn =
        |role: &str, content: &str| ChatTurn { role: role.into(), content: content.into(), tool_calls: None };
    let system = Some(text(dialogue, "system")).filter(|system| !system.is_empty());
    let messages = items(&dialogue["messages"]).iter();
    system
        .map(|system| turn("system", system))
        .into_iter()
        .chain(messages.map(|m| turn(text(m, "role"), text(m, "content"))))
        .collect()
}
