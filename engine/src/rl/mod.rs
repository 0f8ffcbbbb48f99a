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

/// The larger of two functions of a variable, and its slope; where they are equal, the mean of both slopes.
fn larger(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    match a.0.total_cmp(&b.0) {
        std::cmp::Ordering::Greater => a,
        std::cmp::Ordering::Less => b,
        std::cmp::Ordering::Equal => (a.0, 0.5 * (a.1 + b.1)),
    }
}
