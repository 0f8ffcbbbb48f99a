//! What can go wrong between a file of text and token ids.

use std::path::{Path, PathBuf};

/// Every message says what went wrong, where, and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// A file is not what its name promises.
    #[error("{}{}: {message}", path.display(), place(*line, *column))]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: usize,
        /// The column, from 1; 0 where it is not known.
        column: usize,
        /// What is wrong there.
        message: String,
    },

    /// An entry of dataset_info.json is missing or wrong.
    #[error("{}, dataset \"{entry}\": {message}", path.display())]
    Dataset {
        /// The dataset_info.json.
        path: PathBuf,
        /// The key of the entry.
        entry: String,
        /// What is wrong with it.
        message: String,
    },

    /// One record is wrong. Rows count from 1.
    #[error("{}, row {row}, key \"{key}\": {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row in it.
        row: usize,
        /// The column of the row.
        key: String,
        /// What is wrong there.
        message: String,
    },

    /// A tokenizer cannot be built, or lacks something.
    #[error("tokenizer {origin}: {message}")]
    Tokenizer {
        /// The folder or file that it came from.
        origin: String,
        /// What cannot be done.
        message: String,
    },

    /// A template is unknown or cannot express a conversation.
    #[error("template \"{name}\": {message}")]
    Template {
        /// The template.
        name: String,
        /// What cannot be done.
        message: String,
    },

    /// A tool description (`tools`) or tool call (`function_call`) is not valid.
    #[error("{what}: {message}")]
    Tool {
        /// The column: `tools` or `function_call`.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },

    /// A recipe's argument does not fit the data or the tokenizer.
    #[error("{key}: {message}")]
    Setting {
        /// The argument.
        key: &'static str,
        /// What was given and what is allowed.
        message: String,
    },

    /// The user wants no more of it.
    #[error("stopped")]
    Stopped,
}

/// Shorthand of this part of the crate.
pub type Result<T> = std::result::Result<T, Error>;

fn place(line: usize, column: usize) -> String {
    match (line, column) {
        (0, _) => String::new(),
        (line, 0) => format!(", line {line}"),
        (line, column) => format!(", line {line}, column {column}"),
    }
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: "read", path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Io { action: "write", path: path.to_owned(), source }
    }

    /// A JSON error with its place; `line_offset` lines come before the parsed text.
    pub(crate) fn json(path: &Path, error: &serde_json::Error, line_offset: usize) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let line = if error.line() == 0 { 0 } else { error.line() + line_offset };
        Self::Parse {
            path: path.to_owned(),
            line,
            column: error.column(),
            message: format!("not valid JSON: {message}"),
        }
    }

    pub(crate) fn tools(message: impl Into<String>) -> Self {
        Self::Tool { what: "tools", message: message.into() }
    }

    pub(crate) fn call(message: impl Into<String>) -> Self {
        Self::Tool { what: "function_call", message: message.into() }
    }

    pub(crate) fn tokenizer(origin: &str, message: impl Into<String>) -> Self {
        Self::Tokenizer { origin: origin.to_owned(), message: message.into() }
    }
}
