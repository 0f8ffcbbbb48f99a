//! What a run's page knows while the run goes on: events folded into points, evaluations, checkpoints
//! and log, fed by a websocket that reconnects by itself.

mod fold;
mod line;
#[cfg(feature = "hydrate")]
mod socket;

pub use fold::{Fold, Sizes};
pub use line::LogLine;
#[cfg(feature = "hydrate")]
pub use socket::connect;

/// How a page stands with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Not tried yet (as the server renders the page).
    Off,
    Connecting,
    Open,
    /// Lost; tried again in a moment. The run is not affected.
    Retrying,
}

impl Connection {
    /// The name in `data-live`.
    pub fn name(self) -> &'static str {
        match self {
            Connection::Off => "off",
            Connection::Connecting => "connecting",
            Connection::Open => "open",
            Connection::Retrying => "retrying",
        }
    }
}
