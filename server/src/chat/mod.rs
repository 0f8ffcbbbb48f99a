//! The loaded model: a process of its own, so that unloading gives all its memory back and a crash
//! stays its own.
//!
//! [`Chat`] starts and ends the process, `worker` is what runs in it, `client` asks it over a private
//! Unix socket in OpenAI's format (`openai`).

mod client;
mod engine;
mod openai;
mod worker;

pub use client::ChatError;
pub use engine::load;
pub use worker::{Answer, Answers, Model, Piece, Unanswered, end_with_parent, serve};

use std::{
    convert::Infallible,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::Stream;
use recipe::{HubTokens, shortened};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    task::AbortHandle,
};
use wire::{ChatDelta, ChatRequest, ChatStatus, RunId};

use crate::{
    command::{WorkerCommand, end_before_server},
    random,
};

/// Begins the lines in which a model's process says how far a download is.
pub const DOWNLOADING: &str = "downloading ";
/// Begins the names of the folders that hold sockets.
const SOCKETS: &str = ".chat-";
/// Linux has room for 108 bytes, one of them the NUL at the end (unix(7)).
const LONGEST_SOCKET: usize = 107;
/// How often a loading model is asked whether it is ready.
const BEAT: Duration = Duration::from_millis(50);

/// How often a loaded model is asked whether it answers.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The id that the page knows it by.
    pub target: String,
    /// What the page calls it.
    pub label: String,
    /// The run that it is a result of, if it is one.
    pub run: Option<RunId>,
    /// Where it is, and how it is spoken to.
    pub weights: Weights,
}

/// Where a model's weights are, and how it is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Model folder, GGUF file, or the name of a model on a hub.
    pub model: PathBuf,
    /// Branch, tag or commit of a model on a hub.
    pub revision: Option<String>,
    /// Adapter folders, applied one on the other.
    pub adapters: Vec<PathBuf>,
    /// Name of a template; none: the model's own.
    pub template: Option<String>,
    /// Who asks the hub.
    pub tokens: HubTokens,
}

/// At most one model at a time.
pub struct Chat {
    command: WorkerCommand,
    /// Where the socket may be, the best place first.
    folders: Vec<PathBuf>,
    /// MiB for keys and values of the loaded model; none: what its process finds fit.
    cache: Option<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    status: ChatStatus,
    source: Option<Source>,
    socket: Option<Arc<SocketDir>>,
    /// The process is there and does not answer.
    is_still: bool,
    /// The task that holds the process; ending it ends the process.
    watcher: Option<AbortHandle>,
    /// Counts loads and unloads, so that a watcher knows whether it still speaks for the current one.
    generation: u64,
}

impl Chat {
    /// A chat whose socket is where temporary files are.
    pub fn new(command: WorkerCommand) -> Arc<Chat> {
        Chat::in_folders(command, vec![std::env::temp_dir()], None)
    }

    /// A chat whose socket is in the first of these folders that can hold it, and whose models have so many MiB for keys and
    /// values.
    pub fn in_folders(command: WorkerCommand, folders: Vec<PathBuf>, cache: Option<u64>) -> Arc<Chat> {
        Arc::new(Chat { command, folders, cache, state: Mutex::default() })
    }

    /// How processes of this program are started.
    pub fn command(&self) -> &WorkerCommand {
        &self.command
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a model is loaded, being loaded, or why there is none.
    pub fn status(&self) -> ChatStatus {
        let state = self.lock();
        match &state.status {
            ChatStatus::Ready { target, .. } if state.is_still => {
                ChatStatus::Failed { target: target.clone(), reason: ChatError::Still.to_string() }
            }
            status => status.clone(),
        }
    }

    /// Loads a model in place of the one that is loaded. Returns at once; [`Chat::status`] tells.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn load(self: &Arc<Self>, source: Source) -> io::Result<()> {
        let mut state = self.lock();
        state.clear();
        let socket = Arc::new(SocketDir::new(&self.folders)?);
        let child = self.spawn(&source, &socket.socket())?;
        state.status = ChatStatus::Loading { target: source.target.clone(), progress: None };
        state.source = Some(source);
        state.socket = Some(socket.clone());
        let watcher = tokio::spawn(watch(self.clone(), child, socket, state.generation));
        state.watcher = Some(watcher.abort_handle());
        Ok(())
    }

