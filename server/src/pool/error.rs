//! What goes wrong with runs.

use std::{io, path::PathBuf};

use wire::BoardError;

use crate::store::StoreError;

/// What goes wrong when a run is to be changed.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run is in no state for it; the sentence says why.
    #[error("{0}")]
    Refused(String),
    /// A run's folder cannot be read or written.
    #[error("{what} {path}: {source}", path = .path.display())]
    Io {
        /// What cannot be done.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What is done to a run, or why not.
pub type Result<T> = std::result::Result<T, PoolError>;

/// See the one of [`StoreError`].
impl From<PoolError> for BoardError {
    fn from(error: PoolError) -> BoardError {
        match error {
            PoolError::Store(error) => error.into(),
            PoolError::Refused(why) => BoardError::Refused(why),
            other => {
                tracing::error!("{other}");
                BoardError::Internal(other.to_string())
            }
        }
    }
}
