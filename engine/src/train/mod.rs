//! Training of a loaded model on prepared data, and what it leaves behind.

pub(crate) mod batch;
pub(crate) mod checkpoint;
mod digests;
pub(crate) mod evaluate;
mod pace;
mod plan;
mod plot;
pub(crate) mod records;
pub(crate) mod resume;
mod summary;
mod tensorboard;
mod trainer;

pub use evaluate::Evaluation;
pub use plan::Plan;
pub use resume::{can_resume, checkpoints};
pub use summary::Summary;
pub(crate) use trainer::Trainer;
