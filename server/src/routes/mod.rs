//! The router: one route a file, and the layers around all of them.

mod chat_stream;
mod files;
mod health;
mod log;
pub mod metrics;
mod refusal;
mod run_socket;
mod upload;

use std::sync::Arc;

use app::{App, base::Base, session::HasPassword, shell};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request},
    http::header,
    middleware::{from_fn, from_fn_with_state, map_response},
    routing::{get, post},
};
use leptos::prelude::{LeptosOptions, provide_context, use_context};
use leptos_axum::{LeptosRoutes, ResponseOptions, generate_route_list};
use leptos_router::location::RequestUrl;
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    limit::RequestBodyLimitLayer,
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::Level;
use wire::{BoardApi, DatasetsApi};

use crate::{
    board::ServerBoard,
    chat::Chat,
    pool::Pool,
    security::{self, Gate},
    site::Site,
};

pub use metrics::Metrics;

/// Recipes and conversations are text; nothing larger is sent to the board.
const LARGEST_BODY: usize = 2 << 20;

/// How hard answers are compressed, for gzip and Brotli alike: pages are a tenth smaller than by the library's own level,
/// in a millisecond or two.
const COMPRESSION: CompressionLevel = CompressionLevel::Precise(6);

/// What routes work with.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// Where the site's files are, for Leptos.
    pub options: LeptosOptions,
    /// The site's files.
    pub site: Arc<Site>,
    /// Queue and supervision of runs.
    pub pool: Pool,
    /// The loaded model.
    pub chat: Arc<Chat>,
    /// Who may ask.
    pub gate: Arc<Gate>,
    /// What the pages ask.
    pub board: Arc<ServerBoard>,
    /// Counters for Prometheus.
    pub metrics: Arc<Metrics>,
}

/// What the board answers to; in the folder of a site that the gate knows, and as a site of its own for a proxy that
/// takes that folder off.
pub fn router(state: AppState) -> Router {
    let base = state.gate.base().to_owned();
    let board = board(state);
    if base.is_empty() {
        return board;
    }
    Router::new().nest_service(&base, board.clone()).fallback_service(board)
}

fn board(state: AppState) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(
            |request: &Request| tracing::info_span!("request", method = %request.method(), path = request.uri().path()),
        )
        .on_request(())
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let context = page_context(state.board.clone(), &state.gate, &state.site);
    let pages = generate_route_list(App);
    let options = state.options.clone();
    let files = files::files(&state.site, options.clone(), context.clone());
    Router::new()
        .route("/ws/runs/{id}", get(run_socket::run_socket))
        .route("/runs/{id}/log.txt", get(log::log_file))
        .route("/chat/stream", post(chat_stream::chat_stream))
        .route("/login", get(security::login_page).post(security::login))
        .route("/logout", post(security::logout))
        .route("/healthz", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .leptos_routes_with_context(&state, pages, context, move || shell(options.clone()))
        .fallback_service(files)
        .layer(map_response(refusal::with_status))
        .layer(CompressionLayer::new().quality(COMPRESSION))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(RequestBodyLimitLayer::new(LARGEST_BODY))
        // Files are larger than what else is sent: the route sees to its own limit.
        .route("/datasets/upload/{name}", post(upload::upload))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(state.gate.clone(), security::guard))
        .layer(from_fn(security::set_headers))
        .layer(from_fn_with_state(state.metrics.clone(), metrics::count))
        .layer(trace)
        .with_state(state)
}

/// What pages and server functions find in their context; sets the page's content policy on the way.
fn page_context(
    board: Arc<ServerBoard>,
    gate: &Gate,
    site: &Site,
) -> impl Fn() + Clone + Send + Sync + 'static {
    let datasets: Arc<dyn DatasetsApi> = board.datasets();
    let board: Arc<dyn BoardApi> = board;
    let splits = site.splits(gate.base());
    let base = Base(gate.base().into());
    let has_password = HasPassword(gate.has_password());
    move || {
        provide_context(board.clone());
        provide_context(datasets.clone());
        provide_context(base.clone());
        provide_context(splits.clone());
        provide_context(has_password);
        if let Some(asked) = use_context::<RequestUrl>() {
            provide_context(in_folder(&base.0, &asked));
        }
        let nonce = leptos::nonce::use_nonce();
        let policy = nonce.and_then(|nonce| security::page_policy(&nonce));
        if let (Some(response), Some(policy)) = (use_context::<ResponseOptions>(), policy) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
}

/// What was asked for as the browser's address says it: with the board's folder, as the page's router compares it.
fn in_folder(base: &str, asked: &RequestUrl) -> RequestUrl {
    let (origin, path) = match asked.as_ref().split_once("://") {
        Some((scheme, rest)) => {
            let end = scheme.len() + 3 + rest.find('/').unwrap_or(rest.len());
            asked.as_ref().split_at(end)
        }
        None => ("", asked.as_ref()),
    };
    RequestUrl::new(&format!("{origin}{base}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_lies_in_the_folder() {
        for (base, asked, expected) in [
            ("", "http://leptos.dev/", "http://leptos.dev/"),
            ("/chandler", "http://leptos.dev/", "http://leptos.dev/chandler/"),
            ("/chandler", "http://leptos.dev/?q=1", "http://leptos.dev/chandler/?q=1"),
            ("/chandler", "http://leptos.dev/runs/1?x=2", "http://leptos.dev/chandler/runs/1?x=2"),
            ("/chandler", "", "/chandler"),
        ] {
            assert_eq!(in_folder(base, &RequestUrl::new(asked)), RequestUrl::new(expected));
        }
    }
}
