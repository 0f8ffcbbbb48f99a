//! Small operations: sums, activations, parts of rows.

use candle_core::Tensor;

use crate::Result;
use crate::kernel::activation::Activation;
use crate::ops::latent::LatentHeads;

/// a + scale · b
pub(crate) fn add_scaled(a: &Tensor, b: &Tensor, scale: f32) -> Result<Tensor> {
    Ok((a + (b * f64::from(scale))?)?)
}

/// x cut off at ± limit; no gradient where it is cut.
pub(crate) fn clamp(x: &Tensor, limit: f32) -> Result<Tensor> {
    Ok(x.clamp(-limit, limit)?)
}

/// Columns `start..start + len` of x.
pub(crate) fn columns(x: &Tensor, start: usize, len: usize) -> Result<Tensor> {
    Ok(x.narrow(1, start, len)?)
}

/// Rows of a and of b side by side.
pub(crate) fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok(Tensor::cat(&[a, b], 1)?)
}

/// 1 / (1 + e⁻ˣ)
pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok((x.neg()?.exp()? + 1.0)?.recip()?)
}

/// Rows of y [rows, dim], each times the sigmoid of its entry in `gate` [rows, 1].
pub(crate) fn sigmoid_gate(y: &Tensor, gate: &Tensor) -> Result<Tensor> {
    Ok(y.broadcast_mul(&sigmoid(gate)?)?)
}

pub(crate) fn activation(activation: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => x.silu()?,
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::Relu => x.relu()?,
    })
}

/// Each row with the one before it: (before, own) for every column. Rows in `starts` have a row of `first` [starts,
/// dim], or zeros, before them.
pub(crate) fn with_previous(x: &Tensor, starts: &[usize], first: Option<&Tensor>) -> Result<Tensor> {
    let (rows, dim) = x.dims2()?;
    let edges = match first {
        Some(first) => first.clone(),
        None => Tensor::zeros((starts.len(), dim), x.dtype(), x.device())?,
    };
    // The edges come first; row i of x is row i + starts.
    let before = |row: usize| starts.binary_search(&row).unwrap_or_else(|_| starts.len() + row - 1) as u32;
    let before = super::select(&Tensor::cat(&[&edges, x], 0)?, (0..rows).map(before).collect(), 0)?;
    Ok(Tensor::stack(&[&before, x], 2)?.reshape((rows, 2 * dim))?)
}

/// Rows of queries, keys and values of latent attention.
pub(crate) fn assemble(sizes: LatentHeads, q: &Tensor, expanded: &Tensor, shared: &Tensor) -> Result<Tensor> {
    let LatentHeads { heads, plain, rotary, value } = sizes;
    let rows = q.dims()[0];
    let expanded = expanded.reshape((rows, heads, plain + value))?;
    let shared = shared.reshape((rows, 1, rotary))?.broadcast_as((rows, heads, rotary))?;
    let keys = Tensor::cat(&[&expanded.narrow(2, 0, plain)?, &shared.contiguous()?], 2)?;
    let values = expanded.narrow(2, plain, value)?;
    let keys = keys.reshape((rows, heads * sizes.query_dim()))?;
    let values = values.reshape((rows, heads * value))?;
    Ok(Tensor::cat(&[q, &keys, &values], 1)?)
}
