//! `GET /runs/{id}/log.txt`: a run's whole log, as a file to keep.

use app::prefs::Preferences;
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio_util::io::{ReaderStream, SyncIoBridge};

use crate::{board::log, pool::Pool, worker::EVENTS_FILE};

/// Bytes that wait for a slow reader.
const WAITING: usize = 64 << 10;

pub async fn log_file(State(pool): State<Pool>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if pool.store().run(&id).await.is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lang = Preferences::from_headers(header(header::COOKIE), header(header::ACCEPT_LANGUAGE)).lang;
    let path = pool.run_dir(&id).join(EVENTS_FILE);
    let (reader, writer) = tokio::io::duplex(WAITING);
    let mut writer = SyncIoBridge::new(writer);
    tokio::task::spawn_blocking(move || {
        // Whoever asked may have left, and a run that was just queued has no events yet.
        if let Err(e) = log::write(&path, lang, &mut writer) {
            tracing::debug!("log of run {id}: {e}");
        }
        let _ = writer.shutdown();
    });
    let disposition = "attachment";
    let kind =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition)];
    (kind, Body::from_stream(ReaderStream::new(reader))).into_response()
}
