//! What can go wrong between this machine and a hub.

use std::path::{Path, PathBuf};

/// Every message names the repository or file and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the cache could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// The repository is not in the cache, and may not be fetched.
    #[error(
        "{what} is not on this machine, and {offline} is set; unset it, or download it where there is a network"
    )]
    Offline {
        /// The repository, or a file of it.
        what: String,
        /// The variable that forbids requests.
        offline: &'static str,
    },

    /// No answer came, or it broke off.
    #[error("{url}: {message}")]
    Network {
        /// What was asked for.
        url: String,
        /// What became of the connection.
        message: String,
    },

    /// The hub asks for a login or a consent.
    #[error("{what}: {hub} answers {status}: {message}")]
    Denied {
        /// The repository, or a file of it.
        what: String,
        /// The hub's name.
        hub: &'static str,
        /// Of HTTP.
        status: u16,
        /// What the hub asks for, and how it is given.
        message: String,
    },

    /// The hub does not know the repository, the revision or the file.
    #[error("{what} does not exist on {hub} ({status}); check the name{hint}")]
    Missing {
        /// The repository, or a file of it.
        what: String,
        /// The hub's name.
        hub: &'static str,
        /// Of HTTP.
        status: u16,
        /// What else may be wrong.
        hint: &'static str,
    },

    /// An answer that means none of the above.
    #[error("{url}: unexpected answer {status}{message}")]
    Status {
        /// What was asked for.
        url: String,
        /// Of HTTP.
        status: u16,
        /// What the answer says.
        message: String,
    },

    /// No folder, and not to be had from the hub either.
    #[error(
        "there is no folder {name}, and as a model of {hub} it cannot be downloaded: {source}{}",
        way_out(source)
    )]
    Model {
        /// As the recipe names it.
        name: String,
        /// The name of the hub that was asked.
        hub: &'static str,
        /// Why it is not to be had there.
        source: Box<Error>,
    },

    /// Whoever watches a download has broken it off.
    #[error("the download was broken off")]
    Stopped,

    /// What came is not what was promised.
    #[error("{what}: {message}")]
    Contents {
        /// The repository or file.
        what: String,
        /// How it differs.
        message: String,
    },
}

/// What helps where there is no network.
fn way_out(error: &Error) -> &'static str {
    match error {
        Error::Offline { .. } | Error::Network { .. } => {
            "; or copy the model's folder to this machine (the dashboard looks in models/) and name that"
        }
        _ => "",
    }
}

/// What a hub is asked for, or why it is not to be had.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn contents(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Contents { what: what.into(), message: message.into() }
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Network { .. }) || matches!(self, Self::Status { status, .. } if *status >= 500)
    }
}
