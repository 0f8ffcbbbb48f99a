//! Processes of their own for what others have made: tokenizers and chat templates of models, and files of data.
//!
//! Such a thing may never end, fill the memory or break what reads it. The same binary reads it with limits
//! (`inside`), and the server asks: a JSON line a request, and one or several lines an answer. A process that takes too
//! long, or that nobody waits for any more, is killed.

mod inside;

pub use inside::serve;

use std::{
    collections::HashMap,
    io,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};
use wire::BoardError;

use crate::{command::WorkerCommand, config::Folders};

/// Requests that are worked on at the same time; others wait.
const AT_ONCE: usize = 4;
/// So many of them about the same thing: one that takes long leaves room for others.
const AT_ONCE_EACH: usize = 2;
/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is kept of the words of a process that ended.
const STDERR_TAIL: u64 = 4096;
/// Variables that hold secrets, which no such process needs.
const SECRETS: [&str; 4] =
    ["CHANDLER_PASSWORD", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN"];

/// A line of an answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    /// How far it is; more lines follow.
    Progress(T),
    Done(T),
    Failed(BoardError),
}

/// What a helper is asked.
pub trait Request: Serialize + Sync {
    /// What it looks at, in words: `the data set "x"`.
    fn subject(&self) -> String;
}

/// Starts processes as they are needed, and keeps the one that was used last.
pub struct Helpers {
    command: WorkerCommand,
    folders: Arc<Folders>,
    at_once: Semaphore,
    /// The same for each subject that is asked about.
    each: Mutex<HashMap<String, Arc<Semaphore>>>,
    idle: Mutex<Option<Process>>,
}

/// Dropped, it is killed.
struct Process {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

/// Why there is no answer.
enum Lost {
    /// Too late.
    Late(Duration),
    /// The process ended; its last words.
    Ended(String),
    Failed(BoardError),
}

impl Helpers {
    /// Helpers that this command starts, which read in these folders.
    pub fn new(command: WorkerCommand, folders: Arc<Folders>) -> Helpers {
        Helpers {
            command,
            folders,
            at_once: Semaphore::new(AT_ONCE),
            each: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// Asks, and waits for the answer for so long at most.
    ///
    /// # Errors
    /// The answer is one, it does not come in time, or there are too many other requests.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        request: &impl Request,
        within: Duration,
    ) -> Result<T, BoardError> {
        let busy =
            || BoardError::Refused("others are reading data and models; try again in a moment".to_owned());
        let own = self.turns_of(request.subject());
        let turns = async { Some((own.acquire().await.ok()?, self.at_once.acquire().await.ok()?)) };
        let _turns = timeout(PATIENCE, turns).await.ok().flatten().ok_or_else(busy)?;
        self.follow(request, within, &mut |_: T| ()).await
    }

    fn turns_of(&self, subject: String) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or works holds one.
        each.retain(|_, turns| Arc::strong_count(turns) > 1);
        each.entry(subject).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_EACH))).clone()
    }

    /// The same without waiting for others, of an answer that comes bit by bit: `take` gets what comes before its end,
    /// and no line may take longer than `within`.
    ///
    /// # Errors
    /// As [`Helpers::ask`].
    pub async fn follow<T: DeserializeOwned>(
        &self,
        request: &impl Request,
        within: Duration,
        take: &mut (dyn FnMut(T) + Send),
    ) -> Result<T, BoardError> {
        let internal = |e: &dyn std::fmt::Display| BoardError::Internal(format!("a helper process: {e}"));
        let asked = serde_json::to_string(request).map_err(|e| internal(&e))? + "\n";
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let kept = match idle {
            // One that has ended meanwhile takes nothing in.
            Some(mut process) => process.send(&asked).await.is_ok().then_some(process),
            None => None,
        };
        let mut process = match kept {
            Some(process) => process,
            None => {
                let mut process = self.start().map_err(|e| internal(&e))?;
                process.send(&asked).await.map_err(|e| internal(&e))?;
                process
            }
        };
        match process.answer(within, take).await {
            Ok(answer) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).replace(process);
                Ok(answer)
            }
            Err(Lost::Failed(error)) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).replace(process);
                Err(error)
            }
            Err(lost) => Err(BoardError::Refused(format!("{} {lost}", request.subject()))),
        }
    }

    fn start(&self) -> io::Result<Process> {
        let mut command = Command::new(&self.command.program);
        command.arg0("chandler").args(&self.command.args).arg("serve-data");
        let Folders { models_dir, data_dir, runs_dir } = &*self.folders;
        command.arg("--models-dir").arg(models_dir).arg("--data-dir").arg(data_dir);
        command.arg("--runs-dir").arg(runs_dir);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let pipe = || io::Error::other("it has no pipes");
        Ok(Process {
            input: child.stdin.take().ok_or_else(pipe)?,
            output: BufReader::new(child.stdout.take().ok_or_else(pipe)?).lines(),
            errors: child.stderr.take().ok_or_else(pipe)?,
            _child: child,
        })
    }
}

impl Process {
    async fn send(&mut self, line: &str) -> io::Result<()> {
        self.input.write_all(line.as_bytes()).await?;
        self.input.flush().await
    }

    async fn answer<T: DeserializeOwned>(
        &mut self,
        within: Duration,
        take: &mut (dyn FnMut(T) + Send),
    ) -> Result<T, Lost> {
        loop {
            let line = timeout(within, self.output.next_line()).await.map_err(|_| Lost::Late(within))?;
            let Some(line) = line.ok().flatten() else { return Err(Lost::Ended(self.stderr_tail().await)) };
            match serde_json::from_str(&line) {
                Ok(Line::Progress(progress)) => take(progress),
                Ok(Line::Done(answer)) => return Ok(answer),
                Ok(Line::Failed(error)) => return Err(Lost::Failed(error)),
                Err(e) => return Err(Lost::Failed(BoardError::Internal(format!("a helper process: {e}")))),
            }
        }
    }

    async fn stderr_tail(&mut self) -> String {
        let mut words = Vec::new();
        let mut errors = (&mut self.errors).take(STDERR_TAIL);
        let _ = timeout(Duration::from_secs(1), errors.read_to_end(&mut words)).await;
        String::from_utf8_lossy(&words).into_owned()
    }
}

/// What an error says.
pub fn words(error: &BoardError) -> String {
    match error {
        BoardError::NotFound(what) => format!("there is no `{what}`"),
        BoardError::Refused(why)
        | BoardError::Malformed(why)
        | BoardError::Internal(why)
        | BoardError::Unreachable(why) => why.clone(),
        BoardError::Invalid(problems) => {
            problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::Late(within) => {
                write!(f, "takes longer than {} seconds to read, so that was broken off", within.as_secs())
            }
            Lost::Ended(words) if words.contains("memory allocation") => {
                write!(
                    f,
                    "needs more memory to be read than the {} MiB that there are for it",
                    inside::memory() >> 20
                )
            }
            Lost::Ended(words) => {
                tracing::warn!("a helper process ended: {}", words.trim());
                f.write_str("cannot be read: what read it broke down; its files may be broken")
            }
            Lost::Failed(error) => f.write_str(&words(error)),
        }
    }
}
