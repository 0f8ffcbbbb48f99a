//! Serves the pages over a board that lives in memory and is full of made-up runs, to look at while
//! working on them: `cargo run -p app --example gallery --features ssr`, then open the address it prints.
//! The wasm module comes from `cargo xtask wasm`. Not part of the product.

mod board;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::{Event as SseEvent, Sse};
use axum::routing::{get, post};
use board::Memory;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_axum::{LeptosRoutes, generate_route_list};
use wire::{BoardApi, ChatDelta, ChatRequest, Frame};

#[derive(Clone, axum::extract::FromRef)]
struct AppState {
    options: LeptosOptions,
    memory: Arc<Memory>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::var("GALLERY_ADDRESS").unwrap_or_else(|_| "127.0.0.1:7861".into());
    let options = LeptosOptions::builder().output_name("chandler").site_root("target/site").build();
    let memory =
        Arc::new(if std::env::var_os("GALLERY_EMPTY").is_some() { Memory::empty() } else { Memory::new() });
    tokio::spawn(board::train(memory.clone()));
    let state = AppState { options: options.clone(), memory: memory.clone() };
    let context = move || {
        provide_context::<Arc<dyn BoardApi>>(memory.clone());
    };
    let pages = Router::new()
        .route("/ws/runs/{id}", get(follow))
        .route("/chat/stream", post(answer))
        .leptos_routes_with_context(&state, generate_route_list(app::App), context.clone(), {
            let options = options.clone();
            move || {
                restrict_scripts();
                app::shell(options.clone())
            }
        })
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(context, app::shell))
        .with_state(state);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{address}");
    axum::serve(listener, pages).await
}

/// The content policy of the product, so that what it forbids shows here too.
fn restrict_scripts() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<leptos_axum::ResponseOptions>()) else {
        return;
    };
    let policy = format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:"
    );
    if let Ok(policy) = policy.parse() {
        response.insert_header(axum::http::header::CONTENT_SECURITY_POLICY, policy);
    }
}

#[derive(serde::Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn follow(
    upgrade: WebSocketUpgrade,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
    State(memory): State<Arc<Memory>>,
) -> Response {
    upgrade.on_upgrade(move |socket| feed(socket, memory, id, after))
}

async fn feed(mut socket: WebSocket, memory: Arc<Memory>, id: String, after: u64) {
    let mut seen = after;
    let mut first = true;
    while let Some((events, run)) = memory.events_after(&id, seen) {
        seen = events.last().map_or(seen, |event| event.seq);
        let frame = if first { Frame::Backfill { events } } else { Frame::Events { events } };
        first = false;
        for frame in [frame, Frame::Run { run: Box::new(run) }] {
            let Ok(text) = serde_json::to_string(&frame) else { return };
            if socket.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn answer(
    axum::Json(request): axum::Json<ChatRequest>,
) -> Sse<impl futures::Stream<Item = Result<SseEvent, axum::Error>>> {
    let words = sample::answer_to(&request);
    let count = words.len() as u64;
    let deltas = words.into_iter().map(|text| ChatDelta::Text { text }).chain([ChatDelta::Done {
        context: 512,
        prompt_tokens: 24,
        completion_tokens: count,
        tokens_per_second: 33.3,
        finish_reason: "stop".into(),
    }]);
    Sse::new(futures::stream::unfold(deltas, |mut deltas| async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let delta = deltas.next()?;
        Some((SseEvent::default().json_data(delta), deltas))
    }))
}
