//! A template in the languages of others: Jinja for transformers, Go's for Ollama.

use super::{Piece, SystemPlace, Template};
use crate::Tokenizer;

const CONTENT: &str = "{{content}}";

impl Template {
    /// The template as a Jinja chat template with `tokenizer`'s BOS and EOS written out, for system, user and assistant
    /// messages. `None` if it has slots that only exist as tokens.
    pub fn jinja(&self, tokenizer: &Tokenizer) -> Option<String> {
        let prefix = jinja_slots(&self.prefix, tokenizer, "content")?;
        let system = jinja_slots(&self.system, tokenizer, "system_message")?;
        let user = jinja_slots(&self.user, tokenizer, "content")?;
        let assistant = jinja_slots(&self.closed_answer()?, tokenizer, "content")?;
        let mut jinja = String::new();
        if !prefix.is_empty() {
            jinja.push_str(&format!("{{{{ {prefix} }}}}"));
        }
        if !self.default_system.is_empty() {
            jinja.push_str(&format!("{{% set system_message = '{}' %}}", escape(&self.default_system)));
        }
        jinja.push_str(
            "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
             {% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}",
        );
        let own_segment = format!("{{% if system_message is defined %}}{{{{ {system} }}}}{{% endif %}}");
        let content = "{% set content = message['content'] %}";
        let in_first_turn = format!(
            "{{% if loop.index0 == 0 and system_message is defined %}}\
             {{% set content = {system} + message['content'] %}}{{% else %}}{content}{{% endif %}}"
        );
        let (before, content) = match self.system_place {
            SystemPlace::OwnSegment => (own_segment.as_str(), content),
            SystemPlace::FirstUserTurn => ("", in_first_turn.as_str()),
        };
        jinja.push_str(&format!(
            "{before}{{% for message in loop_messages %}}{content}\
             {{% if message['role'] == 'user' %}}{{{{ {user} }}}}\
             {{% elif message['role'] == 'assistant' %}}{{{{ {assistant} }}}}{{% endif %}}{{% endfor %}}"
        ));
        Some(jinja)
    }

    /// An answer with what separates it from the next question. `None` if questions are numbered.
    fn closed_answer(&self) -> Option<Vec<Piece>> {
        let numbered = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains("{{idx}}"));
        let answer = self.assistant.iter().chain(&self.separator).cloned().collect();
        (!self.user.iter().any(numbered)).then_some(answer)
    }

    /// An Ollama model file for a model in the same folder. `None` if the template has slots that only exist as tokens.
    pub fn ollama_modelfile(&self, tokenizer: &Tokenizer) -> Option<String> {
        let slots = |pieces: &[Piece], name: &str| ollama_slots(pieces, tokenizer, name);
        let mut file = format!(
            "# Made by Chandler\n\nFROM .\n\nTEMPLATE \"\"\"{}{{{{ if .System }}}}{}{{{{ end }}}}\
             {{{{ range .Messages }}}}{{{{ if eq .Role \"user\" }}}}{}\
             {{{{ else if eq .Role \"assistant\" }}}}{}{{{{ end }}}}{{{{ end }}}}\"\"\"\n\n",
            slots(&self.prefix, "content")?,
            slots(&self.system, ".System")?,
            slots(&self.user, ".Content")?,
            slots(&self.closed_answer()?, ".Content")?,
        );
        if !self.default_system.is_empty() {
            file.push_str(&format!("SYSTEM \"\"\"{}\"\"\"\n\n", self.default_system));
        }
        for token in self.stop_ids(tokenizer).into_iter().filter_map(|id| tokenizer.id_to_token(id)) {
            file.push_str(&format!("PARAMETER stop \"{token}\"\n"));
        }
        file.push_str("PARAMETER num_ctx 4096\n");
        Some(file)
    }
}

/// The texts of a slot list, with `None` where the content goes; BOS and EOS as `tokenizer` writes them. `None` if it
/// has a token without a text.
fn texts<'a>(pieces: &'a [Piece], tokenizer: &'a Tokenizer) -> Option<Vec<Option<&'a str>>> {
    let mut texts = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => match text.split_once(CONTENT) {
                Some((before, after)) => texts.extend([Some(before), None, Some(after)]),
                None => texts.push(Some(text.as_str())),
            },
            Piece::Bos => texts.extend(tokenizer.special_tokens().bos.as_deref().map(Some)),
            Piece::Eos => texts.extend(tokenizer.special_tokens().eos.as_deref().map(Some)),
            Piece::Token(_) => return None,
        }
    }
    texts.retain(|text| *text != Some(""));
    Some(texts)
}

fn jinja_slots(pieces: &[Piece], tokenizer: &Tokenizer, content: &str) -> Option<String> {
    let quoted = |text: &str| format!("'{}'", escape(text));
    let parts =
        texts(pieces, tokenizer)?.into_iter().map(|text| text.map_or_else(|| content.to_owned(), quoted));
    Some(parts.collect::<Vec<_>>().join(" + "))
}

fn ollama_slots(pieces: &[Piece], tokenizer: &Tokenizer, content: &str) -> Option<String> {
    let place = || format!("{{{{ {content} }}}}");
    Some(texts(pieces, tokenizer)?.into_iter().map(|text| text.map_or_else(place, str::to_owned)).collect())
}

fn escape(text: &str) -> String {
    text.replace('\'', "\\'")
}
