//! `GET /ws/runs/{id}?after=SEQ`: what happened in a run since, then what happens.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        Path, Query, State,
        ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use futures_util::SinkExt;
use tokio::sync::{Semaphore, broadcast::error::RecvError};
use wire::Frame;

use crate::{
    connections::Place,
    pool::{Pool, Update, of_row, text},
    routes::{Metrics, refusal},
    security::SessionEnd,
};

/// Keeps proxies from dropping a silent connection, and finds clients that are gone.
const PING: Duration = Duration::from_secs(20);

/// The largest message that is taken in: watchers say nothing, and what they say is held in memory until it is whole.
const LARGEST: usize = 4 << 10;

/// Back-fills that are made at a time: many watchers may come at once.
static BACK_FILLS: Semaphore = Semaphore::const_new(2);

#[derive(serde::Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn run_socket(
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
        Err(e) => {
            let why = e.to_string();
            (refusal::status(&e.into()), why).into_response()
        }
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
                    Ok(update) => self.tell(&update).await?,
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
        let turn = BACK_FILLS.acquire().await?;
        let events = self.pool.store().events_after(&self.id, self.seen).await?;
        self.seen = events.last().map_or(self.seen, |event| event.seq);
        let run = self.pool.store().run(&self.id).await?.summary();
        let log_tail = self.pool.log_tail(&run.id, run.state);
        // Thousands of points are put into words beside the threads that answer requests.
        let backfill = tokio::task::spawn_blocking(move || text(&Frame::Backfill { events })).await?;
        drop(turn);
        self.send(std::iter::once(backfill).chain(of_row(&run, log_tail))).await
    }

    async fn tell(&mut self, update: &Update) -> Result<(), Left> {
        let news = match (update.events.first(), update.events.last(), &update.of_events) {
            (Some(first), Some(last), Some(frame)) if last.seq > self.seen => {
                let frame = match first.seq > self.seen {
                    true => frame.clone(),
                    // The back-fill has brought some of them.
                    false => text(&Frame::Events {
                        events: update.events.iter().filter(|event| event.seq > self.seen).cloned().collect(),
                    }),
                };
                self.seen = last.seq;
                Some(frame)
            }
            _ => None,
        };
        self.send(news.into_iter().chain(update.of_row.iter().cloned())).await
    }

    /// Sends frames in one go.
    async fn send(&mut self, frames: impl Iterator<Item = Utf8Bytes>) -> Result<(), Left> {
        for frame in frames {
            self.socket.feed(Message::Text(frame)).await?;
        }
        Ok(self.socket.flush().await?)
    }
}
