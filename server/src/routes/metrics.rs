//! `GET /metrics`: what there is to count, as Prometheus reads it.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::pool::Pool;

/// Upper bounds, in seconds, of what the time to an answer's head is sorted into.
const BUCKETS: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0, 30.0];

/// Counters of one server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    watchers: IntGauge,
    runs: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// Two metrics have one name.
    pub fn new() -> Result<Arc<Metrics>, prometheus::Error> {
        let seconds =
            HistogramOpts::new("http_request_duration_seconds", "Time to the head of the answer, by route.");
        let metrics = Metrics {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new("http_requests_total", "Requests answered, by method, route and status."),
                &["method", "route", "status"],
            )?,
            seconds: HistogramVec::new(seconds.buckets(BUCKETS.to_vec()), &["route"])?,
            watchers: IntGauge::new("chandler_watchers", "Open websockets of pages that follow a run.")?,
            runs: IntGaugeVec::new(Opts::new("chandler_runs", "Runs, by state."), &["state"])?,
        };
        let Metrics { registry, requests, seconds, watchers, runs } = &metrics;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(watchers.clone()))?;
        registry.register(Box::new(runs.clone()))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Arc::new(metrics))
    }

    /// Counts a watcher for as long as what it gets is kept.
    pub fn watcher(&self) -> Watching {
        self.watchers.inc();
        Watching(self.watchers.clone())
    }
}

/// See [`Metrics::watcher`].
pub struct Watching(IntGauge);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`
pub async fn metrics(State(metrics): State<Arc<Metrics>>, State(pool): State<Pool>) -> Response {
    let counted = match pool.store().count_by_state().await {
        Ok(counted) => counted,
        Err(e) => return (StatusCode::SERVICE_UNAVAILABLE, e.to_string()).into_response(),
    };
    for state in recipe::RunState::ALL {
        let count = counted.iter().find(|(name, _)| name == state.name()).map_or(0, |(_, count)| *count);
        metrics.runs.with_label_values(&[state.name()]).set(count);
    }
    match TextEncoder::new().encode_to_string(&metrics.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

/// Counts an answer. What anyone may make up, as methods and paths, is no label: there would be no end of them.
pub async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("files", MatchedPath::as_str);
    let begin = Instant::now();
    let response = next.run(request).await;
    metrics.seconds.with_label_values(&[route]).observe(begin.elapsed().as_secs_f64());
    metrics.requests.with_label_values(&[method, route, response.status().as_str()]).inc();
    response
}
