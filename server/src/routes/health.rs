//! `GET /healthz`: whether the server answers, its database does, and its runs folder is in its place.

use axum::{extract::State, http::StatusCode};

use crate::pool::Pool;

pub(super) async fn health(State(pool): State<Pool>) -> (StatusCode, String) {
    match pool.check().await {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(e) => {
            tracing::error!("health check: {e}");
            (StatusCode::SERVICE_UNAVAILABLE, e.to_string())
        }
    }
}
