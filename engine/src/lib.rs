//! Training and generation of language models on candle tensors.
//!
//! Knows tensors and tokens, no HTTP and no SQL.

#![warn(missing_docs, unreachable_pub, clippy::missing_errors_doc)]

pub mod adapter;
pub mod autograd;
pub mod chat;
pub mod device;
mod error;
pub mod families;
pub mod generate;
pub mod job;
pub mod limits;
pub mod memory;
mod method;
pub mod model;
pub mod ops;
pub mod optim;
pub mod quant;
pub mod rl;
mod stage;
pub mod svd;
pub mod tensor;
pub mod train;
pub mod weights;
pub mod world;

pub use error::{Error, Result};
pub use kernel;
pub use text::{self, files, hub, observer, rng};
