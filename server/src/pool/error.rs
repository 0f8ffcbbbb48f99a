//! What goes wrong with runs.

use std::{io, path::PathBuf};

use wire::BoardError;

use crate::store::StoreError;

/// What goes wrong when a run is to be changed.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
    #[error("{what} {path}: {source}", path = .path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

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
