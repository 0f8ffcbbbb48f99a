//! `text/templates.json`: every template, every dialogue.

use engine::text::template::{Reasoning, SystemPlace, ToolFormat};
use engine::text::{Dialogue, Message, Piece, Role, Template};
use serde_json::Value;

use super::{Cases, Outcome, entries, items, same, text};

pub fn find(cases: &mut Cases, file: &Value) {
    for (name, expected) in entries(&file["templates"]) {
        let mut template = match Template::named(name) {
            Ok(template) => template,
            Err(e) => {
                cases.fail(format!("templates/{name}"), e.to_string());
                continue;
            }
        };
        template.today = Some(text(file, "fixed_date").to_owned());
        let words =
            Words { bos: text(file, "bos_token").into(), eos: text(expected, "eos_token_used").into() };
        let (original, all) = (template.clone(), expected.clone());
        cases.add(format!("templates/{name}/settings"), move || settings(&original, &all));
        if expected["default_system"].is_object() {
            template.default_system = LONG_SYSTEM.to_owned();
        }
        for (dialogue_name, expected) in entries(&expected["dialogues"]) {
            let case = format!("templates/{name}/{dialogue_name}");
            let input = file["dialogues"][dialogue_name].clone();
            let variants: Vec<_> = entries(expected).filter(|(key, _)| is_variant(key)).collect();
            if variants.is_empty() {
                let (template, words, expected) = (template.clone(), words.clone(), expected.clone());
                cases.add(case, move || dialogue(&template, &input, &expected, &words));
                continue;
            }
            for (variant, expected) in variants {
                let mut template = template.clone();
                template.preserve_thinking = variant == "preserve_thinking";
                template.enable_thinking = match variant.as_str() {
                    "enable_thinking=false" => Some(false),
                    "enable_thinking=null" => None,
                    _ => Some(true),
                };
                let (input, words, expected) = (input.clone(), words.clone(), expected.clone());
                let run = move || dialogue(&template, &input, &expected, &words);
                cases.add(format!("{case}/{variant}"), run);
            }
        }
    }
}

/// Stands for a default system text that is too long for the file; the settings then hold its length.
pub const LONG_SYSTEM: &str = "⟦long default system⟧";

/// Reasoning templates have each dialogue once per way to think.
fn is_variant(key: &str) -> bool {
    key.starts_with("enable_thinking=") || key == "preserve_thinking"
}

/// What the special tokens look like in the renderings.
#[derive(Clone)]
pub struct Words {
    pub bos: String,
    pub eos: String,
}

impl Words {
    pub fn render(&self, pieces: &[Piece]) -> String {
        let render = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Token(text) => text.clone(),
            Piece::Bos => self.bos.clone(),
            Piece::Eos => self.eos.clone(),
        };
        pieces.iter().map(render).collect()
    }
}

fn settings(template: &Template, expected: &Value) -> Outcome {
    match &expected["default_system"] {
        Value::Object(hashed) => {
            same(
                "default_system length",
                &Some(template.default_system.chars().count() as u64),
                &hashed["chars"].as_u64(),
            )?;
        }
        system => same("default_system", &Some(template.default_system.as_str()), &system.as_str())?,
    }
    let list = |key: &str| items(&expected[key]).iter().filter_map(Value::as_str).collect::<Vec<_>>();
    same("stop_words", &template.stop_words.iter().map(String::as_str).collect(), &list("stop_words"))?;
    let (open, close) = &template.thought_words;
    same("thought_words", &vec![open.as_str(), close], &list("thought_words"))?;
    let (open, close) = &template.tool_call_words;
    same("tool_call_words", &vec![open.as_str(), close], &list("tool_call_words"))?;
    for (key, got) in [
        ("efficient_eos", template.efficient_eos),
        ("replace_eos", template.replace_eos),
        ("replace_jinja_template", template.replace_jinja_template),
        ("enable_thinking", template.enable_thinking == Some(true)),
        ("preserve_thinking", template.preserve_thinking),
    ] {
        same(key, &Some(got), &expected[key].as_bool())?;
    }
    let class = match (template.system_place, template.reasoning) {
        (SystemPlace::FirstUserTurn, Reasoning::None) => "Llama2Template",
        (SystemPlace::OwnSegment, Reasoning::EmptyThought) => "ReasoningTemplate",
        (SystemPlace::OwnSegment, Reasoning::ClosedThought) => "Glm47ReasoningTemplate",
        _ => "Template",
    };
    same("template_class", &class, &text(expected, "template_class"))?;
    same("tool_format_function", &tool_class(template.tool_format), &text(expected, "tool_format_function"))?;
    let tools = if template.raw_tools.is_some() { "NoneType" } else { tool_class(template.tool_format) };
    same("tool_format_tools", &tools, &text(expected, "tool_format_tools"))
}

