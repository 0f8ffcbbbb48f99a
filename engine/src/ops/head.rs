//! The end of the model: final norm, output matrix, cross entropy.
//!
//! Logits are computed where a label needs them and for a block of rows at a time; a block's gradient is
//! taken while its logits are there, so neither logits nor their gradients of a whole batch ever exist.

use std::sync::Arc;

use candle_core::{D, DType, Tensor};

use super::norm::Norm;
use crate::Result;
use crate::autograd::{Param, ParamGradients};
use crate::kernel::cross_entropy::{RowLoss, loss, loss_and_gradient};
use crate::kernel::gemm::{MatMut, MatRef, Options, gemm};
use crate::kernel::uninit;
use crate::tensor::{from_vec, view};

/// Floats of logits in a block.
const BLOCK_FLOATS: usize = 4 << 20;

/// Final norm and output matrix.
#[derive(Debug, Clone)]
pub struct Head {
    pub norm: Option<Norm>,
    /// [vocab, hidden]; the token table itself where they are tied.
    pub weight: Arc<Param>,
    pub bf16: bool,
}

/// A position whose next token is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Row of the hidden states.
    pub row: u32,
    pub token: u32,
}

/// What the head says of a batch.
#[derive(Debug)]
pub struct HeadOutput {
    /// Of each label, in order.
    pub rows: Vec<RowLoss>,
    /// Gradient of Σ scale · loss by the hidden states [rows, hidden].
    pub d_hidden: Option<Tensor>,
}

impl HeadOutput {
    /// Σ of the losses.
    pub fn total(&self) -> f64 {
        self.rows.iter().map(|row| row.loss as f64).sum()
    }
}

impl Head {
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.norm.iter().flat_map(Norm::params).chain(std::iter::once(&self.weight))
    }

    pub fn vocab(&self) -> usize {
        self.weight.tensor.dims()[0]
    }

    fn hidden_dim(&self) -> usize {
        self.weight.tensor.dims()[1]
    }

    fn block_rows(&self) -> usize {
        (BLOCK_FLOATS / self.vocab()).clamp(16, 1024)
    }

    /// Losses of the labels, without gradients.
    pub fn loss(&self, hidden: &Tensor, labels: &[Label]) -> Result<HeadOutput> {
        let mut rows = Vec::with_capacity(labels.len());
        for block in labels.chunks(self.block_rows()) {
            let (_, normed) = self.gather(hidden, block)?;
            let logits = self.product(&normed, block.len())?;
            rows.extend(loss(&logits, self.vocab(), &tokens(block)));
        }
        Ok(HeadOutput { rows, d_hidden: None })
    }

    /// Losses of the labels; gradients of Σ `scale` · loss go to `grads` and to the hidden states.
    pub fn loss_and_gradient(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        scale: f32,
        grads: &mut ParamGradients,
    ) -> Result<HeadOutput> {
        let (dim, vocab) = (self.hidden_dim(), self.vocab());
        let mut rows = Vec::with_capacity(labels.len());
        let mut d_hidden = vec![0.0; hidden.elem_count()];
        for block in labels.chunks(self.block_rows()) {
            let (x, normed) = self.gather(hidden, block)?;
            let mut logits = self.product(&normed, block.len())?;
            rows.extend(loss_and_gradient(&mut logits, vocab, &tokens(block), scale));
            let d_logits = MatRef::f32(&logits, block.len(), vocab);
            if self.weight.trainable {
                grads.accumulate(&self.weight, |dw| {
                    let add = Options { accumulate: true, bf16: self.bf16, ..Options::default() };
                    let normed = MatRef::f32(&normed, block.len(), dim);
                    gemm(MatMut::f32(dw, vocab, dim), d_logits.t(), normed, add);
                })?;
            }
            let mut d_normed = uninit(block.len() * dim);
            {
                let weight = view(&self.weight.tensor)?;
                let weight = MatRef::new(weight.elements()?, vocab, dim, dim);
                let out = MatMut::f32(&mut d_normed, block.len(), dim);
                gemm(out, d_logits, weight, Options { bf16: self.bf16, ..Options::default() });
            }
            let dx = match &self.norm {
                Some(norm) => {
                    norm.parameter_gradients(&d_normed, &x, dim, grads)?;
                    let mut dx = vec![0.0; x.len()];
                    norm.backward(&d_normed, &x, &mut dx, dim)?;
                    dx
                }
                None => d_normed,
            };
            for (dx, label) in dx.chunks_exact(dim).zip(block) {
                let out = &mut d_hidden[label.row as usize * dim..][..dim];
                out.iter_mut().zip(dx).for_each(|(out, dx)| *out += dx);
            }
        }
        Ok(HeadOutput { rows, d_hidden: Some(from_vec(d_hidden, hidden.shape())?) })
    }

    /// Logits [rows, vocab] of the given rows of the hidden states.
    pub fn logits(&self, hidden: &Tensor, rows: &[u32]) -> Result<Vec<f32>> {
        let labels: Vec<Label> = rows.iter().map(|row| Label { row: *row, token: 0 }).collect();
        let (_, normed) = self.gather(hidden, &labels)?;
        self.product(&normed, rows.len())
    }

    /// The labels' hidden states, before and after the norm.
    fn gather(&self, hidden: &Tensor, labels: &[Label]) -> Result<(Vec<f32>, Vec<f32>)> {
        let dim = self.hidden_dim();
        let hidden = view(hidden)?;
        let hidden = hidden.f32()?;
        let mut x = Vec::with_capacity(labels.len() * dim);
        for label in labels {
            x.extend_from_slice(&hidden[label.row as usize * dim..][..dim]);
        }
        let normed = match &self.norm {
            Some(norm) => {
                let mut y = uninit(x.len());
                norm.forward(&x, &mut y, dim)?;
                y
            }
            None => x.clone(),
        };
        Ok((x, normed))
    }

    fn product(&self, normed: &[f32], rows: usize) -> Result<Vec<f32>> {
        let (dim, vocab) = (self.hidden_dim(), self.vocab());
        let mut logits = uninit(rows * vocab);
        let weight = view(&self.weight.tensor)?;
        gemm(
            MatMut::f32(&mut logits, rows, vocab),
            MatRef::f32(normed, rows, dim),
            MatRef::new(weight.elements()?, vocab, dim, dim).t(),
            Options { bf16: self.bf16, ..Options::default() },
        );
        Ok(logits)
    }

    /// Σ of the losses from candle's differentiable operations.
    pub fn plain(&self, hidden: &Tensor, labels: &[Label]) -> Result<Tensor> {
        let index: Vec<u32> = labels.iter().map(|label| label.row).collect();
        let x = hidden.index_select(&Tensor::new(index, hidden.device())?, 0)?;
        let x = match &self.norm {
            Some(norm) => norm.plain(&x)?,
            None => x,
        };
        let logits = x.matmul(&self.weight.tensor.to_dtype(DType::F32)?.t()?)?;
        let top = logits.max_keepdim(D::Minus1)?.detach();
        let shifted = logits.broadcast_sub(&top)?;
        let normaliser = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let own = shifted.gather(&Tensor::new(tokens(labels), hidden.device())?.unsqueeze(1)?, 1)?;
        Ok((normaliser - own)?.sum_all()?)
    }
}

fn tokens(labels: &[Label]) -> Vec<u32> {
    labels.iter().map(|label| label.token).collect()
}
