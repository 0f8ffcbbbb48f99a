//! Calls of the pages of data sets.

use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, Json};

use super::codec::TextJson;
use super::error::CallError;

#[cfg(feature = "ssr")]
use wire::BoardError;
use wire::{Check, DatasetList, EncodedRow, Encoding, EntryDraft, EntryForm, LengthHistogram, Preview};

#[cfg(feature = "ssr")]
fn board() -> Result<std::sync::Arc<dyn wire::DatasetsApi>, BoardError> {
    use_context().ok_or_else(|| BoardError::Internal("the server provides no datasets to its pages".into()))
}

#[server(endpoint = "datasets", input = GetUrl, output = TextJson)]
pub async fn datasets() -> Result<DatasetList, CallError> {
    Ok(board()?.list().await?)
}

#[server(endpoint = "dataset_preview", input = GetUrl, output = TextJson)]
pub async fn dataset_preview(name: String, first: u64) -> Result<Preview, CallError> {
    let found = board()?.preview(name, first).await;
    if let (Err(BoardError::NotFound(_)), Some(response)) =
        (&found, use_context::<leptos_axum::ResponseOptions>())
    {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    Ok(found?)
}

#[server(endpoint = "dataset_encode", input = GetUrl, output = TextJson)]
pub async fn dataset_encode(name: String, row: u64, encoding: Encoding) -> Result<EncodedRow, CallError> {
    Ok(board()?.encode(name, row, encoding).await?)
}

#[server(endpoint = "dataset_lengths", input = GetUrl, output = TextJson)]
pub async fn dataset_lengths(name: String, encoding: Encoding) -> Result<LengthHistogram, CallError> {
    Ok(board()?.lengths(name, encoding).await?)
}

#[server(endpoint = "dataset_check", input = GetUrl, output = TextJson)]
pub async fn dataset_check(name: String, encoding: Encoding) -> Result<Check, CallError> {
    Ok(board()?.check(name, encoding).await?)
}

/// Starts to check the whole data set; without a model its rows are not measured. A plain form posts here, too.
#[server(endpoint = "start_dataset_check", output = TextJson)]
pub async fn start_dataset_check(name: String, encoding: Encoding) -> Result<(), CallError> {
    let encoding = (!encoding.model.is_empty()).then_some(encoding);
    Ok(board()?.start_check(name, encoding).await?)
}

#[server(endpoint = "stop_dataset_check", output = TextJson)]
pub async fn stop_dataset_check(name: String) -> Result<(), CallError> {
    Ok(board()?.stop_check(name).await?)
}

#[server(endpoint = "dataset_entry", input = GetUrl, output = TextJson)]
pub async fn dataset_entry(name: String, file: String) -> Result<EntryForm, CallError> {
    Ok(board()?.entry_form(name, file).await?)
}

// As JSON: in a form's encoding empty tables would be lost on the way.
#[server(endpoint = "save_dataset", input = Json, output = TextJson)]
pub async fn save_dataset(original: Option<String>, draft: EntryDraft) -> Result<(), CallError> {
    Ok(board()?.save_entry(original, draft).await?)
}

#[server(endpoint = "delete_dataset", output = TextJson)]
pub async fn delete_dataset(name: String) -> Result<(), CallError> {
    Ok(board()?.delete_entry(name).await?)
}
