//! Optimisers and learning-rate schedules.

mod adamw;
mod schedule;

pub use adamw::{AdamW, AdamWSettings, Moments};
pub use schedule::Schedule;