fn tool_class(format: ToolFormat) -> &'static str {
    match format {
        ToolFormat::Default | ToolFormat::ChatGlm3 => "DefaultToolUtils",
        ToolFormat::Gemma4 => "Gemma4ToolUtils",
        ToolFormat::Glm4 => "GLM4ToolUtils",
        ToolFormat::Glm4Moe => "GLM4MOEToolUtils",
        ToolFormat::Lfm2 => "LFM2ToolUtils",
        ToolFormat::Ling => "LingToolUtils",
        ToolFormat::Llama3 => "Llama3ToolUtils",
        ToolFormat::Minimax1 => "MiniMaxM1ToolUtils",
        ToolFormat::Minimax2 => "MiniMaxM2ToolUtils",
        ToolFormat::Mistral => "MistralToolUtils",
        ToolFormat::Qwen => "QwenToolUtils",
        ToolFormat::Qwen35 => "Qwen35ToolUtils",
        ToolFormat::SeedOss => "SeedToolUtils",
    }
}

fn dialogue(template: &Template, input: &Value, expected: &Value, words: &Words) -> Outcome {
    let dialogue = read(input)?;
    if let Some(refusal) = expected["error"].as_str() {
        return match template.segments(&dialogue) {
            Ok(_) => Err(format!("was expressed, but the reference refuses it: {refusal}")),
            Err(_) => Ok(()),
        };
    }
    let segments = template.segments(&dialogue).map_err(|e| e.to_string())?;
    same("segments", &segments.len(), &items(&expected["segments"]).len())?;
    for (got, expected) in segments.iter().zip(items(&expected["segments"])) {
        same("pieces", got, &items(&expected["pieces"]).iter().map(piece).collect::<Result<_, _>>()?)?;
        same("text", &words.render(got).as_str(), &text(expected, "text"))?;
    }
    same("full", &words.render(&segments.concat()).as_str(), &text(expected, "full"))?;

    let (prompt, answer) = template.last_turn(&dialogue).map_err(|e| e.to_string())?;
    same("oneturn prompt", &words.render(&prompt).as_str(), &text(&expected["oneturn"], "prompt"))?;
    same("oneturn response", &words.render(&answer).as_str(), &text(&expected["oneturn"], "response"))?;

    let discarding = expected.get("multiturn_discarding_history_cot").unwrap_or(&expected["multiturn"]);
    for (discard, expected) in [(false, &expected["multiturn"]), (true, discarding)] {
        let turns = template.turns(&dialogue, discard).map_err(|e| e.to_string())?;
        let got = turns
            .iter()
            .map(|(prompt, answer)| Value::from(vec![words.render(prompt), words.render(answer)]));
        same(
            if discard { "multiturn, history discarded" } else { "multiturn" },
            &got.collect::<Value>(),
            expected,
        )?;
    }
    Ok(())
}

pub fn read(input: &Value) -> Result<Dialogue, String> {
    let message = |message: &Value| {
        let role = match text(message, "role") {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "function" => Role::Function,
            "observation" => Role::Observation,
            other => return Err(format!("unknown role {other}")),
        };
        Ok(Message::new(role, text(message, "content")))
    };
    Ok(Dialogue {
        messages: items(&input["messages"]).iter().map(message).collect::<Result<_, _>>()?,
        system: text(input, "system").to_owned(),
        tools: text(input, "tools").to_owned(),
    })
}

fn piece(value: &Value) -> Result<Piece, String> {
    if let Some(text) = value.as_str() {
        return Ok(Piece::Text(text.to_owned()));
    }
    match (&value["bos"], &value["eos"], value["token"].as_str()) {
        (Value::Bool(true), _, _) => Ok(Piece::Bos),
        (_, Value::Bool(true), _) => Ok(Piece::Eos),
        (_, _, Some(token)) => Ok(Piece::Token(token.to_owned())),
        _ => Err(format!("unknown piece {value}")),
    }
}
