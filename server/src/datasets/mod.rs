//! What the pages of data sets show: the list, rows, what they are encoded to, how long they are, and what is wrong
//! with them.
//!
//! What reads files of data, or a model's tokenizer and chat template, runs in helper processes with limits of time and
//! memory, row by row; the rest on threads of its own.

mod ask;
mod check;
mod edit;
mod encode;
pub(crate) mod files;
mod guess;
mod lengths;
mod list;
pub mod preflight;
mod preview;
mod source;
pub mod upload;

pub use ask::Reader;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use recipe::Recipe;
use serde::de::DeserializeOwned;
use wire::{
    BoardError, Check, DatasetEntry, DatasetList, DatasetsApi, EncodedRow, Encoding, EntryDraft, EntryForm,
    LengthHistogram, Preview,
};

use crate::{
    command::WorkerCommand,
    config::Folders,
    helper::{self, Helpers},
};
use ask::{Ask, Examined};
use check::Checks;
use encode::Asked;
use files::RowCounts;
use source::taken;
use upload::UploadError;

/// How long rows may take to be read and encoded while a page waits.
const READ_WITHIN: Duration = Duration::from_secs(20);
/// How long the check of a form looks at model and template for what is worth a remark.
const EXAMINED_WITHIN: Duration = Duration::from_secs(5);
/// How long it waits for others.
const BUSY_WITHIN: Duration = Duration::from_secs(2);
/// How long a page waits for numbers of rows; it comes without those that take longer.
const COUNTS_WITHIN: Duration = Duration::from_millis(500);

/// The server's side of the pages of data sets.
pub struct Datasets {
    folders: Arc<Folders>,
    counts: Arc<RowCounts>,
    checks: Arc<Checks>,
    helpers: Arc<Helpers>,
    /// Held while rows are counted, one file after the other.
    counting: Arc<tokio::sync::Mutex<()>>,
    /// Held while `dataset_info.json` is changed.
    editor: Arc<Mutex<()>>,
    largest_upload: u64,
}

impl Datasets {
    /// `command` starts helpers; `largest_upload` is the largest file, in bytes, that is taken in.
    pub fn new(folders: Arc<Folders>, command: WorkerCommand, largest_upload: u64) -> Datasets {
        upload::tidy_up(&folders.data_dir);
        Datasets {
            helpers: Arc::new(Helpers::new(command, folders.clone())),
            folders,
            counts: Arc::default(),
            checks: Arc::default(),
            counting: Arc::default(),
            editor: Arc::default(),
            largest_upload,
        }
    }

    /// Takes in a file; see [`upload::receive`].
    ///
    /// # Errors
    /// In words for the user.
    pub async fn upload(&self, name: &str, length: Option<u64>, body: Body) -> Result<(), UploadError> {
        upload::receive(&self.folders.data_dir, name, length, self.largest_upload, body).await
    }

    /// What there is to know about a recipe's model, its template and the memory that a run takes. `worked` is the
    /// recipe as its worker will read it.
    pub async fn examine(&self, recipe: &Recipe, worked: &Recipe) -> Examined {
        let model = recipe.model_name_or_path.clone();
        let ask = Ask::Examine { model, recipe: recipe.to_yaml(), worked: worked.to_yaml() };
        // Where the helpers are busy, the form does not wait for them.
        let asked = self.helpers.ask(&ask, EXAMINED_WITHIN);
        let examined = tokio::time::timeout(EXAMINED_WITHIN + BUSY_WITHIN, asked).await;
        match examined.unwrap_or_else(|_| Ok(Examined::default())) {
            Ok(examined) => examined,
            Err(e @ BoardError::Refused(_)) => {
                Examined { remarks: vec![ask::unreadable(&e)], ..Examined::default() }
            }
            Err(e) => {
                tracing::warn!("a model is not examined: {}", helper::words(&e));
                Examined::default()
            }
        }
    }

    /// The data sets to choose from. A list that cannot be read is one entry that says so.
    ///
    /// # Errors
    /// The server is at its end.
    pub async fn choices(&self) -> Result<Vec<DatasetEntry>, BoardError> {
        Ok(list::choices(self.list().await?))
    }

