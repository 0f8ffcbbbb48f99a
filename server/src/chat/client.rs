//! Asks the model's process over its socket.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use axum::body::Body;
use futures_util::{Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use wire::{ChatDelta, ChatRequest, sse::Reader};

use super::{
    openai::{CONTEXT_FULL, Chunk, Completions, Failure},
    worker::KEEP_ALIVE,
};

/// How long the head of an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// No model is loaded.
    #[error("no model is loaded; load one first")]
    Unloaded,
    /// A model is being loaded.
    #[error("the model is still being loaded")]
    Loading,
    /// The process refuses the request, and says why.
    #[error("{0}")]
    Refused(String),
    #[error(
        "the model's process stands still: it was stopped from outside, or hangs; wait until it goes on, or load the model \
         anew"
    )]
    /// The process is there and does not answer.
    Still,
    /// The connection to the process broke.
    #[error("the model's process does not answer: {0}")]
    Lost(Box<dyn std::error::Error + Send + Sync>),
}

impl ChatError {
    fn lost(error: impl std::error::Error + Send + Sync + 'static) -> ChatError {
        ChatError::Lost(Box::new(error))
    }
}

/// Whether the process answers.
pub(super) async fn health(socket: &Path) -> Result<(), ChatError> {
    let request = Request::get("/health").body(Body::empty()).map_err(ChatError::lost)?;
    send(socket, request).await.map(drop)
}

/// Asks for a streamed answer.
pub(super) async fn answer(
    socket: &Path,
    request: &ChatRequest,
) -> Result<impl Stream<Item = ChatDelta> + use<>, ChatError> {
    let body = serde_json::to_vec(&Completions::streamed(request)).map_err(ChatError::lost)?;
    let request = Request::post("/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(ChatError::lost)?;
    let response = send(socket, request).await?;
    Ok(deltas(response.into_body()))
}

/// The process answers at once, whatever its model is at.
async fn send(socket: &Path, request: Request<Body>) -> Result<Response<Incoming>, ChatError> {
    tokio::time::timeout(PATIENCE, exchange(socket, request)).await.unwrap_or(Err(ChatError::Still))
}

async fn exchange(socket: &Path, mut request: Request<Body>) -> Result<Response<Incoming>, ChatError> {
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let stream = UnixStream::connect(socket).await.map_err(ChatError::lost)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ChatError::lost)?;
    tokio::spawn(async move {
        // An answer that is dropped half-way ends its connection: that is how a generation is stopped.
        if let Err(e) = connection.await {
            tracing::debug!("connection to the model's process: {e}");
        }
    });
    let response = sender.send_request(request).await.map_err(ChatError::lost)?;
    if response.status() == StatusCode::OK {
        return Ok(response);
    }
    let status = response.status();
    let body = response.into_body().collect().await.map_err(ChatError::lost)?.to_bytes();
    let message = match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) => failure.error.message,
        Err(_) => format!("the model's process answers {status}"),
    };
    Err(ChatError::Refused(message))
}

/// Translates the process' events to the page's. It sends something all the time: silence means that it stands still.
fn deltas(body: Incoming) -> impl Stream<Item = ChatDelta> {
    let reading = Reading { events: Reader::default(), started: None, finish: None };
    let begun = Some((body.into_data_stream(), reading));
    let pieces = futures_util::stream::unfold(begun, |state| async {
        let (mut body, mut reading) = state?;
        let broken = |message: String| (vec![ChatDelta::Error { message }], None);
        Some(match tokio::time::timeout(3 * KEEP_ALIVE, body.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(bytes))) => (reading.take(&bytes), Some((body, reading))),
            Ok(Some(Err(e))) => broken(format!("the answer broke off: {e}")),
            Err(_) => broken(ChatError::Still.to_string()),
        })
    });
    pieces.flat_map(futures_util::stream::iter)
}

struct Reading {
    events: Reader,
    /// When the first piece of text came.
    started: Option<Instant>,
    finish: Option<String>,
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) -> Vec<ChatDelta> {
        let events = self.events.push(bytes);
        events
            .iter()
            .filter_map(|data| serde_json::from_str(data).ok())
            .filter_map(|c| self.delta(c))
            .collect()
    }

    fn delta(&mut self, chunk: Chunk) -> Option<ChatDelta> {
        if let Some(error) = chunk.error {
            return Some(match error.code.as_deref() {
                Some(CONTEXT_FULL) => ChatDelta::Full { message: error.message },
                _ => ChatDelta::Error { message: error.message },
            });
        }
        if let Some(usage) = chunk.usage {
            let seconds = self.started.map_or(0.0, |started| started.elapsed().as_secs_f64());
            let tokens = usage.completion_tokens;
            return Some(ChatDelta::Done {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: tokens,
                tokens_per_second: if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 },
                context: usage.context,
                finish_reason: self.finish.take().unwrap_or_else(|| "stop".to_owned()),
            });
        }
        let choice = chunk.choices.into_iter().next()?;
        if choice.finish_reason.is_some() {
            self.finish = choice.finish_reason;
        }
        let text = choice.delta.content.filter(|text| !text.is_empty())?;
        self.started.get_or_insert_with(Instant::now);
        Some(ChatDelta::Text { text })
    }
}
