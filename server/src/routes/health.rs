//! `GET /healthz`: whether the server answers and its database does.

use axum::{extract::State, http::StatusCode};

use crate::pool::Pool;

pub async fn health(State(pool): State<Pool>) -> (StatusCode, &'static str) {
    match pool.store().live_runs().await {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(e) => {
            tracing::error!("health check: {e}");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    }
}
