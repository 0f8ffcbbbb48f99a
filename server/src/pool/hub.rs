//! Fans out what happens in runs to whoever watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use recipe::Event;
use tokio::sync::broadcast;

/// Batches a slow watcher may fall behind before it has to read from the database again.
const BEHIND: usize = 64;

/// News of a run. Events are sent after they are in the database.
#[derive(Clone, Debug)]
pub enum Update {
    Events(Arc<[Event]>),
    /// The run's row is another. Whoever shows it reads it then: two that tell of one run at once may do so in
    /// another order than they wrote.
    Row,
}

#[derive(Default)]
pub struct Hub {
    channels: Mutex<HashMap<String, broadcast::Sender<Update>>>,
}

impl Hub {
    pub fn subscribe(&self, id: &str) -> broadcast::Receiver<Update> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(id.to_owned()).or_insert_with(|| broadcast::channel(BEHIND).0).subscribe()
    }

    /// Reaches whoever watches now; a run that nobody watches costs nothing.
    pub fn publish(&self, id: &str, update: impl FnOnce() -> Update) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = channels.get(id) else { return };
        if channel.receiver_count() == 0 || channel.send(update()).is_err() {
            channels.remove(id);
        }
    }

    /// Ends every watcher's stream: the run is gone.
    pub fn close(&self, id: &str) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
