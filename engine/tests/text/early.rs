//! `text/early_templates.json`: templates that later versions dropped or changed, as LLaMA-Factory 0.7.0 writes them.

use engine::text::Template;
use serde_json::{Value, json};

use super::templates::{Words, read};
use super::{Cases, Outcome, entries, same};

pub fn find(cases: &mut Cases, file: &Value) {
    for (name, expected) in entries(&file["templates"]) {
        let (template, expected, dialogues) = (name.clone(), expected.clone(), file["dialogues"].clone());
        cases.add(format!("early_templates/{name}"), move || check(&template, &expected, &dialogues));
    }
}

fn check(name: &str, expected: &Value, dialogues: &Value) -> Outcome {
    let template = Template::named(name).map_err(|e| e.to_string())?;
    same("default_system", &json!(template.default_system), &expected["default_system"])?;
    same("stop_words", &json!(template.stop_words), &expected["stop_words"])?;
    same("efficient_eos", &json!(template.efficient_eos), &expected["efficient_eos"])?;
    same("replace_eos", &json!(template.replace_eos), &expected["replace_eos"])?;
    let words = Words { bos: "<s>".into(), eos: "</s>".into() };
    for (dialogue, expected) in entries(&expected["turns"]) {
        let turns = template.turns(&read(&dialogues[dialogue])?, false).map_err(|e| e.to_string())?;
        let turns = turns.iter().map(|(prompt, answer)| json!([words.render(prompt), words.render(answer)]));
        same(dialogue, &turns.collect::<Value>(), expected)?;
    }
    Ok(())
}
