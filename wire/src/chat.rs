//! The chat: what can be loaded, what is asked of it, and the events of an answer.

use recipe::{ChatMessage, Sampling};
use serde::{Deserialize, Serialize};

use crate::RunId;

/// Something a chat can be held with: a base model, with or without a run's adapter or checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatTarget {
    /// Opaque; given back to the server to load it.
    pub id: String,
    /// What people know it by.
    pub label: String,
    /// The run it comes from, if from one.
    pub run: Option<RunId>,
    /// The template that its conversations are written in, where one is known.
    pub template: Option<String>,
}

/// How the model's process is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ChatStatus {
    /// There is none.
    #[default]
    Unloaded,
    /// It reads the model, or fetches it.
    Loading {
        /// The target's id.
        target: String,
        /// How far a download is, where the model is not on this machine yet.
        progress: Option<String>,
    },
    /// It answers.
    Ready {
        /// The target's id.
        target: String,
        /// What people know the target by.
        label: String,
    },
    /// It ended by itself, or stands still.
    Failed {
        /// The target's id.
        target: String,
        /// What it said last.
        reason: String,
    },
}

/// Body of `POST /chat/stream`; the answer comes back as server-sent events of [`ChatDelta`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation so far, the last message from the user.
    pub messages: Vec<ChatMessage>,
    /// How the answer's tokens are chosen.
    #[serde(flatten)]
    pub sampling: Sampling,
}

/// A piece of an answer, or its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ChatDelta {
    /// The next piece of text.
    Text {
        /// Whole characters.
        text: String,
    },
    /// The answer is complete.
    Done {
        /// Tokens of the conversation as it was rendered.
        prompt_tokens: u64,
        /// Tokens of the answer.
        completion_tokens: u64,
        /// The most that there can be of both together.
        context: u64,
        /// Speed from the first piece of text on.
        tokens_per_second: f64,
        /// `stop`, `length` or `cancelled`.
        finish_reason: String,
    },
    /// The conversation leaves no room for an answer.
    Full {
        /// How many tokens there are, and how many there may be.
        message: String,
    },
    /// There is no answer, or it broke off.
    Error {
        /// Why, in a sentence.
        message: String,
    },
}
