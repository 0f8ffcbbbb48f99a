//! The conversation itself: turns, and the answer that is being given.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use wire::Sampling;

use crate::i18n::Words;
#[cfg(feature = "hydrate")]
use wire::{ChatDelta, ChatMessage, ChatRequest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Assistant,
}

/// One message of the conversation. Its text grows while it is an answer that is being given.
#[derive(Clone, Copy)]
pub struct Turn {
    pub id: u64,
    pub role: Role,
    pub text: RwSignal<String>,
    /// What to say below it: how long it took, why it ended.
    pub note: RwSignal<Option<String>>,
    pub error: RwSignal<Option<String>>,
    /// The conversation had no room for it.
    pub is_full: RwSignal<bool>,
}

#[derive(Clone, Copy)]
pub struct Talk {
    pub turns: RwSignal<Vec<Turn>>,
    pub answering: RwSignal<bool>,
    /// What is being written.
    pub draft: RwSignal<String>,
    pub system: RwSignal<String>,
    pub sampling: RwSignal<Sampling>,
    count: StoredValue<u64>,
    #[cfg(feature = "hydrate")]
    abort: StoredValue<Option<web_sys::AbortController>, LocalStorage>,
}

impl Talk {
    pub fn new() -> Talk {
        Talk {
            turns: RwSignal::new(Vec::new()),
            answering: RwSignal::new(false),
            draft: RwSignal::new(String::new()),
            system: RwSignal::new(String::new()),
            sampling: RwSignal::new(Sampling::default()),
            count: StoredValue::new(0),
            #[cfg(feature = "hydrate")]
            abort: StoredValue::new_local(None),
        }
    }

    /// Says something and asks for the answer.
    pub fn send(self, text: String, words: &'static Words) {
        if text.trim().is_empty() || self.answering.get_untracked() {
            return;
        }
        self.push(Role::User, text);
        self.answer(words);
    }

    /// Drops the last answer and asks for another.
    pub fn regenerate(self, words: &'static Words) {
        if self.answering.get_untracked() {
            return;
        }
        self.turns.update(|turns| {
            if turns.last().is_some_and(|turn| turn.role == Role::Assistant) {
                turns.pop();
            }
        });
        self.answer(words);
    }

    /// Drops the oldest question and its answer, and asks for the last answer again.
    pub fn shorten(self, words: &'static Words) {
        self.turns.update(|turns| {
            let second = turns.iter().enumerate().skip(1).find(|(_, turn)| turn.role == Role::User);
            if let Some((place, _)) = second {
                turns.drain(..place);
            }
        });
        self.regenerate(words);
    }

    /// Whether there is an older question than the last one.
    pub fn can_be_shortened(self) -> bool {
        self.turns.with(|turns| turns.iter().filter(|turn| turn.role == Role::User).count() > 1)
    }

    pub fn clear(self) {
        self.stop();
        self.turns.update(Vec::clear);
    }

    pub fn push(self, role: Role, text: String) -> Turn {
        self.count.update_value(|count| *count += 1);
        let turn = Turn {
            id: self.count.get_value(),
            role,
            text: RwSignal::new(text),
            note: RwSignal::new(None),
            error: RwSignal::new(None),
            is_full: RwSignal::new(false),
        };
        self.turns.update(|turns| turns.push(turn));
        turn
    }

    #[cfg(feature = "hydrate")]
    fn request(self) -> ChatRequest {
        let system = self.system.get_untracked();
        let system =
            (!system.trim().is_empty()).then(|| ChatMessage { role: "system".into(), content: system });
        let said = self.turns.with_untracked(|turns| {
            let messages = turns.iter().map(|turn| ChatMessage {
                role: if turn.role == Role::User { "user" } else { "assistant" }.into(),
                content: turn.text.get_untracked(),
            });
            messages.collect::<Vec<_>>()
        });
        ChatRequest {
            messages: system.into_iter().chain(said).collect(),
            sampling: self.sampling.get_untracked(),
        }
    }

    /// Ends the answer that is being given; what came of it stays.
    pub fn stop(self) {
        #[cfg(feature = "hydrate")]
        self.abort.update_value(|abort| {
            if let Some(abort) = abort.take() {
                abort.abort();
            }
        });
    }

    #[cfg(not(feature = "hydrate"))]
    fn answer(self, _words: &'static Words) {}

    #[cfg(feature = "hydrate")]
    fn answer(self, words: &'static Words) {
        let Ok(abort) = web_sys::AbortController::new() else { return };
        let request = self.request();
        let turn = self.push(Role::Assistant, String::new());
        let signal = abort.signal();
        self.abort.set_value(Some(abort));
        self.answering.set(true);
        leptos::task::spawn_local(async move {
            let mut complete = false;
            let paint = Paint::new(turn.text);
            let outcome = super::stream::ask(&request, &signal, |delta| match delta {
                ChatDelta::Text { text } => paint.add(&text),
                other => complete |= turn.end(&other, words),
            })
            .await;
            paint.flush();
            if signal.aborted() {
                turn.note.try_set(Some(words.chat_stopped.into()));
            } else if let Err(reason) = outcome {
                turn.error.try_set(Some(reason));
            } else if !complete {
                turn.error.try_set(Some(words.chat_lost.into()));
            }
            self.answering.try_set(false);
        });
    }
}

#[cfg(feature = "hydrate")]
impl Turn {
    /// Takes in how the answer ended; `false` if it did not.
    fn end(&self, delta: &ChatDelta, words: &Words) -> bool {
        match delta {
            ChatDelta::Text { .. } => return false,
            ChatDelta::Done {
                prompt_tokens,
                completion_tokens,
                context,
                tokens_per_second,
                finish_reason,
            } => {
                let tokens = crate::format::count(*completion_tokens);
                let speed = format!("{tokens_per_second:.1}");
                let mut note = crate::i18n::fill(words.chat_stats, &[("tokens", &tokens), ("speed", &speed)]);
                if finish_reason == "length" {
                    let is_full = *context > 0 && prompt_tokens + completion_tokens >= *context;
                    let why = if is_full { words.chat_full } else { words.chat_cut };
                    let why = crate::i18n::fill(why, &[("n", &crate::format::count(*context))]);
                    note = format!("{note} · {why}");
                }
                self.note.try_set(Some(note));
            }
            ChatDelta::Full { message } => {
                self.is_full.try_set(true);
                self.error.try_set(Some(message.clone()));
            }
            ChatDelta::Error { message } => drop(self.error.try_set(Some(message.clone()))),
        }
        true
    }
}

/// Gathers pieces of text and shows them once per frame: Markdown is rendered anew each time.
#[cfg(feature = "hydrate")]
#[derive(Clone)]
struct Paint {
    text: RwSignal<String>,
    gathered: std::rc::Rc<std::cell::RefCell<String>>,
}

#[cfg(feature = "hydrate")]
impl Paint {
    fn new(text: RwSignal<String>) -> Paint {
        Paint { text, gathered: Default::default() }
    }

    fn add(&self, piece: &str) {
        let first = self.gathered.borrow().is_empty();
        self.gathered.borrow_mut().push_str(piece);
        if first {
            let paint = self.clone();
            request_animation_frame(move || paint.flush());
        }
    }

    fn flush(&self) {
        let gathered = self.gathered.take();
        if !gathered.is_empty() {
            self.text.try_update(|text| text.push_str(&gathered));
        }
    }
}
