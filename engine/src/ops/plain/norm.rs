//! Norms of whole rows, and of stretches of their columns.

use candle_core::{D, Tensor};

use super::{select, take_columns};
use crate::Result;
use crate::autograd::Weights;
use crate::ops::{ColumnNorm, HeadNorm, Norm};

impl Norm {
    /// Normalises the last dimension of x.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn plain(&self, x: &Tensor, weights: &Weights) -> Result<Tensor> {
        self.plain_shaped(x, weights, &[])
    }

    /// The same with parameters seen in another shape; none takes their own.
    fn plain_shaped(&self, x: &Tensor, weights: &Weights, shape: &[usize]) -> Result<Tensor> {
        let read = |param| -> Result<Tensor> {
            let values = weights.read(param)?;
            Ok(if shape.is_empty() { values } else { values.reshape(shape)? })
        };
        let mean = |x: &Tensor| x.mean_keepdim(D::Minus1);
        let x = if self.center { x.broadcast_sub(&mean(x)?)? } else { x.clone() };
        let mut y = x.broadcast_div(&(mean(&x.sqr()?)? + self.eps)?.sqrt()?)?;
        if let Some(weight) = &self.weight {
            let weight = read(weight)?;
            y = y.broadcast_mul(&if self.one_plus { (weight + 1.0)? } else { weight })?;
        }
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&read(bias)?)?;
        }
        Ok(y)
    }
}

impl ColumnNorm {
    /// The stretches of x [rows, width], normalised, side by side.
    fn plain(&self, x: &Tensor, weights: &Weights) -> Result<Tensor> {
        let (rows, count) = (x.dims()[0], self.starts.len());
        let stretches = take_columns(x, &self.starts, self.len)?.reshape((rows, count, self.len))?;
        let own = [count, self.len];
        let shared = [self.len];
        let shape: &[usize] = if self.own_weights { &own } else { &shared };
        Ok(self.norm.plain_shaped(&stretches, weights, shape)?.reshape((rows, count * self.len))?)
    }

    /// The columns of the stretches, in their order.
    fn columns(&self) -> impl Iterator<Item = usize> {
        self.starts.iter().flat_map(|start| *start..start + self.len)
    }
}

/// y [rows, width] of x [rows, width].
pub(crate) fn head_norm(spec: &HeadNorm, x: &Tensor, weights: &Weights) -> Result<Tensor> {
    let width = x.dims()[1];
    // Where each column of the result comes from: the norms' outputs side by side, and x behind them.
    let normed: usize = spec.parts.iter().map(|part| part.columns().count()).sum();
    let mut source: Vec<u32> = (0..width).map(|column| (normed + column) as u32).collect();
    for (place, column) in spec.parts.iter().flat_map(ColumnNorm::columns).enumerate() {
        source[column] = place as u32;
    }
    let mut parts: Vec<Tensor> =
        spec.parts.iter().map(|part| part.plain(x, weights)).collect::<Result<_>>()?;
    parts.push(x.clone());
    select(&Tensor::cat(&parts, 1)?, source, 1)
}
