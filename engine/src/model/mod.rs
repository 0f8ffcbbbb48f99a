//! One decoder for every family.

mod assemble;
mod attention;
mod batch;
mod block;
mod cache;
mod decoder;
mod depths;
mod feed_forward;
mod gradients;
mod loftq;
mod lora;
mod noise;
mod principal;
mod shifted;
mod value_head;

pub use assemble::{BlockSelection, Selection, Tuning, WeightSource};
pub use batch::{Batch, Context};
pub use cache::{Cache, SequenceId};
#[cfg(test)]
pub(crate) use decoder::tests::decoder as tiny_decoder;
pub use decoder::{Decoder, Pass};
pub use feed_forward::RouterLogits;
pub use gradients::{Measured, Objective, Seeds, Sums, at_labels};
pub use lora::{LoraSettings, OftSettings, linear_names, linears_named, linears_with};
pub use noise::Noise;
pub use value_head::{VALUE_HEAD, ValueHead};
