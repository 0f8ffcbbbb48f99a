//! Fans out what happens in runs to whoever watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use recipe::Event;
use tokio::sync::broadcast;
use wire::{Frame, RunSummary};

/// Batches a slow watcher may fall behind before it has to read from the database again.
const BEHIND: usize = 64;

/// News of a run, put into words once for all who watch it. They are sent after they are in the database.
#[derive(Debug)]
pub struct Update {
    /// What is new, in order.
    pub events: Vec<Event>,
    /// The run as it is now.
    pub run: RunSummary,
    /// The frame of the events, where there are any.
    pub of_events: Option<Utf8Bytes>,
    /// The frames of the row.
    pub of_row: Vec<Utf8Bytes>,
}

impl Update {
    /// `log_tail`: of a worker that ended badly.
    pub fn new(events: Vec<Event>, run: RunSummary, log_tail: Vec<String>) -> Update {
        let of_events = (!events.is_empty()).then(|| text(&Frame::Events { events: events.clone() }));
        Update { of_events, of_row: of_row(&run, log_tail), events, run }
    }
}

/// What tells of a run's row.
pub fn of_row(run: &RunSummary, log_tail: Vec<String>) -> Vec<Utf8Bytes> {
    let tail = (!log_tail.is_empty()).then_some(Frame::LogTail { lines: log_tail });
    let row = Frame::Run { run: Box::new(run.clone()) };
    std::iter::once(row).chain(tail).map(|frame| text(&frame)).collect()
}

/// A frame as it is sent.
pub fn text(frame: &Frame) -> Utf8Bytes {
    serde_json::to_string(frame).unwrap_or_default().into()
}

/// A channel for each run that somebody watches.
#[derive(Default)]
pub struct Broadcast {
    channels: Mutex<HashMap<String, broadcast::Sender<Arc<Update>>>>,
}

impl Broadcast {
    /// News of a run from now on.
    pub fn subscribe(&self, id: &str) -> broadcast::Receiver<Arc<Update>> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(id.to_owned()).or_insert_with(|| broadcast::channel(BEHIND).0).subscribe()
    }

    /// A run that nobody watches costs nothing.
    pub fn is_watched(&self, id: &str) -> bool {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = channels.get(id).is_some_and(|channel| channel.receiver_count() > 0);
        if !watched {
            channels.remove(id);
        }
        watched
    }

    /// Reaches whoever watches now.
    pub fn publish(&self, id: &str, update: Update) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(id) {
            // The last watcher may have left by now.
            let _ = channel.send(Arc::new(update));
        }
    }

    /// Ends every watcher's stream: the run is gone.
    pub fn close(&self, id: &str) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
