//! What a server can be asked: the pages' calls end here, and tests and examples answer them in their own way.

use recipe::Lang;

use crate::{
    BoardError, ChatStatus, ChatTarget, Check, DatasetList, EncodedRow, Encoding, EntryDraft, EntryForm,
    Findings, FormChoices, LengthHistogram, Preview, RunDetail, RunFilter, RunId, RunRecipe, RunSummary,
};

/// The server's side of the pages.
///
/// # Errors
/// Each method says why it does not do what it is asked: there is no such run, it is in no state for it, the recipe has
/// problems, or the server has failed.
#[async_trait::async_trait]
pub trait BoardApi: Send + Sync {
    /// Newest first, from place `from` on; without a `count` as many as a list may have.
    async fn runs(
        &self,
        filter: RunFilter,
        from: u64,
        count: Option<u64>,
    ) -> Result<Vec<RunSummary>, BoardError>;
    /// How many runs the filter leaves.
    async fn count_runs(&self, filter: RunFilter) -> Result<u64, BoardError>;
    /// All that the page of a run shows.
    async fn run(&self, id: &str) -> Result<RunDetail, BoardError>;
    /// The recipe of a run, for another one to start from.
    async fn recipe(&self, id: &str) -> Result<RunRecipe, BoardError>;
    /// Validates and queues a recipe given as YAML; answers with the run's id.
    async fn launch(&self, name: String, yaml: String, lang: Lang) -> Result<RunId, BoardError>;
    /// What is wrong with a recipe, and what to know of it, without launching it.
    async fn check(&self, yaml: String, lang: Lang) -> Result<Findings, BoardError>;
    /// Ends the run after its current step, with a checkpoint.
    async fn stop(&self, id: &str) -> Result<(), BoardError>;
    /// Ends the run at once.
    async fn cancel(&self, id: &str) -> Result<(), BoardError>;
    /// Queues a run again, which goes on from its newest checkpoint.
    async fn resume(&self, id: &str) -> Result<(), BoardError>;
    /// Deletes a run that is over, with its folder.
    async fn delete(&self, id: &str) -> Result<(), BoardError>;
    /// Gives a run another name.
    async fn rename(&self, id: &str, name: String) -> Result<(), BoardError>;
    /// What the form of a new run offers.
    async fn choices(&self) -> Result<FormChoices, BoardError>;
    /// Models, and what the newest runs have left; what the run of `wanted` has left as well.
    async fn chat_targets(&self, wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError>;
    /// Which model is loaded, or on its way.
    async fn chat_status(&self) -> Result<ChatStatus, BoardError>;
    /// Starts to load a target in place of what is loaded; the template is the one that fits where none is named.
    async fn load_chat(&self, target: String, template: Option<String>) -> Result<(), BoardError>;
    /// Ends the model's process.
    async fn unload_chat(&self) -> Result<(), BoardError>;
}

/// The server's side of the pages of data sets.
///
/// # Errors
/// Each method says why it does not do what it is asked: there is no such data set, its entry or file cannot be read, or
/// the server has failed.
#[async_trait::async_trait]
pub trait DatasetsApi: Send + Sync {
    /// The data sets of the data folder.
    async fn list(&self) -> Result<DatasetList, BoardError>;
    /// Rows from number `first` (counted from 1) on.
    async fn preview(&self, name: String, first: u64) -> Result<Preview, BoardError>;
    /// Row number `row` as a run would see it.
    async fn encode(&self, name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError>;
    /// Lengths of the first rows.
    async fn lengths(&self, name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError>;
    /// Starts to check all rows; with an encoding also measures them.
    async fn start_check(&self, name: String, encoding: Option<Encoding>) -> Result<(), BoardError>;
    /// Breaks the check of a data set off.
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
