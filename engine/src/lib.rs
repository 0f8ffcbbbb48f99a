//! Training and generation of language models on candle tensors.
//!
//! Knows tensors and tokens, no HTTP and no SQL.

pub mod adapter;
pub mod autograd;
pub mod chat;
pub mod device;
mod error;
pub mod families;
pub mod files;
pub mod generate;
pub mod hub;
pub mod job;
pub mod kernel;
pub mod limits;
pub mod memory;
mod method;
pub mod model;
pub mod observer;
pub mod ops;
pub mod optim;
pub mod quant;
pub mod rng;
mod stage;
pub mod tensor;
pub mod text;
pub mod train;
pub mod weights;
pub mod world;

pub use error::{Error, Result};
