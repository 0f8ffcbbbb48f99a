//! What runs in the model's process: one model, several answers at a time, OpenAI's format on a Unix socket.

use std::{
    convert::Infallible,
    io::Read,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
    routing::{get, post},
};
use engine::kernel::on_pool;
use tokio::{net::UnixListener, sync::mpsc as channel};
use tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};
use wire::{ChatMessage, Sampling};

use super::openai::{
    CONTEXT_FULL, Choice, Chunk, ChunkChoice, Completion, Completions, Delta, ErrorBody, Failure, Usage,
};
use crate::{clock, random};

/// Answers that are written at the same time: so many, the engine's products read a model's weights once for all.
const RUNNING: usize = 8;
/// Requests that may wait while those are answered.
const WAITING: usize = 8;
const LARGEST_BODY: usize = 4 << 20;
/// While there is nothing to tell, a sign of life is sent so often.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// How an answer came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Tokens of the conversation.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// Tokens of a prompt and an answer together, at most.
    pub context: u64,
}

/// Why there is no answer, as a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unanswered {
    /// The sentence.
    pub message: String,
    /// The conversation does not fit into the context window, or into memory.
    pub is_full: bool,
}

impl Unanswered {
    fn body(self) -> ErrorBody {
        ErrorBody { message: self.message, code: self.is_full.then(|| CONTEXT_FULL.to_owned()) }
    }
}

/// A model that answers.
pub trait Model: Send + 'static {
    /// A place for conversations that are answered together.
    fn answers(&mut self) -> Box<dyn Answers + '_>;

    /// Gives one answer piece by piece until it is complete or `on_text` breaks it off.
    ///
    /// # Errors
    /// There is none, or it broke off.
    fn answer(
        &mut self,
        messages: &[ChatMessage],
        sampling: &Sampling,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), Unanswered> {
        let mut answers = self.answers();
        answers.begin(messages, sampling)?;
        loop {
            for (_, piece) in answers.step()? {
                match piece {
                    Piece::Text(text) if on_text(&text).is_break() => return Ok(()),
                    Piece::Text(_) => {}
                    Piece::Done(answer) => return answer.map(drop),
                }
            }
        }
    }
}

/// Answers that are written at the same time. Each begins and ends at any step.
pub trait Answers {
    /// Begins an answer, and names it.
    ///
    /// # Errors
    /// There is none to this conversation.
    fn begin(&mut self, messages: &[ChatMessage], sampling: &Sampling) -> Result<u64, Unanswered>;

    /// Writes a little more of all, and says what came of which.
    ///
    /// # Errors
    /// None of them can go on.
    fn step(&mut self) -> Result<Vec<(u64, Piece)>, Unanswered>;

    /// Breaks one off that is not complete.
    fn cancel(&mut self, id: u64);
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum Piece {
    /// More of its text.
    Text(String),
    /// The last one.
    Done(Result<Answer, Unanswered>),
}

struct Job {
    messages: Vec<ChatMessage>,
    sampling: Sampling,
    /// Has room for all of an answer, which the model's context bounds: a slow reader keeps nobody else waiting.
    pieces: channel::UnboundedSender<Piece>,
}

type Jobs = Arc<SyncSender<Job>>;

/// Serves `model` on a new socket at `path`, until the process ends.
///
/// # Errors
/// The socket cannot be made.
pub async fn serve(model: impl Model, path: &Path) -> std::io::Result<()> {
    let listener = UnixListener::bind(path).map_err(|e| {
        std::io::Error::new(e.kind(), format!("cannot make the socket {}: {e}", path.display()))
    })?;
    let router = Router::new()
        .route("/health", get(async || "ok"))
        .route("/v1/chat/completions", post(completions))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(start(model)?);
    axum::serve(listener, router).await
}

/// Ends this process with the server, however that ends, and removes the socket with its folder.
///
/// The standard input is a pipe that the server holds open and never writes to: it closes then.
///
/// # Errors
/// No thread can be started.
pub fn end_with_parent(socket: &Path) -> std::io::Result<()> {
    let socket = socket.to_owned();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        // A server that ended in order has removed them itself.
        let _ = std::fs::remove_file(&socket);
        let _ = socket.parent().map(std::fs::remove_dir);
        std::process::exit(0);
    })?;
    Ok(())
}

/// A thread of its own writes the answers.
fn start(mut model: impl Model) -> std::io::Result<Jobs> {
    let (sender, mut jobs) = mpsc::sync_channel::<Job>(WAITING);
    std::thread::Builder::new().name("model".to_owned()).spawn(move || {
        while let Ok(first) = jobs.recv() {
            on_pool(|| answer_together(&mut model, first, &mut jobs));
        }
    })?;
    Ok(Arc::new(sender))
}

/// Answers a job and those that come meanwhile, until there is none left.
fn answer_together(model: &mut impl Model, first: Job, jobs: &mut Receiver<Job>) {
    let mut answers = model.answers();
    let mut running: Vec<(u64, channel::UnboundedSender<Piece>)> = Vec::new();
    let mut next = Some(first);
    loop {
        while running.len() < RUNNING {
            let Some(job) = next.take().or_else(|| jobs.try_recv().ok()) else { break };
            // Whoever asked may have left while waiting.
            if job.pieces.is_closed() {
                continue;
            }
            match answers.begin(&job.messages, &job.sampling) {
                Ok(id) => running.push((id, job.pieces)),
                Err(why) => tell(&job.pieces, Piece::Done(Err(why))),
            }
        }
        running.retain(|(id, pieces)| {
            if pieces.is_closed() {
                answers.cancel(*id);
            }
            !pieces.is_closed()
        });
        if running.is_empty() {
            return;
        }
        match answers.step() {
            Ok(said) => {
                for (id, piece) in said {
                    let Some(at) = running.iter().position(|(other, _)| *other == id) else { continue };
                    let is_last = matches!(piece, Piece::Done(_));
                    tell(&running[at].1, piece);
                    if is_last {
                        running.remove(at);
                    }
                }
            }
            Err(why) => {
                running.iter().for_each(|(_, pieces)| tell(pieces, Piece::Done(Err(why.clone()))));
                return;
            }
        }
    }
}

