//! The operations from candle's own, which run on every device.
//!
//! They serve where there are no kernels, and are the oracle of the kernels' tests. Only operations that candle
//! differentiates are used: its fused ones (softmax, norm, rotation, attention) cut the graph in silence.

mod adapter;
mod attention;
mod divergence;
mod elementwise;
mod embedding;
mod experts;
mod head;
mod norm;
mod projection;

#[cfg(test)]
pub(super) use attention::attention;
pub(super) use attention::{extend, recorded_attention};
pub(super) use elementwise::{
    activation, add_scaled, assemble, clamp, columns, join, sigmoid, sigmoid_gate, with_previous,
};
pub(super) use embedding::embed;
pub(super) use experts::{combine, gather_rows, route, scatter_rows};
#[cfg(test)]
pub(super) use head::losses;
pub(super) use norm::head_norm;

use candle_core::{D, Tensor};

use crate::Result;

/// Stretches of `len` columns of x [rows, width], side by side.
fn take_columns(x: &Tensor, starts: &[usize], len: usize) -> Result<Tensor> {
    let adjacent = starts.windows(2).all(|pair| pair[0] + len == pair[1]);
    if let (true, Some(first)) = (adjacent, starts.first()) {
        return Ok(x.narrow(1, *first, starts.len() * len)?);
    }
    let index = starts.iter().flat_map(|start| *start as u32..(start + len) as u32).collect();
    select(x, index, 1)
}

/// Entries of a dimension in the given order.
fn select(x: &Tensor, index: Vec<u32>, dim: usize) -> Result<Tensor> {
    let count = index.len();
    Ok(x.contiguous()?.index_select(&Tensor::from_vec(index, count, x.device())?, dim)?)
}

/// Softmax over the last dimension.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let top = x.max_keepdim(D::Minus1)?.detach();
    let weights = x.broadcast_sub(&top)?.exp()?;
    Ok(weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?)
}