    /// What `read` gives once the rows are counted that it asks the number of, if they are soon.
    async fn counted<T: Send + 'static>(
        &self,
        read: impl Fn(&Path, &RowCounts) -> T + Clone + Send + 'static,
    ) -> Result<T, BoardError> {
        let look = || {
            let (read, folders, counts) = (read.clone(), self.folders.clone(), self.counts.clone());
            blocking(move || Ok(read(&folders.data_dir, &counts)))
        };
        let read_now = look().await?;
        if !self.counts.are_wanted() {
            return Ok(read_now);
        }
        let (counts, helpers, counting) = (self.counts.clone(), self.helpers.clone(), self.counting.clone());
        let count = tokio::spawn(async move {
            let _alone = counting.lock().await;
            while let Some(wanted) = counts.next_wanted() {
                let ask = Ask::Count { file: wanted.file.clone() };
                let rows: Result<Option<u64>, _> = helpers.follow(&ask, READ_WITHIN, &mut |_| ()).await;
                counts.note(wanted, rows.ok().flatten());
            }
        });
        // Whoever asks next gets what is counted after that.
        let _ = tokio::time::timeout(COUNTS_WITHIN, count).await;
        look().await
    }

    async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, BoardError> {
        self.helpers.ask(&ask, READ_WITHIN).await
    }

    /// Changes `dataset_info.json`, while nobody else does.
    async fn edit(
        &self,
        change: impl FnOnce(&Path) -> Result<(), BoardError> + Send + 'static,
    ) -> Result<(), BoardError> {
        let (folders, editor) = (self.folders.clone(), self.editor.clone());
        blocking(move || {
            let _alone = editor.lock().unwrap_or_else(PoisonError::into_inner);
            change(&folders.data_dir)
        })
        .await
    }
}

/// Runs file work on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BoardError> + Send + 'static,
) -> Result<T, BoardError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| BoardError::Internal(e.to_string()))?
}

#[async_trait::async_trait]
impl DatasetsApi for Datasets {
    async fn list(&self) -> Result<DatasetList, BoardError> {
        let largest_upload = self.largest_upload;
        self.counted(move |dir, counts| list::list(dir, counts, largest_upload)).await
    }

    async fn preview(&self, name: String, first: u64) -> Result<Preview, BoardError> {
        let preview: Preview = self.ask(Ask::Preview { name: name.clone(), first }).await?;
        let entry = self.counted(move |dir, counts| list::named(dir, counts, &name)).await?;
        Ok(Preview { entry: entry.unwrap_or(preview.entry), ..preview })
    }

    async fn encode(&self, name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError> {
        self.ask(Ask::Encode { name, row, encoding }).await
    }

    async fn lengths(&self, name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError> {
        self.ask(Ask::Lengths { name, encoding }).await
    }

    async fn start_check(&self, name: String, encoding: Option<Encoding>) -> Result<(), BoardError> {
        let folders = self.folders.clone();
        let (source, encoding) = blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding.clone().unwrap_or_default())?;
            let asked = |encoding: Encoding| {
                let model = encode::model_path(&folders, &encoding.model).map_err(BoardError::Refused)?;
                Ok::<_, BoardError>((Asked::of(&model, &encoding), encoding))
            };
            Ok((source, encoding.map(asked).transpose()?))
        })
        .await?;
        self.checks.start(source, encoding, self.helpers.clone());
        Ok(())
    }

    async fn stop_check(&self, name: String) -> Result<(), BoardError> {
        self.checks.stop(&name);
        Ok(())
    }

    async fn entry_form(&self, name: String, file: String) -> Result<EntryForm, BoardError> {
        self.ask(Ask::Form { name, file }).await
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
        blocking(move || {
            let source = taken(&folders.data_dir, &name, &encoding)?;
            let model = encode::model_path(&folders, &encoding.model).ok();
            Ok(checks.of(&source, model.as_deref(), &encoding))
        })
        .await
    }
}
