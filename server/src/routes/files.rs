//! The site's files; the page that says so where there is none.
//!
//! Not leptos' own handler of files: it answers within whatever page is being rendered on its thread, and takes
//! that page's headers.

use std::io::ErrorKind;

use app::shell;
use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get},
};
use leptos::prelude::LeptosOptions;
use leptos_axum::render_app_async_with_context;
use tower_http::services::ServeDir;

/// Answers to everything that no route answers to.
pub fn files(options: LeptosOptions, context: impl Fn() + Clone + Send + Sync + 'static) -> MethodRouter {
    let site = options.site_root.to_string();
    let missing = get(render_app_async_with_context(context, move || shell(options.clone())));
    let folder = ServeDir::new(site)
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(missing.clone());
    any(move |request: Request| file(folder.clone(), missing.clone(), request))
}

async fn file(mut folder: ServeDir<MethodRouter>, missing: MethodRouter, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), Body::empty());
    match folder.try_call(Request::from_parts(parts, body)).await {
        Ok(response) => response.into_response(),
        // No file can have such a name: it is too long for the system, or holds a NUL.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidFilename | ErrorKind::InvalidInput) => {
            missing.call(again, ()).await
        }
        Err(e) => {
            tracing::error!("cannot read the site's file for {}: {e}", again.uri().path());
            (StatusCode::INTERNAL_SERVER_ERROR, "the server cannot read this file of its site")
                .into_response()
        }
    }
}
