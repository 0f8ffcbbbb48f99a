//! Reasoning templates: thoughts of earlier answers go, and an answer without a thought gets an empty one.

use super::{Message, Piece, Reasoning, Template};

impl Template {
    /// For training on all answers.
    pub(super) fn without_thoughts(&self, messages: &[Message], discard_history: bool) -> Vec<Message> {
        let mut messages = self.with_thoughts_apart(messages);
        if self.reasoning != Reasoning::None {
            let kept = if self.enable_thinking == Some(false) {
                messages.len()
            } else if discard_history {
                messages.len().saturating_sub(2)
            } else {
                0
            };
            self.strip_answers(&mut messages, kept);
        }
        messages
    }

    /// For training on, or asking for, the last answer only.
    pub(super) fn without_earlier_thoughts(&self, messages: &[Message]) -> Vec<Message> {
        let mut messages = self.with_thoughts_apart(messages);
        if self.reasoning == Reasoning::None {
            return messages;
        }
        if !self.preserve_thinking {
            let earlier = messages.len().saturating_sub(2);
            self.strip_answers(&mut messages, earlier);
        }
        if let (Some(false), Some(last)) = (self.enable_thinking, messages.last_mut()) {
            self.remove_thought(last);
        }
        messages
    }

    /// Gives `answer`, whose prompt is segment `place`, an empty thought if it has none: in the answer, where it is
    /// learnt, if thinking is on, else in the prompt.
    pub(super) fn add_empty_thought(&self, answer: &Message, segments: &mut [Vec<Piece>], place: usize) {
        let (open, close) = &self.thought_words;
        let has_thought = !answer.thought.is_empty()
            || answer.content.contains(open.trim())
            || answer.content.contains(close.trim());
        let thought = match self.reasoning {
            Reasoning::None => return,
            Reasoning::EmptyThought => format!("{open}{close}"),
            Reasoning::ClosedThought => close.clone(),
        };
        if has_thought {
            return;
        }
        if self.enable_thinking == Some(true) {
            segments[place + 1].insert(0, Piece::Text(thought));
        } else {
            segments[place].push(Piece::Text(thought));
        }
    }

    /// Removes the thoughts of the answers (every second message) before message number `end`.
    fn strip_answers(&self, messages: &mut [Message], end: usize) {
        for message in messages.iter_mut().take(end).skip(1).step_by(2) {
            self.remove_thought(message);
        }
    }

    fn with_thoughts_apart(&self, messages: &[Message]) -> Vec<Message> {
        messages.iter().map(|message| self.with_thought_apart(message).into_owned()).collect()
    }

    /// Deletes every opened and closed thought, and the line breaks then left at the start.
    fn remove_thought(&self, message: &mut Message) {
        let (open, close) = &self.thought_words;
        let mut kept = String::with_capacity(message.content.len());
        let mut rest = message.content.as_str();
        while let Some(start) = rest.find(open.as_str()) {
            let Some(length) = rest[start + open.len()..].find(close.as_str()) else { break };
            kept.push_str(&rest[..start]);
            rest = &rest[start + open.len() + length + close.len()..];
        }
        kept.push_str(rest);
        message.content = kept.trim_start_matches('\n').to_owned();
        message.thought.clear();
    }
}
