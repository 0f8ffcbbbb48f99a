//! What a fine-tuning run *is*: its recipe, its states, and the events it emits.
//!
//! Pure data and functions without I/O; the crate compiles to wasm, so that the form in the browser,
//! the command line and the engine validate by the same code.

pub mod event;
pub mod run;

pub use event::{Event, EventBody, LogLevel, Outcome, Phase, Point};
pub use run::RunState;
