//! What can go wrong in the engine, in words for the person who started the run.

use std::path::{Path, PathBuf};

/// An error names what went wrong, where, what was given and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file exists but its contents cannot be used.
    #[error("{}: {message}", path.display())]
    File { path: PathBuf, message: String },
    /// The recipe asks for something that does not fit the model or the data.
    #[error("{key}: {message}")]
    Recipe { key: String, message: String },
    #[error("{0}")]
    Training(String),
    /// A sequence cannot be generated further.
    #[error("{0}")]
    Generation(String),
    /// A conversation leaves no room for an answer.
    #[error(
        "the conversation has {tokens} tokens and the model's context window is {context}; drop its oldest messages or \
         start a new one"
    )]
    Context { tokens: usize, context: usize },
    /// A sequence, at the longest that it may become, does not fit into the memory for keys and values, in bytes; `room`
    /// are the tokens that do.
    #[error(
        "the prompt's {prompt} tokens and an answer of up to {answer} need {} of memory for keys and values, and there are \
         {}, enough for {room} tokens together; ask for a shorter answer (max_new_tokens), or drop the oldest messages",
        mebibytes(*needed), mebibytes(*there)
    )]
    Memory { prompt: usize, answer: usize, needed: usize, there: usize, room: usize },
    /// The user wants no more of it.
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Text(crate::text::Error),
    #[error("model_name_or_path: {0}")]
    Hub(crate::hub::Error),
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<crate::text::Error> for Error {
    fn from(error: crate::text::Error) -> Self {
        match error {
            crate::text::Error::Stopped => Error::Stopped,
            error => Error::Text(error),
        }
    }
}

impl From<crate::hub::Error> for Error {
    fn from(error: crate::hub::Error) -> Self {
        match error {
            crate::hub::Error::Stopped => Error::Stopped,
            error => Error::Hub(error),
        }
    }
}

impl Error {
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    pub fn file(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_owned(), message: message.into() }
    }

    /// Whether something in this folder is what went wrong.
    pub fn is_within(&self, folder: &Path) -> bool {
        match self {
            Error::Io { path, .. } | Error::File { path, .. } => path.starts_with(folder),
            _ => false,
        }
    }

    pub fn recipe(key: &str, message: impl Into<String>) -> Self {
        Error::Recipe { key: key.to_owned(), message: message.into() }
    }
}
