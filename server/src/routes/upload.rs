//! `POST /datasets/upload/{name}`: a file for the data folder, as the body of the request.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::board::ServerBoard;

/// Whoever leaves drops the request, and with it what has come of the file.
pub(super) async fn upload(
    State(board): State<Arc<ServerBoard>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match board.datasets().upload(&name, length, body).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(e) => (e.status(), e.to_string()).into_response(),
    }
}
