//! OpenAI's chat format, as far as it is spoken between the server and the model's process.

use serde::{Deserialize, Serialize};
use wire::{ChatMessage, ChatRequest, Sampling};

use super::Answer;

/// The code of an error: the conversation does not fit into the context window.
pub(super) const CONTEXT_FULL: &str = "context_length_exceeded";

/// Body of `POST /v1/chat/completions`. `top_k`, `repetition_penalty` and `do_sample` are additions of
/// ours; what is left out has LLaMA-Factory's default.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Completions {
    #[serde(default)]
    pub model: String,
    pub messages: Vec<ChatMessage>,
    #[serde(default)]
    pub stream: bool,
    pub do_sample: Option<bool>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<usize>,
    pub max_tokens: Option<usize>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<u64>,
}

impl Completions {
    pub(super) fn streamed(request: &ChatRequest) -> Completions {
        let Sampling { do_sample, temperature, top_p, top_k, max_new_tokens, repetition_penalty, seed } =
            request.sampling.clone();
        Completions {
            model: String::new(),
            messages: request.messages.clone(),
            stream: true,
            do_sample: Some(do_sample),
            temperature: Some(temperature),
            top_p: Some(top_p),
            top_k: Some(top_k),
            max_tokens: Some(max_new_tokens),
            repetition_penalty: Some(repetition_penalty),
            seed,
        }
    }

    pub(super) fn sampling(&self) -> Sampling {
        let standard = Sampling::default();
        Sampling {
            do_sample: self.do_sample.unwrap_or(standard.do_sample),
            temperature: self.temperature.unwrap_or(standard.temperature),
            top_p: self.top_p.unwrap_or(standard.top_p),
            top_k: self.top_k.unwrap_or(standard.top_k),
            max_new_tokens: self.max_tokens.unwrap_or(standard.max_new_tokens),
            repetition_penalty: self.repetition_penalty.unwrap_or(standard.repetition_penalty),
            seed: self.seed,
        }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub id: String,
    pub object: String,
    pub created: u64,
    pub model: String,
    pub choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ChunkChoice {
    pub index: u32,
    pub delta: Delta,
    pub finish_reason: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// The most that there can be of them; an addition of ours.
    #[serde(default)]
    pub context: u64,
}

impl Usage {
    pub(super) fn of(answer: &Answer) -> Usage {
        let Answer { prompt_tokens, completion_tokens, context, .. } = *answer;
        Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens, context }
    }
}

/// A whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Completion {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub choices: [Choice; 1],
    pub usage: Usage,
}

#[derive(Debug, Serialize)]
pub(super) struct Choice {
    pub index: u32,
    pub message: ChatMessage,
    pub finish_reason: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub error: ErrorBody,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Failure {
        Failure { error: ErrorBody { message: message.into(), code: None } }
    }
}
