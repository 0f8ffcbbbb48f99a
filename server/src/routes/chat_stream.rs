//! `POST /chat/stream`: an answer of the loaded model, as server-sent events of [`ChatDelta`].

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::StreamExt;
use wire::{ChatDelta, ChatRequest};

use crate::{chat::Chat, security::SessionEnd};

/// Whoever leaves drops the stream, and with it the generation.
pub(super) async fn chat_stream(
    State(chat): State<Arc<Chat>>,
    session: Option<Extension<SessionEnd>>,
    Json(request): Json<ChatRequest>,
) -> Response {
    let session = session.map(|Extension(end)| end).unwrap_or_default();
    match chat.answer(&request).await {
        Ok(deltas) => Sse::new(deltas.map(event).take_until(Box::pin(session.wait())))
            .keep_alive(KeepAlive::default())
            .into_response(),
        Err(e) => {
            let only = futures_util::stream::iter([event(ChatDelta::Error { message: e.to_string() })]);
            Sse::new(only).into_response()
        }
    }
}

fn event(delta: ChatDelta) -> Result<Event, Infallible> {
    Ok(Event::default().data(serde_json::to_string(&delta).unwrap_or_default()))
}
