//! The answer as it is given: `POST /chat/stream`, read as server-sent events.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response};

use crate::base::at;
use crate::browser::{describe, refusal};
use wire::sse;
use wire::{ChatDelta, ChatRequest};

/// Asks for an answer and hands on each piece of it.
///
/// # Errors
/// In words: the server refused, or the connection broke (also by `abort`).
pub async fn ask(
    request: &ChatRequest,
    abort: &AbortSignal,
    mut on_delta: impl FnMut(ChatDelta),
) -> Result<(), String> {
    let response = send(request, abort).await?;
    if !response.ok() {
        return Err(refusal(&response).await);
    }
    let Some(body) = response.body() else { return Ok(()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut events = sse::Reader::default();
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|error| describe(&error))?;
        let is_done = Reflect::get(&piece, &"done".into()).is_ok_and(|done| done.is_truthy());
        if is_done {
            return Ok(());
        }
        let bytes = Reflect::get(&piece, &"value".into()).map_err(|error| describe(&error))?;
        for data in events.push(&Uint8Array::new(&bytes).to_vec()) {
            match serde_json::from_str(&data) {
                Ok(delta) => on_delta(delta),
                Err(error) => leptos::logging::warn!("an event that this page does not know: {error}"),
            }
        }
    }
}

async fn send(request: &ChatRequest, abort: &AbortSignal) -> Result<Response, String> {
    let body = serde_json::to_string(request).map_err(|error| error.to_string())?;
    let headers = Headers::new().map_err(|error| describe(&error))?;
    headers.set("Content-Type", "application/json").map_err(|error| describe(&error))?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&JsValue::from_str(&body));
    init.set_signal(Some(abort));
    let answer = leptos::prelude::window().fetch_with_str_and_init(&at("/chat/stream"), &init);
    let answer = JsFuture::from(answer).await.map_err(|error| describe(&error))?;
    Ok(answer.unchecked_into())
}
