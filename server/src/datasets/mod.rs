//! What the pages of data sets show: the list, rows, what they are encoded to, how long they are, and what is wrong
//! with them.
//!
//! All of it reads files, some of it for minutes: it runs on threads of its own, a few at a time, row by row.

mod check;
mod edit;
mod encode;
mod guess;
mod lengths;
mod list;
mod preview;
pub mod upload;

pub use list::choices;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use app::api::{
    BoardError, Check, DataBoard, DatasetList, EncodedRow, Encoding, EntryDraft, EntryForm, LengthHistogram,
    Preview,
};
use axum::body::Body;
use engine::text::{
    Remark,
    data::{Catalog, DataSource, Kind},
};
use recipe::Recipe;
use tokio::sync::Semaphore;

use crate::{
    board::datasets::{self, RowCounts},
    config::Folders,
    security::paths,
};
use check::Checks;
use encode::Encoders;
use upload::UploadError;

/// Requests that read data at the same time; others wait.
const READERS: usize = 4;

/// The server's side of the pages of data sets.
pub struct Datasets {
    folders: Arc<Folders>,
    counts: Arc<RowCounts>,
    encoders: Arc<Encoders>,
    checks: Arc<Checks>,
    readers: Arc<Semaphore>,
    /// Held while `dataset_info.json` is changed.
    editor: Arc<Mutex<()>>,
    largest_upload: u64,
}

impl Datasets {
    pub fn new(folders: Arc<Folders>, counts: Arc<RowCounts>, largest_upload: u64) -> Datasets {
        upload::tidy_up(&folders.data_dir);
        Datasets {
            folders,
            counts,
            encoders: Arc::default(),
            checks: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            editor: Arc::default(),
            largest_upload,
        }
    }

    /// Takes in a file; see [`upload::store`].
    ///
    /// # Errors
    /// In words for the user.
    pub async fn upload(&self, name: &str, length: Option<u64>, body: Body) -> Result<(), UploadError> {
        upload::store(&self.folders.data_dir, name, length, self.largest_upload, body).await
    }

    /// What is to be known about a recipe's model with its template; nothing where the model cannot be looked at.
    pub async fn remarks(&self, recipe: Recipe) -> Vec<Remark> {
        let (folders, encoders) = (self.folders.clone(), self.encoders.clone());
        let found = self.blocking(move || Ok(encoders.of(&folders, &recipe)?.remarks.clone())).await;
        found.unwrap_or_default()
    }

    /// Changes `dataset_info.json`, while nobody else does.
    async fn edit(
        &self,
        change: impl FnOnce(&Path) -> Result<(), BoardError> + Send + 'static,
    ) -> Result<(), BoardError> {
        let (folders, editor) = (self.folders.clone(), self.editor.clone());
        self.blocking(move || {
            let _alone = editor.lock().unwrap_or_else(PoisonError::into_inner);
            change(&folders.data_dir)
        })
        .await
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
        let largest_upload = self.largest_upload;
        self.blocking(move || Ok(list::list(&folders.data_dir, &counts, largest_upload))).await
    }

    async fn preview(&self, name: String, first: u64) -> Result<Preview, BoardError> {
        let (folders, counts) = (self.folders.clone(), self.counts.clone());
        self.blocking(move || preview::preview(&folders.data_dir, &counts, &name, first.max(1))).await
    }

    async fn encode(&self, name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError> {
        let (folders, encoders) = (self.folders.clone(), self.encoders.clone());
        self.blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding)?;
            encoders.get(&folders, &encoding)?.row(&source, row, encoding.cutoff_len)
        })
        .await
    }

    async fn lengths(&self, name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError> {
        let (folders, encoders) = (self.folders.clone(), self.encoders.clone());
        self.blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding)?;
            let encoder = encoders.get(&folders, &encoding)?;
            Ok(lengths::of_first_rows(&source, &encoder).histogram(encoding.cutoff_len))
        })
        .await
    }

    async fn start_check(&self, name: String, encoding: Option<Encoding>) -> Result<(), BoardError> {
        let (folders, encoders, checks) = (self.folders.clone(), self.encoders.clone(), self.checks.clone());
        self.blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding.clone().unwrap_or_default())?;
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

    async fn entry_form(&self, name: String, file: String) -> Result<EntryForm, BoardError> {
        let folders = self.folders.clone();
        self.blocking(move || edit::form(&folders.data_dir, &name, &file)).await
    }

    async fn save_entry(&self, original: Option<String>, draft: EntryDraft) -> Result<(), BoardError> {
        self.edit(move |dir| edit::save(dir, original.as_deref(), &draft)).await
    }

    async fn delete_entry(&self, name: String) -> Result<(), BoardError> {
        self.checks.stop(&name);
        self.edit(move |dir| edit::delete(dir, &name)).await
    }

    async fn check(&self, name: String, encoding: Encoding) -> Result<Check, BoardError> {
        let (folders, checks) = (self.folders.clone(), self.checks.clone());
        self.blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding)?;
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
        inside(dir, &source.files)?;
    }
    Ok(source)
}

/// The data set as its rows are taken: for what they hold, or as plain text.
fn taken(dir: &Path, name: &str, encoding: &Encoding) -> Result<DataSource, BoardError> {
    let mut source = source(dir, name)?;
    if encoding.plain_text && source.info.check_kind(Kind::Text).is_ok() {
        source.kind = Kind::Text;
    }
    Ok(source)
}

/// Refuses files that are links out of the data folder.
fn inside(dir: &Path, files: &[PathBuf]) -> Result<(), BoardError> {
    for file in files {
        paths::resolve(&file.display().to_string(), &[dir])
            .map_err(|e| BoardError::Refused(e.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
