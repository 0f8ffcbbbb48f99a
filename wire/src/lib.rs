//! What travels between the server and those who ask it, browsers and other programs: plain data, no pages and no
//! engine. Names of fields and variants are the names in JSON.

#![warn(missing_docs, unreachable_pub, clippy::missing_errors_doc)]

#[cfg(feature = "server")]
mod board;
mod chat;
mod datasets;
mod error;
mod form;
mod preferences;
mod runs;
pub mod sse;

#[cfg(feature = "server")]
pub use board::{BoardApi, DatasetsApi};
pub use chat::{ChatDelta, ChatRequest, ChatStatus, ChatTarget};
pub use datasets::*;
pub use error::BoardError;
pub use form::{FieldProblem, Findings, FormChoices, Memory, ModelChoice, ModelFacts};
pub use preferences::{LANG_COOKIE, Preferences, THEME_COOKIE, Theme, cookies, lang_from_tag, lang_tag};
pub use recipe::{ChatMessage, Sampling};
pub use runs::{Checkpoint, Frame, RunDetail, RunFilter, RunId, RunRecipe, RunSummary};