    /// Ends the process, and with it all that it has.
    pub fn unload(&self) {
        self.lock().clear();
    }

    /// Unloads what belongs to a run that is about to be deleted.
    pub fn unload_run(&self, id: &str) {
        let mut state = self.lock();
        if state.source.as_ref().is_some_and(|source| source.run.as_deref() == Some(id)) {
            state.clear();
        }
    }

    /// Starts the process. It ends by itself when the pipe to its standard input closes: with the
    /// server, however that ends.
    fn spawn(&self, source: &Source, socket: &Path) -> io::Result<Child> {
        let Weights { model, revision, adapters, template, tokens } = &source.weights;
        let mut command = Command::new(&self.command.program);
        command.arg0("chandler").args(&self.command.args).arg("serve-model");
        command.arg("--socket").arg(socket).arg("--model").arg(model);
        if let Some(revision) = revision {
            command.arg("--revision").arg(revision);
        }
        for adapter in adapters {
            command.arg("--adapter").arg(adapter);
        }
        if let Some(template) = template {
            command.arg("--template").arg(template);
        }
        if let Some(cache) = self.cache {
            command.arg("--cache").arg(cache.to_string());
        }
        // Everyone on this machine sees the words of a command, and its user alone the environment.
        command.envs(tokens.hugging_face.as_ref().map(|token| ("HF_TOKEN", token)));
        command.envs(tokens.model_scope.as_ref().map(|token| ("MODELSCOPE_API_TOKEN", token)));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let program = self.command.program.display();
        let what = |e: io::Error| {
            io::Error::new(e.kind(), format!("cannot start the model's process {program}: {e}"))
        };
        let child = command.spawn().map_err(what)?;
        if let Some(pid) = child.id() {
            end_before_server(pid);
        }
        Ok(child)
    }

    /// Asks the loaded model for an answer. Dropping the stream ends the generation.
    ///
    /// # Errors
    /// If no model is ready, its process does not answer, or it refuses the request.
    pub async fn answer(
        &self,
        request: &ChatRequest,
    ) -> Result<impl Stream<Item = ChatDelta> + use<>, ChatError> {
        let (socket, generation) = {
            let state = self.lock();
            match (&state.status, &state.socket) {
                (ChatStatus::Ready { .. }, _) if state.is_still => return Err(ChatError::Still),
                (ChatStatus::Ready { .. }, Some(socket)) => (socket.clone(), state.generation),
                (ChatStatus::Loading { .. }, _) => return Err(ChatError::Loading),
                _ => return Err(ChatError::Unloaded),
            }
        };
        let answer = client::answer(&socket.socket(), request).await;
        if matches!(answer, Err(ChatError::Still)) {
            self.note_still(generation, true);
        }
        answer
    }

    /// Notes whether the process stands still, if `generation` is still the current one.
    fn note_still(&self, generation: u64, is_still: bool) {
        let mut state = self.lock();
        if state.generation == generation {
            state.is_still = is_still;
        }
    }

    /// Notes how far the download of the model that is loading is.
    fn downloading(&self, generation: u64, how_far: &str) {
        let mut state = self.lock();
        if state.generation == generation
            && let ChatStatus::Loading { progress, .. } = &mut state.status
        {
            *progress = Some(how_far.to_owned());
        }
    }

    /// Changes the status, if `generation` is still the current one.
    fn settle(&self, generation: u64, change: impl FnOnce(&Source) -> ChatStatus) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        if let Some(source) = &state.source {
            state.status = change(source);
        }
    }
}

impl State {
    fn clear(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        *self = State { generation: self.generation + 1, ..State::default() };
    }
}

