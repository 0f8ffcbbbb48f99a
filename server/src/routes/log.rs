//! `GET /runs/{id}/log.txt`: a run's whole log, as a file to keep.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use app::live::LogLine;
use axum::{
    body::Body,
    extract::{self, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use recipe::{Event, Lang};
use tokio_util::io::{ReaderStream, SyncIoBridge};

use crate::{pool::Pool, security::preferences, worker::EVENTS_FILE};

/// Bytes that wait for a slow reader.
const WAITING: usize = 64 << 10;

pub(super) async fn log_file(
    State(pool): State<Pool>,
    extract::Path(id): extract::Path<String>,
    headers: HeaderMap,
) -> Response {
    if pool.store().run(&id).await.is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let lang = preferences(&headers).lang;
    let path = pool.run_dir(&id).join(EVENTS_FILE);
    let (reader, writer) = tokio::io::duplex(WAITING);
    let mut writer = SyncIoBridge::new(writer);
    tokio::task::spawn_blocking(move || {
        // Whoever asked may have left, and a run that was just queued has no events yet.
        if let Err(e) = write(&path, lang, &mut writer) {
            tracing::debug!("log of run {id}: {e}");
        }
        let _ = writer.shutdown();
    });
    let disposition = "attachment";
    let kind =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition)];
    (kind, Body::from_stream(ReaderStream::new(reader))).into_response()
}

/// Writes the log that an event file tells of, a line an event.
///
/// # Errors
/// The file cannot be read, or nobody takes what is written.
fn write(path: &Path, lang: Lang, out: &mut dyn Write) -> io::Result<()> {
    /// An event is far shorter; a line that is not one is not kept in memory.
    const LONGEST_LINE: u64 = 1 << 20;
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let event = serde_json::from_slice::<Event>(&line).ok();
        if let Some(line) = event.and_then(|event| LogLine::of(&event, lang)) {
            writeln!(out, "{}", line.to_text())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_that_can_be_read_has_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let event = |seq: u64| {
            format!(r#"{{"seq":{seq},"time":0,"type":"log","level":"info","message":"line {seq}"}}"#)
        };
        let mut text: String = (1..=400).map(|seq| event(seq) + "\n").collect();
        text.push_str("nonsense\n{\"seq\":401,");
        std::fs::write(&path, text).unwrap();
        let mut whole = Vec::new();
        write(&path, Lang::En, &mut whole).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        assert_eq!(whole.lines().count(), 400);
        assert!(whole.starts_with("1970-01-01T00:00:00Z line 1\n"));
    }
}
