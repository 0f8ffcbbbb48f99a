//! Calls of the pages of data sets.

use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, Json};

use super::TextJson;
use crate::api::{
    BoardError, Check, DatasetList, EncodedRow, Encoding, EntryDraft, EntryForm, LengthHistogram, Preview,
};

#[cfg(feature = "ssr")]
fn board() -> Result<std::sync::Arc<dyn crate::api::DataBoard>, BoardError> {
    use_context().ok_or_else(|| BoardError::Internal("the server provides no datasets to its pages".into()))
}

#[server(endpoint = "datasets", input = GetUrl, output = TextJson)]
pub async fn datasets() -> Result<DatasetList, BoardError> {
    board()?.list().await
}

#[server(endpoint = "dataset_preview", input = GetUrl, output = TextJson)]
pub async fn dataset_preview(name: String, first: u64) -> Result<Preview, BoardError> {
    let found = board()?.preview(name, first).await;
    if let (Err(BoardError::NotFound(_)), Some(response)) =
        (&found, use_context::<leptos_axum::ResponseOptions>())
    {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    found
}

#[server(endpoint = "dataset_encode", input = GetUrl, output = TextJson)]
pub async fn dataset_encode(name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, BoardError> {
    board()?.encode(name, row, encoding).await
}

#[server(endpoint = "dataset_lengths", input = GetUrl, output = TextJson)]
pub async fn dataset_lengths(name: String, encoding: Encoding) -> Result<LengthHistogram, BoardError> {
    board()?.lengths(name, encoding).await
}

#[server(endpoint = "dataset_check", input = GetUrl, output = TextJson)]
pub async fn dataset_check(name: String, encoding: Encoding) -> Result<Check, BoardError> {
    board()?.check(name, encoding).await
}

/// Starts to check the whole data set; without a model its rows are not measured. A plain form posts here, too.
#[server(endpoint = "start_dataset_check", output = TextJson)]
pub async fn start_dataset_check(name: String, encoding: Encoding) -> Result<(), BoardError> {
    let encoding = (!encoding.model.is_empty()).then_some(encoding);
    board()?.start_check(name, encoding).await
}

#[server(endpoint = "stop_dataset_check", output = TextJson)]
pub async fn stop_dataset_check(name: String) -> Result<(), BoardError> {
    board()?.stop_check(name).await
}

#[server(endpoint = "dataset_entry", input = GetUrl, output = TextJson)]
pub async fn dataset_entry(name: String, file: String) -> Result<EntryForm, BoardError> {
    board()?.entry_form(name, file).await
}

// As JSON: in a form's encoding empty tables would be lost on the way.
#[server(endpoint = "save_dataset", input = Json, output = TextJson)]
pub async fn save_dataset(original: Option<String>, draft: EntryDraft) -> Result<(), BoardError> {
    board()?.save_entry(original, draft).await
}

#[server(endpoint = "delete_dataset", output = TextJson)]
pub async fn delete_dataset(name: String) -> Result<(), BoardError> {
    board()?.delete_entry(name).await
}
