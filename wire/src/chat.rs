//! The chat: what can be loaded, what is asked of it, and the events of an answer.

use recipe::{ChatMessage, Sampling};
use serde::{Deserialize, Serialize};

use crate::RunId;

/// Something a chat can be held with: a base model, with or without a run's adapter or checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatTarget {
    /// Opaque; given back to the server to load it.
    pub id: String,
    pub label: String,
    /// The run it comes from, if from one.
    pub run: Option<RunId>,
    pub template: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ChatStatus {
    #[default]
    Unloaded,
    Loading {
        target: String,
        /// How far a download is, where the model is not on this machine yet.
        progress: Option<String>,
    },
    Ready {
        target: String,
        label: String,
    },
    Failed {
        target: String,
        reason: String,
    },
}

/// Body of `POST /chat/stream`; the answer comes back as server-sent events of [`ChatDelta`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    pub messages: Vec<ChatMessage>,
    #[serde(flatten)]
    pub sampling: Sampling,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ChatDelta {
    Text {
        text: String,
    },
    Done {
        prompt_tokens: u64,
        completion_tokens: u64,
        /// The most that there can be of both together.
        context: u64,
        tokens_per_second: f64,
        finish_reason: String,
    },
    /// The conversation leaves no room for an answer.
    Full {
        message: String,
    },
    Error {
        message: String,
    },
}
