//! What can go wrong between this machine and a hub.

use std::path::{Path, PathBuf};

/// Every message names the repository or file and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },

    /// The repository is not in the cache, and may not be fetched.
    #[error(
        "{what} is not on this machine, and {offline} is set; unset it, or download it where there is a network"
    )]
    Offline { what: String, offline: &'static str },

    /// No answer came, or it broke off.
    #[error("{url}: {message}")]
    Network { url: String, message: String },

    /// The hub asks for a login or a consent.
    #[error("{what}: {hub} answers {status}: {message}")]
    Denied { what: String, hub: &'static str, status: u16, message: String },

    #[error("{what} does not exist on {hub} ({status}); check the name{hint}")]
    Missing { what: String, hub: &'static str, status: u16, hint: &'static str },

    #[error("{url}: unexpected answer {status}{message}")]
    Status { url: String, status: u16, message: String },

    /// No folder, and not to be had from the hub either.
    #[error(
        "there is no folder {name}, and as a model of {hub} it cannot be downloaded: {source}{}",
        way_out(source)
    )]
    Model { name: String, hub: &'static str, source: Box<Error> },

    /// Whoever watches a download has broken it off.
    #[error("the download was broken off")]
    Stopped,

    /// What came is not what was promised.
    #[error("{what}: {message}")]
    Contents { what: String, message: String },
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
