//! Differentiable operations with hand-written backward passes.
//!
//! Each file: what it computes, the pass forward and backward on CPU kernels, and the same thing from
//! plain candle operations (`plain`), which candle can differentiate: the oracle of the tests.

pub mod attention;
pub mod dropout;
pub mod embedding;
pub mod head;
pub mod norm;
pub mod projection;

pub use attention::{AttentionSpec, Rotation, attention};
pub use dropout::Dropout;
pub use embedding::embedding;
pub use head::{Head, HeadOutput, Label};
pub use norm::Norm;
pub use projection::{Linear, Lora, Projection, Prologue};

#[cfg(test)]
mod tests;
