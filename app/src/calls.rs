//! Server functions: what pages call, each a thin door to the [`Board`](crate::api::Board) in context.

mod codec;
mod datasets;

pub use codec::{TextJson, TextJsonEncoding};
pub use datasets::*;

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;
use recipe::RunState;

use crate::api::{BoardError, ChatStatus, ChatTarget, Findings, FormChoices, RunDetail, RunId, RunSummary};
use crate::i18n::Lang;
use crate::prefs::Theme;

#[cfg(feature = "ssr")]
fn board() -> Result<std::sync::Arc<dyn crate::api::Board>, BoardError> {
    use_context().ok_or_else(|| BoardError::Internal("the server provides no board to its pages".into()))
}

#[server(endpoint = "runs", input = GetUrl, output = TextJson)]
pub async fn runs(
    search: String,
    state: Option<RunState>,
    from: Option<u64>,
    count: Option<u64>,
) -> Result<Vec<RunSummary>, BoardError> {
    board()?.runs(crate::api::RunFilter { search, state }, from.unwrap_or(0), count).await
}

#[server(endpoint = "count_runs", input = GetUrl, output = TextJson)]
pub async fn count_runs(search: String, state: Option<RunState>) -> Result<u64, BoardError> {
    board()?.count_runs(crate::api::RunFilter { search, state }).await
}

#[server(endpoint = "run", input = GetUrl, output = TextJson)]
pub async fn run(id: RunId) -> Result<RunDetail, BoardError> {
    let found = board()?.run(&id).await;
    if let (Err(BoardError::NotFound(_)), Some(response)) =
        (&found, use_context::<leptos_axum::ResponseOptions>())
    {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    found
}

#[server(endpoint = "launch", output = TextJson)]
pub async fn launch(name: String, yaml: String) -> Result<RunId, BoardError> {
    board()?.launch(name, yaml).await
}

#[server(endpoint = "check", output = TextJson)]
pub async fn check(yaml: String) -> Result<Findings, BoardError> {
    board()?.check(yaml).await
}

#[server(endpoint = "stop", output = TextJson)]
pub async fn stop(id: RunId) -> Result<(), BoardError> {
    board()?.stop(&id).await
}

#[server(endpoint = "cancel", output = TextJson)]
pub async fn cancel(id: RunId) -> Result<(), BoardError> {
    board()?.cancel(&id).await
}

#[server(endpoint = "resume", output = TextJson)]
pub async fn resume(id: RunId) -> Result<(), BoardError> {
    board()?.resume(&id).await
}

#[server(endpoint = "delete", output = TextJson)]
pub async fn delete(id: RunId) -> Result<(), BoardError> {
    board()?.delete(&id).await
}

#[server(endpoint = "rename", output = TextJson)]
pub async fn rename(id: RunId, name: String) -> Result<(), BoardError> {
    board()?.rename(&id, name).await
}

#[server(endpoint = "choices", input = GetUrl, output = TextJson)]
pub async fn choices() -> Result<FormChoices, BoardError> {
    board()?.choices().await
}

/// Repositories of the models that Chandler knows by name.
#[server(endpoint = "hub_models", input = GetUrl, output = TextJson)]
pub async fn hub_models() -> Result<Vec<String>, BoardError> {
    Ok(recipe::registry::models().map(|model| model.hub_id.to_owned()).collect())
}

/// The template that is known to fit a model, by its name.
#[server(endpoint = "known_template", input = GetUrl, output = TextJson)]
pub async fn known_template(model: String) -> Result<Option<String>, BoardError> {
    Ok(recipe::registry::template_for(&model).map(str::to_owned))
}

#[server(endpoint = "chat_targets", input = GetUrl, output = TextJson)]
pub async fn chat_targets(wanted: Option<String>) -> Result<Vec<ChatTarget>, BoardError> {
    board()?.chat_targets(wanted).await
}

#[server(name = AskChatStatus, endpoint = "chat_status", input = GetUrl, output = TextJson)]
pub async fn chat_status() -> Result<ChatStatus, BoardError> {
    board()?.chat_status().await
}

#[server(endpoint = "load_chat", output = TextJson)]
pub async fn load_chat(target: String, template: Option<String>) -> Result<(), BoardError> {
    board()?.load_chat(target, template).await
}

#[server(endpoint = "unload_chat", output = TextJson)]
pub async fn unload_chat() -> Result<(), BoardError> {
    board()?.unload_chat().await
}

/// Remembers the language in a cookie. A plain form posts here, so it works without script.
#[server(endpoint = "set_language", output = TextJson)]
pub async fn set_language(lang: Lang) -> Result<(), BoardError> {
    crate::prefs::remember(crate::prefs::LANG_COOKIE, crate::i18n::tag(lang))
}

/// Remembers the theme in a cookie; see [`set_language`].
#[server(endpoint = "set_theme", output = TextJson)]
pub async fn set_theme(theme: Theme) -> Result<(), BoardError> {
    crate::prefs::remember(crate::prefs::THEME_COOKIE, theme.name())
}
