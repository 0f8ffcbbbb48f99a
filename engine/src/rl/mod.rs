//! The formulas of reinforcement learning, as functions of numbers: no model, no tensors, no text.
//!
//! A [`Rows`] has a row for each sequence and in it a number for each token of its answer. Rows are ragged: there is no
//! padding, and so no mask. Losses answer with their derivatives, so that a stage only hands them on.

pub mod advantages;
pub mod grpo;
pub mod kl;
pub mod ppo;
pub mod statistics;

/// A number for each token of each sequence's answer.
pub type Rows = Vec<Vec<f64>>;
