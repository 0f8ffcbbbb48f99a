//! One decoder for every family.

mod attention;
mod batch;
mod block;
mod build;
mod cache;
mod decoder;
mod feed_forward;
mod gradients;
mod lora;
mod noise;

pub use batch::{Batch, Context};
pub use build::{Tuning, WeightSource};
pub use cache::Cache;
pub use decoder::{Decoder, Pass};
pub use feed_forward::RouterLogits;
pub use lora::{LoraSettings, linear_names};
pub use noise::Noise;