/// Waits until the process is ready, then until it ends.
async fn watch(chat: Arc<Chat>, mut child: Child, socket: Arc<SocketDir>, generation: u64) {
    // Waiting for a child closes its input, which is what tells it to end: taken out before.
    let _lifeline = child.stdin.take();
    let stderr = tokio::spawn(stderr_tail(child.stderr.take(), chat.clone(), generation));
    let path = socket.socket();
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = ready(&path) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            chat.settle(generation, |source| ChatStatus::Ready {
                target: source.target.clone(),
                label: source.label.clone(),
            });
            tokio::select! {
                ended = child.wait() => ended,
                never = listen(&chat, &path, generation) => match never {},
            }
        }
    };
    let stderr = stderr.await.unwrap_or_default();
    let reason = match ended {
        _ if !stderr.is_empty() => stderr,
        Ok(status) => format!("the model's process ended: {status}"),
        Err(e) => format!("the model's process is lost: {e}"),
    };
    chat.settle(generation, |source| ChatStatus::Failed { target: source.target.clone(), reason });
}

/// Notes whether the process answers, again and again.
async fn listen(chat: &Chat, socket: &Path, generation: u64) -> Infallible {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let is_still = matches!(client::health(socket).await, Err(ChatError::Still));
        chat.note_still(generation, is_still);
    }
}

async fn ready(socket: &Path) {
    while client::health(socket).await.is_err() {
        tokio::time::sleep(BEAT).await;
    }
}

/// The last line that the process printed as an error, without the label. Lines about a download become part
/// of the status.
async fn stderr_tail(stderr: Option<ChildStderr>, chat: Arc<Chat>, generation: u64) -> String {
    let Some(stderr) = stderr else { return String::new() };
    let mut lines = BufReader::new(stderr).lines();
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!("model process: {line}");
        if let Some(progress) = line.strip_prefix(DOWNLOADING) {
            chat.downloading(generation, progress);
        } else if !line.trim().is_empty() {
            last = line;
        }
    }
    shortened(last.trim().trim_start_matches("error: ").to_owned())
}

/// A folder that nobody else may look into, for the socket; removed in the end.
struct SocketDir {
    dir: PathBuf,
}

impl SocketDir {
    fn new(folders: &[PathBuf]) -> io::Result<SocketDir> {
        let name = random::word(8).map_err(io::Error::other)?;
        let mut reasons = Vec::new();
        for folder in folders {
            let dir = folder.join(format!("{SOCKETS}{name}"));
            let made = if socket_in(&dir).as_os_str().len() > LONGEST_SOCKET {
                Err(io::Error::other("its path is too long for a socket"))
            } else {
                fs::DirBuilder::new().mode(0o700).create(&dir)
            };
            match made {
                Ok(()) => return Ok(SocketDir { dir }),
                Err(e) => reasons.push(format!("{}: {e}", folder.display())),
            }
        }
        let reasons = reasons.join("; ");
        Err(io::Error::other(format!("there is no place for the socket of the model's process ({reasons})")))
    }

    fn socket(&self) -> PathBuf {
        socket_in(&self.dir)
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("model.sock")
}

/// Removes sockets in a folder of this server's own, left by servers that were killed together with their chats.
pub fn tidy_up(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SOCKETS) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.dir) {
            tracing::warn!("cannot remove {}: {e}", self.dir.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_lies_where_there_is_room_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (far, missing) = (dir.path().join("x".repeat(100)), dir.path().join("missing"));
        fs::create_dir(&far).unwrap();
        let folders = [far.clone(), missing.clone(), dir.path().to_owned()];
        let made = SocketDir::new(&folders).unwrap();
        assert_eq!(made.dir.parent(), Some(dir.path()));
        std::os::unix::net::UnixListener::bind(made.socket()).unwrap();
        let error = SocketDir::new(&folders[..2]).err().unwrap().to_string();
        for part in [far.to_str().unwrap(), "too long", missing.to_str().unwrap(), "No such file"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        std::mem::forget(made);
        tidy_up(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{far:?} alone is left");
    }
}
