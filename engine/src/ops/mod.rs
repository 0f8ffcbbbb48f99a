//! Differentiable operations with hand-written backward passes.
//!
//! Each file: what it computes, and the pass forward and backward on CPU kernels. `plain` has the same
//! things from plain candle operations, which candle can differentiate: what runs on other devices (each
//! operation asks [`has_kernels`](crate::device::has_kernels) first), and the oracle of the tests.
//!
//! A [`Linear`] is part of a [`Projection`], which runs it with what is in front of it as one operation. Forward it goes
//! onto a tape, backward its gradients come from there:
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use engine::autograd::{ParamGradients, Tape};
//! use engine::model::{Selection, Tuning};
//! use engine::ops::Mode;
//!
//! let files = engine::weights::open("../models/wick".as_ref(), None)?;
//! let decoder = files.build(&Tuning { selection: Selection::All, ..Tuning::default() })?;
//! let qkv = decoder.blocks[0].projections()[0].clone();
//! let linear = &qkv.linears[0];
//!
//! let tape = Tape::new();
//! let x = tape.leaf(Tensor::ones((3, linear.in_dim()), DType::F32, &Device::Cpu)?);
//! let leaf = x.node;
//! let y = qkv.forward(&tape, x, None, &Mode::default())?;
//! let width: usize = qkv.linears.iter().map(|linear| linear.out_dim()).sum();
//! assert_eq!(y.tensor.dims(), [3, width]);
//!
//! let mut grads = ParamGradients::default();
//! let dx = tape.backward(&y, y.tensor.ones_like()?, &mut grads, leaf)?;
//! assert_eq!(dx.map(|dx| dx.dims().to_vec()), Some(vec![3, linear.in_dim()]));
//! assert!(linear.params().all(|param| grads.get(param.id).is_some()));
//! # Ok::<(), engine::Error>(())
//! ```

pub mod adapter;
pub mod attention;
pub mod balance;
pub mod dispatch;
pub mod dora;
pub mod dropout;
pub mod elementwise;
pub mod embedding;
pub mod head;
pub mod head_norm;
pub mod latent;
pub mod linear;
pub mod lora;
pub mod norm;
pub mod oft;
pub mod past;
mod plain;
pub mod projection;
pub mod routing;
pub mod shift;
pub mod weight;

pub use adapter::{Mode, Update, Updates};
pub use attention::{AttentionSpec, Rotary, Rotation, alibi_slopes, attention};
pub use balance::{Balance, BalanceInLayer, BalanceKind};
pub use dora::Magnitude;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use head::{Head, HeadOutput, Label, Targets};
pub use head_norm::{ColumnNorm, HeadNorm};
pub use linear::Linear;
pub use lora::Lora;
pub use norm::Norm;
pub use oft::{Blocks, Oft};
pub use past::{Extension, Pages, Slots};
pub use projection::{Projection, Prologue, Values};
pub use routing::{GroupScore, Groups, Routing, Scoring};
pub use weight::Weight;

#[cfg(test)]
mod tests;
