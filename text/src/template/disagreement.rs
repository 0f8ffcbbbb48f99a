//! Where a template writes a conversation differently from the model's own chat template.

use serde_json::Value;

use super::{ChatTemplate, ChatTurn, Dialogue, Message, Piece, Role, Template};
use crate::Tokenizer;

const SYSTEM: &str = "Be brief.";
const ANSWER: &str = "Good day.";
const FIRST: &[&str] = &["Hello"];
const LATER: &[&str] = &["Hello", ANSWER, "And now?"];
const ANSWERED: &[&str] = &["Hello", ANSWER];

impl Template {
    /// A part of a conversation as the template and as the tokenizer's own chat template write it, if they differ: a
    /// first question without and with a system text, a later question, the end of an answer. What the chat template
    /// refuses to write is left out.
    ///
    /// What a user decides is no difference: `system` is the default system text if one was given, and both think.
    pub fn disagreement(&self, tokenizer: &Tokenizer, system: Option<&str>) -> Option<(String, String)> {
        // A template that marks writes by itself.
        if self.marked.is_some() {
            return None;
        }
        let chat = ChatTemplate::of(tokenizer).ok()??;
        let template = Template { enable_thinking: Some(true), ..self.clone() };
        let system = match system {
            None => "",
            Some("") => SYSTEM,
            Some(given) => given,
        };
        for (system, texts) in [(system, FIRST), (SYSTEM, FIRST), (system, LATER)] {
            let ours = template.prompt_and_answer(tokenizer, system, &[texts, &[""]].concat())?.0;
            match rendered(&chat, system, texts) {
                Some(own) if own != ours => return Some((ours, own)),
                _ => {}
            }
        }
        // Without EOS behind the answers, the next question is their end.
        if self.efficient_eos {
            return None;
        }
        let ours = template.prompt_and_answer(tokenizer, system, ANSWERED)?.1;
        let own = rendered(&chat, system, ANSWERED)?;
        let end = |text: &str| Some(text[text.rfind(ANSWER)?..].trim_end().to_owned());
        let (ours, own) = (end(&ours)?, end(&own)?);
        (ours != own).then_some((ours, own))
    }

    /// A conversation whose last text is the answer.
    fn prompt_and_answer(
        &self,
        tokenizer: &Tokenizer,
        system: &str,
        texts: &[&str],
    ) -> Option<(String, String)> {
        let message =
            |(place, text): (usize, &&str)| Message::new([Role::User, Role::Assistant][place % 2], *text);
        let messages = texts.iter().enumerate().map(message).collect();
        let dialogue = Dialogue { messages, system: system.to_owned(), ..Dialogue::default() };
        let (prompt, answer) = self.last_turn(&dialogue).ok()?;
        let special = tokenizer.special_tokens();
        let eos = if self.replace_eos { self.stop_words.first() } else { special.eos.as_ref() };
        let written = |pieces: &[Piece]| -> String {
            let text = |piece| match piece {
                Piece::Text(text) | Piece::Token(text) => text,
                Piece::Bos => special.bos.clone().unwrap_or_default(),
                Piece::Eos => eos.cloned().unwrap_or_default(),
            };
            pieces.iter().cloned().map(text).collect()
        };
        Some((written(&prompt), written(&answer)))
    }
}

/// The same by the chat template, which asks for an answer if the last text is a question.
fn rendered(chat: &ChatTemplate, system: &str, texts: &[&str]) -> Option<String> {
    let system =
        Some(system).filter(|system| !system.is_empty()).map(|system| ChatTurn::of("system", system));
    let turn = |(place, text): (usize, &&str)| ChatTurn::of(["user", "assistant"][place % 2], *text);
    let turns: Vec<ChatTurn> = system.into_iter().chain(texts.iter().enumerate().map(turn)).collect();
    chat.render_with(&turns, &Value::Null, texts.len() % 2 == 1, Some(true)).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// ChatML, without a default system text.
    const OWN: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn differs(template: &Template, own: &str, system: Option<&str>) -> Option<(String, String)> {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/data/base");
        let mut tokenizer = Tokenizer::from_folder(&base).expect("the tokenizer");
        tokenizer.set_chat_template(own);
        template.disagreement(&tokenizer, system)
    }

    #[test]
    fn every_part_of_a_conversation_is_compared() {
        let chatml = Template::named("chatml").expect("the template");
        assert_eq!(differs(&chatml, OWN, None), None);
        for (own, ours) in [
            // The last line break is not held against anyone, the word that ends an answer is.
            (
                OWN.replace(
                    "'<|im_end|>\n'",
                    "('<|im_end|>' if loop.last and m.role == 'assistant' else '<|im_end|>\n')",
                ),
                None,
            ),
            (OWN.replace("m.role + '\n'", "m.role + ':'"), Some("user\nHello")),
            (
                OWN.replace("m.role +", "('sys' if m.role == 'system' else m.role) +"),
                Some("system\nBe brief."),
            ),
            (
                OWN.replace("m.content +", "m.content + (' ' if loop.index0 == 2 else '') +"),
                Some("And now?<|im_end|>"),
            ),
            (
                OWN.replace(
                    "'<|im_end|>\n'",
                    "('</s>' if loop.last and m.role == 'assistant' else '<|im_end|>\n')",
                ),
                Some("Good day.<|im_end|>"),
            ),
        ] {
            let found = differs(&chatml, &own, None).map(|(ours, _)| ours);
            assert_eq!(found.is_some(), ours.is_some(), "{own}: {found:?}");
            assert!(ours.is_none_or(|part| found.unwrap_or_default().contains(part)), "{own}");
        }
        // A chat template may refuse system texts.
        let refusing = format!(
            "{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no') }}}}{{% endif %}}{OWN}"
        );
        assert_eq!(differs(&chatml, &refusing, None), None);
    }

    #[test]
    fn what_a_user_decides_is_no_difference() {
        let mut qwen = Template::named("qwen").expect("the template");
        assert!(differs(&qwen, OWN, None).expect("a default system text").0.contains("You are Qwen"));
        for given in ["", "You are Wick."] {
            given.clone_into(&mut qwen.default_system);
            assert_eq!(differs(&qwen, OWN, Some(given)), None, "{given:?}");
        }
        let mut qwen3 = Template::named("qwen3").expect("the template");
        let own = format!(
            "{OWN}{{% if add_generation_prompt and enable_thinking is false %}}{{{{ '<think>\n\n</think>\n\n' }}}}{{% endif %}}"
        );
        for thinking in [Some(true), Some(false), None] {
            qwen3.enable_thinking = thinking;
            assert_eq!(differs(&qwen3, &own, None), None, "{thinking:?}");
        }
    }
}
