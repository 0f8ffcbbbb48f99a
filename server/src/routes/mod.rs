//! The router: one route a file, and the layers around all of them.

mod chat_stream;
mod health;
mod log;
mod run_socket;
mod upload;

use std::sync::Arc;

use app::{
    App,
    api::{Board, DataBoard},
    shell,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::header,
    middleware::{from_fn, from_fn_with_state},
    routing::{MethodRouter, get, post},
};
use leptos::prelude::{LeptosOptions, provide_context, use_context};
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list, render_app_async_with_context};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer,
    services::ServeDir,
};

use crate::{
    board::ServerBoard,
    chat::Chat,
    pool::Pool,
    security::{self, Gate},
};

/// Recipes and conversations are text; nothing larger is sent to the board.
const LARGEST_BODY: usize = 2 << 20;

/// What routes work with.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub options: LeptosOptions,
    pub pool: Pool,
    pub chat: Arc<Chat>,
    pub gate: Arc<Gate>,
    pub board: Arc<ServerBoard>,
}

pub fn router(state: AppState) -> Router {
    let context = page_context(state.board.clone());
    let pages = generate_route_list(App);
    let options = state.options.clone();
    let files = files(options.clone(), context.clone());
    Router::new()
        .route("/ws/runs/{id}", get(run_socket::run_socket))
        .route("/runs/{id}/log.txt", get(log::log_file))
        .route("/chat/stream", post(chat_stream::chat_stream))
        .route("/login", get(security::login_page).post(security::login))
        .route("/logout", post(security::logout))
        .route("/healthz", get(health::health))
        .leptos_routes_with_context(&state, pages, context, move || shell(options.clone()))
        .fallback_service(files)
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
        // Files are larger than what else is sent: the route sees to its own limit.
        .route("/datasets/upload/{name}", post(upload::upload))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(state.gate.clone(), security::guard))
        .layer(from_fn(security::set_headers))
        .with_state(state)
}

/// The site's files; the page that says so where there is none.
///
/// Not leptos' own handler of files: it answers within whatever page is being rendered on its thread, and takes
/// that page's headers.
fn files(
    options: LeptosOptions,
    context: impl Fn() + Clone + Send + Sync + 'static,
) -> ServeDir<MethodRouter> {
    let site = options.site_root.to_string();
    let missing = get(render_app_async_with_context(context, move || shell(options.clone())));
    ServeDir::new(site)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(missing)
}

/// What pages and server functions find in their context; sets the page's content policy on the way.
fn page_context(board: Arc<ServerBoard>) -> impl Fn() + Clone + Send + Sync + 'static {
    let datasets: Arc<dyn DataBoard> = board.datasets();
    let board: Arc<dyn Board> = board;
    move || {
        provide_context(board.clone());
        provide_context(datasets.clone());
        let nonce = leptos::nonce::use_nonce();
        let policy = nonce.and_then(|nonce| security::page_policy(&nonce));
        if let (Some(response), Some(policy)) = (use_context::<ResponseOptions>(), policy) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}
