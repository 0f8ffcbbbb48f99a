//! The files of a split of a data set, of which some may have to be fetched yet.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Result, Watch};

/// Fetches file number `place`, from 0, if it is not there.
type Fetch = Arc<dyn Fn(usize, Watch) -> Result<()> + Send + Sync>;

/// Files in the order in which their rows come.
#[derive(Clone)]
pub struct Listing {
    files: Vec<PathBuf>,
    /// None if all are there.
    fetch: Option<Fetch>,
}

impl Listing {
    /// Files that are on this machine.
    pub(super) fn here(files: Vec<PathBuf>) -> Self {
        Self { files, fetch: None }
    }

    /// Files that will be where `files` says.
    pub(super) fn remote(
        files: Vec<PathBuf>,
        fetch: impl Fn(usize, Watch) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { files, fetch: Some(Arc::new(fetch)) }
    }

    /// Where the files are, or will be.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// File number `place`, from 0, fetched if it is not there.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn get(&self, place: usize, watch: Watch) -> Result<&Path> {
        if let Some(fetch) = &self.fetch {
            fetch(place, watch)?;
        }
        Ok(&self.files[place])
    }

    /// All files.
    ///
    /// # Errors
    /// If one cannot be had.
    pub fn all(self, watch: Watch) -> Result<Vec<PathBuf>> {
        for place in 0..self.files.len() {
            self.get(place, watch)?;
        }
        Ok(self.files)
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listing").field(&self.files).finish()
    }
}
