//! Text in, token ids out: tokenizers, chat templates, data sets, and their encoding for each training stage.
//!
//! ```text
//! dataset_info.json ─► data::Catalog ─► data::Record ─► Template ─► pieces of text ─► Tokenizer ─► encode::Example
//! ```
//!
//! [`prepare`] goes the whole way for one recipe; a chat uses [`Template`] (or the model's own [`ChatTemplate`]) and
//! [`Tokenizer`] alone.

pub mod data;
pub mod encode;
mod error;
pub mod files;
pub mod hub;
mod jinja;
mod numpy;
pub mod observer;
mod prepare;
pub mod pyjson;
mod pyrepr;
pub mod rng;
pub mod scores;
pub mod similarity;
mod store;
pub mod template;
pub mod tokenizer;

pub use encode::{Example, IGNORE_INDEX};
pub use error::{Error, Result};
pub use prepare::{
    EvalSet, NewRow, Prepared, Remark, epoch_order, fetch, new_rows, prepare, prepare_tokenizer,
};
pub use store::{Examples, StreamStep, cache_folder};
pub use template::{ChatTemplate, Conversation, Dialogue, Message, Piece, Role, Template};
pub use tokenizer::{GgufTokenizer, StreamDecoder, Tokenizer};
