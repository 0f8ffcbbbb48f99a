//! From messages to pieces, and from pieces to ids.

use std::borrow::Cow;

use super::{Dialogue, Message, Piece, Role, SystemPlace, Template};
use crate::Tokenizer;
use crate::error::{Error, Result};

const CONTENT: &str = "{{content}}";
/// Number of the exchange, from 0.
const ROUND: &str = "{{idx}}";

/// Prompt and answer of one exchange.
pub(super) type Turn<T> = (Vec<T>, Vec<T>);

impl Template {
    /// One list of pieces per message; prefix, system text and tools belong to the first.
    ///
    /// # Errors
    /// If tools or a tool call cannot be read.
    pub fn segments(&self, dialogue: &Dialogue) -> Result<Vec<Vec<Piece>>> {
        let system = if dialogue.system.is_empty() { &self.default_system } else { &dialogue.system };
        let mut segments = Vec::with_capacity(dialogue.messages.len());
        for (place, message) in dialogue.messages.iter().enumerate() {
            let mut pieces = Vec::new();
            let mut fused = None;
            if place == 0 {
                pieces.extend_from_slice(&self.prefix);
                if !system.is_empty() || !dialogue.tools.is_empty() {
                    let system = fill(&self.system, &format!("{system}{}", self.tool_text(&dialogue.tools)?));
                    match self.system_place {
                        SystemPlace::OwnSegment => pieces.extend(system),
                        SystemPlace::FirstUserTurn => fused = Some(plain_text(&system)),
                    }
                }
            }
            if place > 0 && place % 2 == 0 {
                pieces.extend_from_slice(&self.separator);
            }
            pieces.extend(self.message(message, place / 2, fused.as_deref())?);
            segments.push(pieces);
        }
        Ok(segments)
    }

    /// Every exchange of the conversation, for training on all answers. With `discard_history` the thoughts of earlier
    /// answers are left out.
    ///
    /// # Errors
    /// As [`Template::segments`].
    pub fn turns(&self, dialogue: &Dialogue, discard_history: bool) -> Result<Vec<Turn<Piece>>> {
        let messages = self.without_thoughts(&dialogue.messages, discard_history);
        let mut segments = self.segments(&Dialogue { messages: messages.clone(), ..dialogue.clone() })?;
        let first = if discard_history { messages.len().saturating_sub(2) } else { 0 };
        for place in (first..messages.len().saturating_sub(1)).step_by(2) {
            self.add_empty_thought(&messages[place + 1], &mut segments, place);
        }
        let mut turns = Vec::with_capacity(segments.len() / 2);
        let mut segments = segments.into_iter();
        while let (Some(prompt), Some(answer)) = (segments.next(), segments.next()) {
            turns.push((prompt, answer));
        }
        Ok(turns)
    }

    /// Everything before the last message as the prompt, and the last message as the answer.
    ///
    /// # Errors
    /// As [`Template::segments`].
    pub fn last_turn(&self, dialogue: &Dialogue) -> Result<Turn<Piece>> {
        let messages = self.without_earlier_thoughts(&dialogue.messages);
        let mut segments = self.segments(&Dialogue { messages: messages.clone(), ..dialogue.clone() })?;
        if let Some(last) = messages.last().filter(|_| messages.len() > 1) {
            let place = messages.len() - 2;
            self.add_empty_thought(last, &mut segments, place);
        }
        let answer = segments.pop().unwrap_or_default();
        Ok((segments.into_iter().flatten().collect(), answer))
    }

    /// Ids of [`Template::turns`].
    ///
    /// # Errors
    /// As there, or if the tokenizer lacks a token that the template needs.
    pub fn encode_multiturn(
        &self,
        tokenizer: &Tokenizer,
        dialogue: &Dialogue,
        discard_history: bool,
    ) -> Result<Vec<Turn<u32>>> {
        let turns = self.turns(dialogue, discard_history)?;
        turns
            .iter()
            .map(|(prompt, answer)| Ok((self.ids(tokenizer, prompt)?, self.ids(tokenizer, answer)?)))
            .collect()
    }

    /// Ids of [`Template::last_turn`].
    ///
    /// # Errors
    /// As there, or if the tokenizer lacks a token that the template needs.
    pub fn encode_oneturn(&self, tokenizer: &Tokenizer, dialogue: &Dialogue) -> Result<Turn<u32>> {
        let (prompt, answer) = self.last_turn(dialogue)?;
        Ok((self.ids(tokenizer, &prompt)?, self.ids(tokenizer, &answer)?))
    }

    /// Ids of a prompt that asks for the answer to the last message.
    ///
    /// # Errors
    /// As [`Template::encode_oneturn`].
    pub fn encode_prompt(&self, tokenizer: &Tokenizer, dialogue: &Dialogue) -> Result<Vec<u32>> {
        let mut dialogue = dialogue.clone();
        dialogue.messages.push(Message::new(Role::Assistant, ""));
        Ok(self.encode_oneturn(tokenizer, &dialogue)?.0)
    }

    fn ids(&self, tokenizer: &Tokenizer, pieces: &[Piece]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => ids.extend(tokenizer.encode(text, false)?),
                Piece::Bos => ids.extend(tokenizer.bos_id()),
                Piece::Eos => ids.extend(tokenizer.eos_id()),
                Piece::Token(token) => {
                    ids.push(tokenizer.token_to_id(token).or(tokenizer.unk_id()).ok_or_else(|| {
                        Error::Template {
                            name: self.name.clone(),
                            message: format!(
                                "needs the token \"{token}\", which tokenizer {} lacks",
                                tokenizer.origin()
                            ),
                        }
                    })?)
                }
            }
        }
        Ok(ids)
    }

    fn message(&self, message: &Message, round: usize, system: Option<&str>) -> Result<Vec<Piece>> {
        let slots = match message.role {
            Role::User => &self.user,
            Role::Assistant => &self.assistant,
            Role::Function => &self.function,
            Role::Observation => &self.observation,
        };
        let numbered = |slot: &Piece| match slot {
            Piece::Text(text) => Piece::Text(text.replacen(ROUND, &round.to_string(), 1)),
            other => other.clone(),
        };
        let slots: Vec<Piece> = slots.iter().map(numbered).collect();
        let content: Cow<'_, str> = match (message.role, system) {
            (Role::User, Some(system)) => format!("{system}{}", message.content).into(),
            (Role::Function, _) => return self.call_turn(message, &slots),
            (Role::Assistant, _) if !message.thought.is_empty() => {
                let text = message.content.trim_start_matches('\n');
                format!("{}{text}", self.thought_text(&message.thought)).into()
            }
            _ => message.content.as_str().into(),
        };
        Ok(fill(&slots, &content))
    }
}

/// Puts `content` into the slots; empty texts disappear.
pub(super) fn fill(slots: &[Piece], content: &str) -> Vec<Piece> {
    let filled = slots.iter().map(|slot| match slot {
        Piece::Text(text) => Piece::Text(text.replacen(CONTENT, content, 1)),
        other => other.clone(),
    });
    filled.filter(|piece| !matches!(piece, Piece::Text(text) if text.is_empty())).collect()
}

/// The system text alone; tokens cannot go inside a user turn.
fn plain_text(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .filter_map(|piece| if let Piece::Text(text) = piece { Some(text.as_str()) } else { None })
        .collect()
}