/// Where nobody listens any more, there is nothing to tell.
fn tell(pieces: &channel::UnboundedSender<Piece>, piece: Piece) {
    let _ = pieces.send(piece);
}

async fn completions(State(jobs): State<Jobs>, Json(request): Json<Completions>) -> Response {
    if let Err(why) = check(&request) {
        return failure(StatusCode::BAD_REQUEST, why);
    }
    let (pieces, receiver) = channel::unbounded_channel();
    let job = Job { sampling: request.sampling(), messages: request.messages, pieces };
    match jobs.try_send(job) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => {
            let busy = "the model is busy with other answers; try again in a moment";
            return failure(StatusCode::SERVICE_UNAVAILABLE, busy);
        }
        Err(TrySendError::Disconnected(_)) => {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "the model's thread ended");
        }
    }
    let head =
        Head { id: random::word(24).unwrap_or_default(), created: clock::now() / 1000, model: request.model };
    if request.stream { streamed(head, receiver) } else { whole(head, receiver).await }
}

/// What the engine would only stumble over later.
fn check(request: &Completions) -> Result<(), String> {
    let sampling = request.sampling();
    if request.messages.is_empty() {
        return Err("`messages` is empty; give at least one".to_owned());
    }
    if let Some(message) =
        request.messages.iter().find(|m| !matches!(&*m.role, "system" | "user" | "assistant"))
    {
        return Err(format!("the role `{}` is not known; use system, user or assistant", message.role));
    }
    let numbers = [
        ("temperature", sampling.temperature, 0.0, 10.0),
        ("top_p", sampling.top_p, 0.0, 1.0),
        ("repetition_penalty", sampling.repetition_penalty, 0.01, 10.0),
        ("max_tokens", sampling.max_new_tokens as f64, 1.0, 1e6),
    ];
    for (name, value, low, high) in numbers {
        if !(low..=high).contains(&value) {
            return Err(format!("`{name}` is {value}; give a number from {low} to {high}"));
        }
    }
    Ok(())
}

fn failure(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(Failure::new(why))).into_response()
}

/// What every part of one answer carries.
struct Head {
    id: String,
    created: u64,
    model: String,
}

impl Head {
    fn chunk(&self) -> Chunk {
        Chunk {
            id: format!("chatcmpl-{}", self.id),
            object: "chat.completion.chunk".to_owned(),
            created: self.created,
            model: self.model.clone(),
            ..Chunk::default()
        }
    }

    fn choice(&self, delta: Delta, finish_reason: Option<String>) -> Chunk {
        Chunk { choices: vec![ChunkChoice { index: 0, delta, finish_reason }], ..self.chunk() }
    }

    fn chunks(&self, piece: Piece) -> Vec<Chunk> {
        match piece {
            Piece::Text(text) => vec![self.choice(Delta { content: Some(text), role: None }, None)],
            Piece::Done(Ok(answer)) => {
                let usage = Usage::of(&answer);
                let end = self.choice(Delta::default(), Some(answer.finish_reason));
                vec![end, Chunk { usage: Some(usage), ..self.chunk() }]
            }
            Piece::Done(Err(why)) => vec![Chunk { error: Some(why.body()), ..self.chunk() }],
        }
    }
}

fn streamed(head: Head, pieces: channel::UnboundedReceiver<Piece>) -> Response {
    let role = Delta { role: Some("assistant".to_owned()), content: Some(String::new()) };
    let first = tokio_stream::once(head.choice(role, None));
    let chunks =
        UnboundedReceiverStream::new(pieces).map(move |piece| tokio_stream::iter(head.chunks(piece)));
    let chunks = first.chain(futures_util::StreamExt::flatten(chunks));
    let events = chunks.map(|chunk| {
        Ok::<_, Infallible>(sse::Event::default().data(serde_json::to_string(&chunk).unwrap_or_default()))
    });
    let events = events.chain(tokio_stream::once(Ok(sse::Event::default().data("[DONE]"))));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

async fn whole(head: Head, mut pieces: channel::UnboundedReceiver<Piece>) -> Response {
    let mut text = String::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Done(Err(why)) => {
                let status =
                    if why.is_full { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR };
                return (status, Json(Failure { error: why.body() })).into_response();
            }
            Piece::Done(Ok(answer)) => {
                let usage = Usage::of(&answer);
                let message = ChatMessage { role: "assistant".to_owned(), content: text };
                let choice = Choice { index: 0, message, finish_reason: answer.finish_reason };
                let completion = Completion {
                    id: format!("chatcmpl-{}", head.id),
                    object: "chat.completion",
                    created: head.created,
                    model: head.model,
                    choices: [choice],
                    usage,
                };
                return Json(completion).into_response();
            }
        }
    }
    failure(StatusCode::INTERNAL_SERVER_ERROR, "the model's thread ended")
}
