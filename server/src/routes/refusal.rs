//! What a status says of a server function's refusal: leptos answers every one with 500, as if the server had broken.

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use wire::BoardError;

use crate::connections::TOO_SLOW;

/// Set by leptos on an answer that is an error.
const ERROR: &str = "serverfnerror";
/// What a body that is longer than the router's limit is refused with while it is read.
const TOO_LONG: &str = "length limit exceeded";

/// Gives a server function's error the status that it has. Every other answer is left as it is.
pub(super) async fn with_status(response: Response) -> Response {
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || !response.headers().contains_key(ERROR) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is an error of ours: small, and whole already.
    let Ok(body) = body.collect().await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let body = body.to_bytes();
    if let Ok(error) = serde_json::from_slice(&body) {
        parts.status = status(&error);
    }
    Response::from_parts(parts, Body::from(body))
}

/// The status that an error has.
pub(super) fn status(error: &BoardError) -> StatusCode {
    match error {
        BoardError::NotFound(_) => StatusCode::NOT_FOUND,
        BoardError::Refused(_) => StatusCode::CONFLICT,
        BoardError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        BoardError::Malformed(reason) if reason.contains(TOO_LONG) => StatusCode::PAYLOAD_TOO_LARGE,
        BoardError::Malformed(reason) if reason.contains(TOO_SLOW) => StatusCode::REQUEST_TIMEOUT,
        BoardError::Malformed(_) => StatusCode::BAD_REQUEST,
        BoardError::Internal(_) | BoardError::Unreachable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
