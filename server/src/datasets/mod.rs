//! What the pages of data sets show: the list, rows, what they are encoded to, how long they are, and what is wrong
//! with them.
//!
//! All of it reads files, some of it for minutes: it runs on threads of its own, a few at a time, row by row.

mod check;
mod encode;
mod lengths;
mod list;
mod preview;

use std::{path::Path, sync::Arc};

use app::api::{BoardError, Check, DataBoard, DatasetList, EncodedRow, Encoding, LengthHistogram, Preview};
use engine::text::data::{Catalog, DataSource};
use tokio::sync::Semaphore;

use crate::{
    board::datasets::{self, RowCounts},
    config::Folders,
};
use check::Checks;
use encode::Encoders;

/// Requests that read data at the same time; others wait.
const READERS: usize = 4;

/// The server's side of the pages of data sets.
pub struct Datasets {
    folders: Arc<Folders>,
    counts: Arc<RowCounts>,
    encoders: Arc<Encoders>,
    checks: Arc<Checks>,
    readers: Arc<Semaphore>,
}

impl Datasets {
    pub fn new(folders: Arc<Folders>, counts: Arc<RowCounts>) -> Datasets {
        Datasets {
            folders,
            counts,
            encoders: Arc::default(),
            checks: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    /// Runs file work on a thread for it, when there is room.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, BoardError> + Send + 'static,
    ) -> Result<T, BoardError> {
        let internal = |e: &dyn std::fmt::Display| BoardError::Internal(e.to_string());
        let permit = self.readers.clone().acquire_owned().await.map_err(|e| internal(&e))?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| internal(&e))?
    }
}

#[async_trait::async_trait]
impl DataBoard for Datasets {
    async fn list(&self) -> Result<DatasetList, BoardError> {
        let (folders, counts) = (self.folders.clone(), self.counts.clone());
        self.blocking(move || Ok(list::list(&folders.data_dir, &counts))).await
    }

    async fn preview(&self, name: String, first: u64) -> Result<Preview, BoardError> {
        let (folders, counts) = (self.folders.clone(), self.counts.clone());
        self.blocking(move || preview::preview(&folders.data_dir, &counts, &name, first.max(1))).await
    }

    async fn encode(&self, name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError> {
        let (folders, encoders) = (self.folders.clone(), self.encoders.clone());
        self.blocking(move || {
            let source = source(&folders.data_dir, &name)?;
            encoders.get(&folders, &encoding)?.row(&source, row, encoding.cutoff_len)
        })
        .await
    }

    async fn lengths(&self, name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError> {
        let (folders, encoders) = (self.folders.clone(), self.encoders.clone());
        self.blocking(move || {
            let source = source(&folders.data_dir, &name)?;
            let encoder = encoders.get(&folders, &encoding)?;
            Ok(lengths::of_first_rows(&source, &encoder).histogram(encoding.cutoff_len))
        })
        .await
    }

    async fn start_check(&self, name: String, encoding: Option<Encoding>) -> Result<(), BoardError> {
        let (folders, encoders, checks) = (self.folders.clone(), self.encoders.clone(), self.checks.clone());
        self.blocking(move || {
            let source = source(&folders.data_dir, &name)?;
            let encoder = encoding.as_ref().map(|encoding| encoders.get(&folders, encoding)).transpose()?;
            checks.start(source, encoder);
            Ok(())
        })
        .await
    }

    async fn stop_check(&self, name: String) -> Result<(), BoardError> {
        self.checks.stop(&name);
        Ok(())
    }

    async fn check(&self, name: String, encoding: Encoding) -> Result<Check, BoardError> {
        let (folders, checks) = (self.folders.clone(), self.checks.clone());
        self.blocking(move || {
            let source = source(&folders.data_dir, &name)?;
            let model = encode::model_path(&folders, &encoding.model).ok();
            Ok(checks.of(&source, model.as_deref(), &encoding))
        })
        .await
    }
}

/// The data set called `name`, whose files are inside the data folder or a hub's cache.
fn source(dir: &Path, name: &str) -> Result<DataSource, BoardError> {
    let refused = |e: engine::text::Error| BoardError::Refused(e.to_string());
    let catalog = Catalog::open(dir).map_err(refused)?;
    if !catalog.names().any(|known| known == name) {
        return Err(BoardError::NotFound(name.to_owned()));
    }
    datasets::find(&catalog, dir, name).map_err(BoardError::Refused)?;
    let source = catalog.look(name).map_err(refused)?;
    if source.info.file().is_some() {
        // A folder's files may be links.
        for file in &source.files {
            crate::security::paths::resolve(&file.display().to_string(), &[dir])
                .map_err(|e| BoardError::Refused(e.to_string()))?;
        }
    }
    Ok(source)
}

#[cfg(test)]
mod tests;
