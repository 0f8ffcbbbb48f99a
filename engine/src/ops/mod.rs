//! Differentiable operations with hand-written backward passes.
//!
//! Each file: what it computes, and the pass forward and backward on CPU kernels. `plain` has the same
//! things from plain candle operations, which candle can differentiate: what runs on other devices (each
//! operation asks [`has_kernels`](crate::device::has_kernels) first), and the oracle of the tests.

pub mod attention;
pub mod balance;
pub mod dispatch;
pub mod dropout;
pub mod elementwise;
pub mod embedding;
pub mod head;
pub mod head_norm;
pub mod latent;
pub mod linear;
pub mod norm;
pub mod past;
mod plain;
pub mod projection;
pub mod routing;
pub mod shift;

pub use attention::{AttentionSpec, Rotary, Rotation, alibi_slopes, attention};
pub use balance::{Balance, BalanceInLayer, BalanceKind};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use head::{Head, HeadOutput, Label};
pub use head_norm::{ColumnNorm, HeadNorm};
pub use linear::{Linear, Lora};
pub use norm::Norm;
pub use past::{Extension, Pages, Slots};
pub use projection::{Projection, Prologue, Values};
pub use routing::{GroupScore, Groups, Routing, Scoring};

#[cfg(test)]
mod tests;
