//! `GET /ws/runs/{id}?after=SEQ`: what happened in a run since, then what happens.

use std::{sync::Arc, time::Duration};

use app::api::Frame;
use axum::{
    Extension,
    extract::{
        Path, Query, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    connections::Place,
    pool::{Pool, Update},
    routes::Metrics,
    security::SessionEnd,
    store::StoreError,
};

/// Keeps proxies from dropping a silent connection, and finds clients that are gone.
const PING: Duration = Duration::from_secs(20);

/// The largest message that is taken in: watchers say nothing, and what they say is held in memory until it is whole.
const LARGEST: usize = 4 << 10;

#[derive(serde::Deserialize)]
pub struct After {
    #[serde(default)]
    after: u64,
}

pub async fn run_socket(
    socket: WebSocketUpgrade,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
    State(pool): State<Pool>,
    State(metrics): State<Arc<Metrics>>,
    session: Option<Extension<SessionEnd>>,
    place: Option<Extension<Place>>,
) -> Response {
    let socket = socket.max_message_size(LARGEST).max_frame_size(LARGEST);
    let session = session.map(|Extension(end)| end).unwrap_or_default();
    match pool.store().run(&id).await {
        Ok(_) => socket.on_upgrade(move |socket| async move {
            let (_place, _counted) = (place, metrics.watcher());
            let mut watcher = Watcher { socket, pool, id, seen: after };
            tokio::select! {
                left = watcher.watch() => if let Err(e) = left {
                    tracing::debug!("a watcher of run {} left: {e}", watcher.id);
                },
                // Who has logged out watches no longer.
                () = session.wait() => {}
            }
        }),
        Err(e @ StoreError::NoRun(_)) => (StatusCode::NOT_FOUND, e.to_string()).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

struct Watcher {
    socket: WebSocket,
    pool: Pool,
    id: String,
    /// The newest sequence number that the client has.
    seen: u64,
}

type Left = Box<dyn std::error::Error + Send + Sync>;

impl Watcher {
    /// Ends when the client leaves, the run is deleted, or something breaks.
    async fn watch(&mut self) -> Result<(), Left> {
        // Subscribed first and read then: nothing can fall between the two.
        let mut updates = self.pool.subscribe(&self.id);
        self.back_fill().await?;
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        let mut is_heard = true;
        loop {
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(Update::Events(events)) => self.send_events(&events).await?,
                    Ok(Update::Row) => self.send_run().await?,
                    Err(RecvError::Lagged(_)) => self.back_fill().await?,
                    Err(RecvError::Closed) => return Ok(()),
                },
                message = self.socket.recv() => match message {
                    None | Some(Ok(Message::Close(_))) => return Ok(()),
                    Some(message) => {
                        message?;
                        is_heard = true;
                    }
                },
                _ = ping.tick() => {
                    if !std::mem::take(&mut is_heard) {
                        return Err("it does not answer".into());
                    }
                    self.socket.send(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    async fn back_fill(&mut self) -> Result<(), Left> {
        let events = self.pool.store().events_after(&self.id, self.seen).await?;
        self.seen = events.last().map_or(self.seen, |event| event.seq);
        self.send(&Frame::Backfill { events }).await?;
        self.send_run().await
    }

    async fn send_run(&mut self) -> Result<(), Left> {
        let run = self.pool.store().run(&self.id).await?.summary();
        let lines = self.pool.last_words(&run.id, run.state);
        self.send(&Frame::Run { run: Box::new(run) }).await?;
        if lines.is_empty() {
            return Ok(());
        }
        self.send(&Frame::LastWords { lines }).await
    }

    async fn send_events(&mut self, events: &[recipe::Event]) -> Result<(), Left> {
        let events: Vec<_> = events.iter().filter(|event| event.seq > self.seen).cloned().collect();
        let Some(last) = events.last() else { return Ok(()) };
        self.seen = last.seq;
        self.send(&Frame::Events { events }).await
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), Left> {
        let text = serde_json::to_string(frame)?;
        Ok(self.socket.send(Message::Text(text.into())).await?)
    }
}
