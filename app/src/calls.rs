//! Server functions: what pages call, each a thin door to the [`BoardApi`](wire::BoardApi) in context.

mod codec;
mod datasets;
mod error;

pub use codec::{TextJson, TextJsonEncoding};
pub use datasets::*;
pub use error::CallError;

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;
use recipe::{Lang, RunState};
#[cfg(feature = "ssr")]
use wire::BoardError;
use wire::{ChatStatus, ChatTarget, Findings, FormChoices, RunDetail, RunId, RunRecipe, RunSummary, Theme};

#[cfg(feature = "ssr")]
fn board() -> Result<std::sync::Arc<dyn wire::BoardApi>, BoardError> {
    use_context().ok_or_else(|| BoardError::Internal("the server provides no board to its pages".into()))
}

#[server(endpoint = "runs", input = GetUrl, output = TextJson)]
pub async fn runs(
    #[server(default)] search: String,
    state: Option<RunState>,
    from: Option<u64>,
    count: Option<u64>,
) -> Result<Vec<RunSummary>, CallError> {
    Ok(board()?.runs(wire::RunFilter { search, state }, from.unwrap_or(0), count).await?)
}

#[server(endpoint = "count_runs", input = GetUrl, output = TextJson)]
pub async fn count_runs(
    #[server(default)] search: String,
    state: Option<RunState>,
) -> Result<u64, CallError> {
    Ok(board()?.count_runs(wire::RunFilter { search, state }).await?)
}

#[server(endpoint = "run", input = GetUrl, output = TextJson)]
pub async fn run(id: RunId) -> Result<RunDetail, CallError> {
    Ok(or_not_found(board()?.run(&id).await)?)
}

/// Sets the status of a page whose run there is not.
#[cfg(feature = "ssr")]
fn or_not_found<T>(found: Result<T, BoardError>) -> Result<T, BoardError> {
    if let (Err(BoardError::NotFound(_)), Some(response)) =
        (&found, use_context::<leptos_axum::ResponseOptions>())
    {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    found
}

#[server(endpoint = "recipe", input = GetUrl, output = TextJson)]
pub async fn recipe_of(id: RunId) -> Result<RunRecipe, CallError> {
    Ok(or_not_found(board()?.recipe(&id).await)?)
}

#[server(endpoint = "launch", output = TextJson)]
pub async fn launch(name: String, yaml: String) -> Result<RunId, CallError> {
    Ok(board()?.launch(name, yaml, crate::prefs::preferences().lang).await?)
}

#[server(endpoint = "check", output = TextJson)]
pub async fn check(yaml: String) -> Result<Findings, CallError> {
    Ok(board()?.check(yaml, crate::prefs::preferences().lang).await?)
}

#[server(endpoint = "stop", output = TextJson)]
pub async fn stop(id: RunId) -> Result<(), CallError> {
    Ok(board()?.stop(&id).await?)
}

#[server(endpoint = "cancel", output = TextJson)]
pub async fn cancel(id: RunId) -> Result<(), CallError> {
    Ok(board()?.cancel(&id).await?)
}

#[server(endpoint = "resume", output = TextJson)]
pub async fn resume(id: RunId) -> Result<(), CallError> {
    Ok(board()?.resume(&id).await?)
}

#[server(endpoint = "delete", output = TextJson)]
pub async fn delete(id: RunId) -> Result<(), CallError> {
    Ok(board()?.delete(&id).await?)
}

#[server(endpoint = "rename", output = TextJson)]
pub async fn rename(id: RunId, name: String) -> Result<(), CallError> {
    Ok(board()?.rename(&id, name).await?)
}

#[server(endpoint = "choices", input = GetUrl, output = TextJson)]
pub async fn choices() -> Result<FormChoices, CallError> {
    Ok(board()?.choices().await?)
}

/// Repositories of the models that Chandler knows by name.
#[server(endpoint = "hub_models", input = GetUrl, output = TextJson)]
pub async fn hub_models() -> Result<Vec<String>, CallError> {
    Ok(recipe::registry::models().map(|model| model.hub_id.to_owned()).collect())
}

/// The template that is known to fit a model, by its name.
#[server(endpoint = "known_template", input = GetUrl, output = TextJson)]
pub async fn known_template(model: String) -> Result<Option<String>, CallError> {
    Ok(recipe::registry::template_for(&model).map(str::to_owned))
}

#[server(endpoint = "chat_targets", input = GetUrl, output = TextJson)]
pub async fn chat_targets(wanted: Option<String>) -> Result<Vec<ChatTarget>, CallError> {
    Ok(board()?.chat_targets(wanted).await?)
}

#[server(name = AskChatStatus, endpoint = "chat_status", input = GetUrl, output = TextJson)]
pub async fn chat_status() -> Result<ChatStatus, CallError> {
    Ok(board()?.chat_status().await?)
}

#[server(endpoint = "load_chat", output = TextJson)]
pub async fn load_chat(target: String, template: Option<String>) -> Result<(), CallError> {
    Ok(board()?.load_chat(target, template).await?)
}

#[server(endpoint = "unload_chat", output = TextJson)]
pub async fn unload_chat() -> Result<(), CallError> {
    Ok(board()?.unload_chat().await?)
}

/// Remembers the language in a cookie. A plain form posts here, so it works without script.
#[server(endpoint = "set_language", output = TextJson)]
pub async fn set_language(lang: Lang) -> Result<(), CallError> {
    Ok(crate::prefs::remember(wire::LANG_COOKIE, wire::lang_tag(lang))?)
}

/// Remembers the theme in a cookie; see [`set_language`].
#[server(endpoint = "set_theme", output = TextJson)]
pub async fn set_theme(theme: Theme) -> Result<(), CallError> {
    Ok(crate::prefs::remember(wire::THEME_COOKIE, theme.name())?)
}
