//! What a server can be asked: the pages' calls end here, and tests and examples answer them in their own way.

use recipe::Lang;

use crate::{
    BoardError, ChatStatus, ChatTarget, Check, DatasetList, EncodedRow, Encoding, EntryDraft, EntryForm,
    Findings, FormChoices, LengthHistogram, Preview, RunDetail, RunFilter, RunId, RunSummary,
};

/// The server's side of the pages.
#[async_trait::async_trait]
pub trait BoardApi: Send + Sync {
    /// Newest first, from place `from` on; without a `count` as many as a list may have.
    async fn runs(
        &self,
        filter: RunFilter,
        from: u64,
        count: Option<u64>,
    ) -> Result<Vec<RunSummary>, BoardError>;
    async fn count_runs(&self, filter: RunFilter) -> Result<u64, BoardError>;
    async fn run(&self, id: &str) -> Result<RunDetail, BoardError>;
    /// Validates and queues a recipe given as YAML; answers with the run's id.
    async fn launch(&self, name: String, yaml: String, lang: Lang) -> Result<RunId, BoardError>;
    async fn check(&self, yaml: String, lang: Lang) -> Result<Findings, BoardError>;
    /// Ends the run after its current step, with a checkpoint.
    async fn stop(&self, id: &str) -> Result<(), BoardError>;
    /// Ends the run at once.
    async fn cancel(&self, id: &str) -> Result<(), BoardError>;
    async fn resume(&self, id: &str) -> Result<(), BoardError>;
    async fn delete(&self, id: &str) -> Result<(), BoardError>;
    async fn rename(&self, id: &str, name: String) -> Result<(), BoardError>;
    async fn choices(&self) -> Result<FormChoices, BoardError>;
    /// Models, and what the newest runs have left; what the run of `wanted` has left as well.
    async fn chat_targets(&self, wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError>;
    async fn chat_status(&self) -> Result<ChatStatus, BoardError>;
    async fn load_chat(&self, target: String, template: Option<String>) -> Result<(), BoardError>;
    async fn unload_chat(&self) -> Result<(), BoardError>;
}

/// The server's side of the pages of data sets.
#[async_trait::async_trait]
pub trait DatasetsApi: Send + Sync {
    async fn list(&self) -> Result<DatasetList, BoardError>;
    /// Rows from number `first` (counted from 1) on.
    async fn preview(&self, name: String, first: u64) -> Result<Preview, BoardError>;
    /// Row number `row` as a run would see it.
    async fn encode(&self, name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError>;
    /// Lengths of the first rows.
    async fn lengths(&self, name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError>;
    /// Starts to check all rows; with an encoding also measures them.
    async fn start_check(&self, name: String, encoding: Option<Encoding>) -> Result<(), BoardError>;
    async fn stop_check(&self, name: String) -> Result<(), BoardError>;
    /// The form of the entry `name`; without a name, of a new one for `file`, with a guess at its columns.
    async fn entry_form(&self, name: String, file: String) -> Result<EntryForm, BoardError>;
    /// Adds an entry, or changes the one called `original`.
    async fn save_entry(&self, original: Option<String>, draft: EntryDraft) -> Result<(), BoardError>;
    /// Deletes an entry, and its file if nothing else uses it.
    async fn delete_entry(&self, name: String) -> Result<(), BoardError>;
    /// How the check is; lengths are given where it was started with this encoding but for the cutoff.
    async fn check(&self, name: String, encoding: Encoding) -> Result<Check, BoardError>;
}
