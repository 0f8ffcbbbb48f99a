//! A template read off a model's own Jinja chat template, for training without a named one.

use std::sync::Arc;

use serde_json::Value;

use super::chat::{ChatTemplate, ChatTurn};
use super::draft::template;
use super::{Reasoning, Template};
use crate::Tokenizer;
use crate::error::{Error, Result};

const NAME: &str = "chat_template";
const CONTENT: &str = "{{content}}";

impl Template {
    /// The template that the tokenizer's chat template is made of, `None` if it has none. A chat template that marks
    /// what counts in the loss is kept to write the conversations, and need not be made of slots.
    ///
    /// # Errors
    /// If the chat template is not valid, or cannot be taken apart.
    pub fn from_chat_template(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(chat) = ChatTemplate::of(tokenizer)? else { return Ok(None) };
        let slots = Self::slots_of(&chat, tokenizer);
        if !chat.marks_generation() {
            return slots.map(Some);
        }
        let slots = slots.unwrap_or_else(|_| template(NAME, CONTENT).build());
        Ok(Some(Template { marked: Some(Arc::new(chat)), ..slots }))
    }

    /// Renders short conversations and takes the slots from the differences: the text around a system message, a
    /// question and an answer. As LLaMA-Factory 0.9.5's `parse_template`.
    fn slots_of(chat: &ChatTemplate, tokenizer: &Tokenizer) -> Result<Self> {
        let prefix = tokenizer.decode(&tokenizer.encode("", true)?, false)?;
        let render = |turns: &[(&str, &str)], ask: bool| {
            let turns: Vec<ChatTurn> =
                turns.iter().map(|(role, content)| ChatTurn::of(*role, *content)).collect();
            let text = chat.render(&turns, &Value::Null, ask).map_err(|e| whole(&e.to_string()))?;
            Ok(behind(&text, &prefix).to_owned())
        };
        let system = render(&[("system", CONTENT)], false)?;
        let user_after_empty_system = render(&[("system", ""), ("user", CONTENT)], true)?;
        let user = render(&[("user", CONTENT)], true)?;
        let exchange = render(&[("user", CONTENT), ("assistant", CONTENT)], false)?;
        let assistant = behind(&exchange, &user);
        let thinks = assistant.contains("<think>");
        let assistant = assistant.replace("<think>", "").replace("</think>", "");

        let mut user_slot = user.as_str();
        let mut default_system = String::new();
        if user.chars().count() > user_after_empty_system.chars().count() {
            default_system = inserted(&user_after_empty_system, &user);
            user_slot = behind(&user, &system.replacen(CONTENT, &default_system, 1));
        }
        for (slot, what) in
            [(system.as_str(), "system text"), (user_slot, "question"), (&assistant, "answer")]
        {
            if !slot.contains(CONTENT) {
                return Err(whole(&format!("it does not write a {what} by itself")));
            }
        }
        let mut draft = template(NAME, user_slot)
            .system(system.as_str())
            .assistant(assistant.trim_start_matches('\n'))
            .default_system(&default_system);
        if !prefix.is_empty() {
            draft = draft.prefix(prefix.as_str());
        }
        let mut parsed = draft.build();
        if thinks {
            parsed.reasoning = Reasoning::EmptyThought;
        }
        Ok(parsed)
    }
}

/// The error of a chat template that is not made of slots.
fn whole(why: &str) -> Error {
    let message = format!(
        "no template is named, and the model's own chat template cannot be taken apart ({why}); name the template that the model was trained with"
    );
    Error::Setting { key: "template", message }
}

/// What of `text` is left behind as many characters as `head` has.
fn behind<'a>(text: &'a str, head: &str) -> &'a str {
    text.char_indices().nth(head.chars().count()).map_or("", |(place, _)| &text[place..])
}

/// The characters of `long` that `short` lacks, both read from the start.
fn inserted(short: &str, long: &str) -> String {
    let mut expected = short.chars().peekable();
    let mut difference = String::new();
    for c in long.chars() {
        if expected.peek().is_none() {
            break;
        }
        if expected.next_if_eq(&c).is_none() {
            difference.push(c);
        }
    }
    difference
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::template::Piece;

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens");

    fn parsed(jinja: &str) -> Result<Template> {
        let mut tokenizer = Tokenizer::from_folder(&Path::new(GOLDENS).join("data/base"))?;
        tokenizer.set_chat_template(jinja);
        Ok(Template::from_chat_template(&tokenizer)?.expect("a chat template"))
    }

    /// System, question and answer, the default system text, and whether it thinks.
    fn facts(template: &Template) -> (Vec<&str>, &str, bool) {
        let slots = [&template.system, &template.user, &template.assistant];
        let texts = slots.into_iter().flatten().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        });
        (texts.collect(), &template.default_system, template.reasoning != Reasoning::None)
    }

    /// What LLaMA-Factory 0.9.5's `parse_template` makes of them.
    #[test]
    fn slots_are_what_stands_around_the_content() {
        let file =
            std::fs::read_to_string(Path::new(GOLDENS).join("text/chat_templates.json")).expect("the file");
        let file: Value = serde_json::from_str(&file).expect("valid JSON");
        let known = |name: &str| file["templates"][name]["template"].as_str().expect(name).to_owned();
        let default_system = "{% if messages[0]['role'] == 'system' %}{{ '<s>' + messages[0]['content'] }}{% else %}\
            {{ '<s>Help.' }}{% endif %}{% for m in messages %}{% if m['role'] != 'system' %}\
            {{ '<' + m['role'] + '>' + m['content'] + '</>' }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";
        let thinks = "{% for m in messages %}{% if m['role'] == 'assistant' %}\
            {{ '<|assistant|>\n<think>\n\n</think>\n\n' + m['content'] + '<|end|>\n' }}{% else %}\
            {{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";
        for (jinja, slots, system, thinks) in [
            (
                known("chatml"),
                [
                    "<|im_start|>system\n{{content}}<|im_end|>\n",
                    "<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n",
                    "{{content}}<|im_end|>\n",
                ],
                "You help.",
                false,
            ),
            (
                known("tools_json"),
                ["system: {{content}}\n", "user: {{content}}\n", "assistant: {{content}}\n"],
                "",
                false,
            ),
            (
                known("namespace"),
                [
                    "users=0 last=-1\n*SYSTEM>{{content}}\n",
                    "users=1 last=0\nUSER>{{content}}\n",
                    "*ASSISTANT>{{content}}\n",
                ],
                "",
                false,
            ),
            (
                default_system.into(),
                ["<s>{{content}}", "<user>{{content}}</><assistant>", "{{content}}</>"],
                "Help.",
                false,
            ),
            (
                thinks.into(),
                [
                    "<|system|>\n{{content}}<|end|>\n",
                    "<|user|>\n{{content}}<|end|>\n<|assistant|>\n",
                    "{{content}}<|end|>\n",
                ],
                "",
                true,
            ),
        ] {
            let template = parsed(&jinja).expect("slots");
            assert_eq!(facts(&template), (slots.to_vec(), system, thinks));
            assert_eq!((&template.function, &template.observation), (&template.assistant, &template.user));
        }
        // LLaMA-Factory refuses these too: a slot has no place for its content.
        for name in ["inst", "macro_filters", "string_methods"] {
            let message = parsed(&known(name)).expect_err(name).to_string();
            assert!(message.starts_with("template: ") && message.ends_with("was trained with"), "{message}");
        }
    }
}
