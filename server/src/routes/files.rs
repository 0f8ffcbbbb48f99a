//! The site's files; the page that says so where there is none.
//!
//! Not leptos' own handler of files: it answers within whatever page is being rendered on its thread, and takes
//! that page's headers.

use std::{io::ErrorKind, sync::Arc};

use app::shell;
use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get},
};
use leptos::prelude::LeptosOptions;
use leptos_axum::render_app_async_with_context;
use tower_http::services::ServeDir;

use crate::site::Site;

/// A year: as long as browsers keep anything.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Answers to everything that no route answers to.
pub(super) fn files(
    site: &Site,
    options: LeptosOptions,
    context: impl Fn() + Clone + Send + Sync + 'static,
) -> MethodRouter {
    let missing = get(render_app_async_with_context(context, move || shell(options.clone())));
    let folder = ServeDir::new(site.root())
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(missing.clone());
    let versioned: Arc<str> = site.versioned().into();
    any(async move |mut request: Request| {
        let lasts = take_off(&versioned, &mut request);
        let mut response = file(folder, missing, request).await;
        if lasts && response.status().is_success() {
            response.headers_mut().insert(header::CACHE_CONTROL, FOR_GOOD);
        }
        response
    })
}

/// Takes the version off the address of a file that never changes; whether there was one.
fn take_off(versioned: &str, request: &mut Request) -> bool {
    let path = request.uri().path().strip_prefix(versioned).filter(|path| path.starts_with('/'));
    let Some(Ok(file)) = path.map(str::parse::<Uri>) else { return false };
    *request.uri_mut() = file;
    true
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
