//! Training and generation of language models on candle tensors.
//!
//! Knows tensors and tokens, no HTTP and no SQL.

pub mod autograd;
mod error;
pub mod kernel;
pub mod ops;
pub mod tensor;

pub use error::{Error, Result};
