//! What can go wrong in the engine, in words for the person who started the run.

use std::path::{Path, PathBuf};

/// An error names what went wrong, where, what was given and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file exists but its contents cannot be used.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The recipe asks for something that does not fit the model or the data.
    #[error("{key}: {message}")]
    Recipe {
        /// The argument.
        key: String,
        /// What does not fit, and what would.
        message: String,
    },
    /// A run cannot go on.
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
    Context {
        /// Tokens of the conversation.
        tokens: usize,
        /// Tokens that the model can see.
        context: usize,
    },
    /// A sequence, at the longest that it may become, does not fit into the memory for keys and values.
    #[error(
        "the prompt's {prompt} tokens and an answer of up to {answer} need {} of memory for keys and values, and there are \
         {}, enough for {room} tokens together; ask for a shorter answer (max_new_tokens), or drop the oldest messages",
        mebibytes(*needed), mebibytes(*there)
    )]
    Memory {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens that may follow.
        answer: usize,
        /// Bytes for all of them.
        needed: usize,
        /// Bytes that there are.
        there: usize,
        /// Tokens that fit into those.
        room: usize,
    },
    /// The user wants no more of it.
    #[error("stopped")]
    Stopped,
    /// A tokenizer, a template or data.
    #[error(transparent)]
    Text(crate::text::Error),
    /// A model cannot be fetched.
    #[error("model_name_or_path: {0}")]
    Hub(crate::hub::Error),
    /// An operation of candle, or of its device.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What an operation of the engine gives, or why not.
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
    /// What the system says of a file.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// What is wrong with a file.
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

    /// What is wrong with an argument.
    pub fn recipe(key: &str, message: impl Into<String>) -> Self {
        Error::Recipe { key: key.to_owned(), message: message.into() }
    }
}
