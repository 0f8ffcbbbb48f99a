//! The end of the model: final norm, output matrix, cross entropy.
//!
//! Logits are computed where a label needs them and for a block of rows at a time; a block's gradient is
//! taken while its logits are there, so neither logits nor their gradients of a whole batch ever exist.

mod divergence;
mod entropy;
mod unit_rows;

use std::slice;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;
use recipe::memory::logit_rows;

use super::adapter::{Adapted, Mode};
use super::linear::{Linear, Stretch};
use super::lora::hidden as low_rank;
use super::norm::Norm;
use crate::Result;
use crate::autograd::{Param, ParamGradients, Weights};
use crate::device::has_kernels;
use crate::kernel::cross_entropy::{RowLoss, RowWeights, loss, loss_and_gradient};
use crate::kernel::lanes::tanh;
use crate::kernel::{simd, uninit};
use crate::tensor::{from_vec, view};

pub use divergence::Reference;
use unit_rows::multiply_columns;

/// Final norm and output matrix.
#[derive(Debug, Clone)]
pub struct Head {
    /// Of the hidden states, before the matrix.
    pub norm: Option<Norm>,
    /// [vocab, hidden]; the weight is the token table itself where they are tied.
    pub linear: Linear,
    /// Factor on the logits.
    pub scale: f32,
    /// Logits are squeezed into (−cap, cap) by cap · tanh(logit / cap).
    pub cap: Option<f32>,
    /// Rows of the matrix are scaled to length one (Baichuan 2's NormHead).
    pub unit_rows: bool,
    /// Tokens there are; further rows of the matrix only fill it up and are never generated.
    pub tokens: usize,
    /// Products are of bf16 numbers, where the processor has those.
    pub bf16: bool,
}

/// A position whose next token is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Row of the hidden states.
    pub row: u32,
    /// The id of the token that follows.
    pub token: u32,
}

/// What the head is to predict.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// Where something is to be predicted, and what.
    pub labels: &'a [Label],
    /// Share of each label's probability that is spread over all tokens.
    pub smoothing: f32,
}

impl<'a> From<&'a [Label]> for Targets<'a> {
    fn from(labels: &'a [Label]) -> Self {
        Targets { labels, smoothing: 0.0 }
    }
}

impl<'a> From<&'a Vec<Label>> for Targets<'a> {
    fn from(labels: &'a Vec<Label>) -> Self {
        labels.as_slice().into()
    }
}

/// What the head says of a batch.
#[derive(Debug)]
pub struct HeadOutput {
    /// Of each label, in order.
    pub rows: Vec<RowLoss>,
    /// Gradient of Σ weight · loss by the hidden states [rows, hidden].
    pub d_hidden: Option<Tensor>,
}

impl HeadOutput {
    /// Σ of the losses.
    pub fn total(&self) -> f64 {
        self.rows.iter().map(|row| row.loss as f64).sum()
    }
}

/// Labels' rows on their way through the head.
struct Rows {
    /// Before and after the norm.
    x: Vec<f32>,
    normed: Vec<f32>,
    logits: Vec<f32>,
    /// s·x·Aᵀ of an adapter.
    adapter: Vec<f32>,
}

impl Head {
    /// The parameters of norm and matrix.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.norm.iter().flat_map(Norm::params).chain(self.linear.params())
    }

    /// Rows of the matrix: logits of a position.
    pub fn vocab(&self) -> usize {
        self.linear.out_dim()
    }

    fn hidden_dim(&self) -> usize {
        self.linear.in_dim()
    }

    /// The labels in blocks of about the same length.
    fn blocks<'l>(&self, labels: &'l [Label]) -> std::slice::Chunks<'l, Label> {
        labels.chunks(logit_rows(labels.len(), self.vocab()))
    }

    /// Losses of the labels, without gradients.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn loss<'t>(
        &self,
        hidden: &Tensor,
        targets: impl Into<Targets<'t>>,
        mode: &Mode,
    ) -> Result<HeadOutput> {
        let targets = targets.into();
        if !has_kernels(hidden) {
            return self.plain_loss(hidden, targets, mode);
        }
        let Targets { labels, smoothing } = targets;
        let (map, factors) = (mode.adapted(&self.linear)?, self.factors()?);
        let mut rows = Vec::with_capacity(labels.len());
        for block in self.blocks(labels) {
            let block_rows = self.run(&map, hidden, block, factors.as_deref(), mode)?;
            rows.extend(loss(&block_rows.logits, self.vocab(), &tokens(block), smoothing));
        }
        Ok(HeadOutput { rows, d_hidden: None })
    }

    /// Losses of the labels; gradients of Σ weight · loss go to `grads` and to the hidden states.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn loss_and_gradient<'t>(
        &self,
        hidden: &Tensor,
        targets: impl Into<Targets<'t>>,
        weights: RowWeights,
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<HeadOutput> {
        let targets = targets.into();
        if !has_kernels(hidden) {
            return self.plain_loss_and_gradient(hidden, targets, weights, grads, mode);
        }
        let Targets { labels, smoothing } = targets;
        let (map, factors) = (mode.adapted(&self.linear)?, self.factors()?);
        let mut rows = Vec::with_capacity(labels.len());
        let mut d_hidden = vec![0.0; hidden.elem_count()];
        for block in self.blocks(labels) {
            let mut block_rows = self.run(&map, hidden, block, factors.as_deref(), mode)?;
            let kept = self.kept(&block_rows);
            let weights = weights.part(rows.len()..rows.len() + block.len());
            let logits = &mut block_rows.logits;
            rows.extend(loss_and_gradient(logits, self.vocab(), &tokens(block), smoothing, weights));
            self.shape_gradient(&mut block_rows.logits, kept.as_deref(), factors.as_deref());
            if let (Some(logits), Some(factors)) = (&kept, &factors) {
                self.unit_gradient(&block_rows.logits, logits, factors, grads)?;
            }
            self.backward(&map, block, &mut block_rows, &mut d_hidden, grads, mode)?;
        }
        Ok(HeadOutput { rows, d_hidden: Some(from_vec(d_hidden, hidden.shape())?) })
    }

    /// The logits of a block where their gradient wants them.
    fn kept(&self, rows: &Rows) -> Option<Vec<f32>> {
        (self.cap.is_some() || self.unit_rows).then(|| rows.logits.clone())
    }

    /// Takes the gradient by a block's raw products, which is in their place, back to what trains and to the hidden states.
    fn backward(
        &self,
        map: &Adapted,
        block: &[Label],
        rows: &mut Rows,
        d_hidden: &mut [f32],
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<()> {
        let (dim, vocab) = (self.hidden_dim(), self.vocab());
        let mut d_normed = uninit(block.len() * dim);
        map.backward(
            &rows.normed,
            (&mut rows.logits, 0, vocab),
            (&rows.adapter, 0, map.rank()),
            Some((&mut d_normed, false)),
            grads,
            self.stretch(block.len(), mode),
        )?;
        let dx = match &self.norm {
            Some(norm) => {
                norm.parameter_gradients(&d_normed, &rows.x, dim, grads)?;
                let mut dx = vec![0.0; rows.x.len()];
                norm.backward(&d_normed, &rows.x, &mut dx, dim)?;
                dx
            }
            None => d_normed,
        };
        for (dx, label) in dx.chunks_exact(dim).zip(block) {
            let out = &mut d_hidden[label.row as usize * dim..][..dim];
            out.iter_mut().zip(dx).for_each(|(out, dx)| *out += dx);
        }
        Ok(())
    }

    /// Logits [rows, vocab] of the given rows of the hidden states.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn logits(&self, hidden: &Tensor, rows: &[u32], mode: &Mode) -> Result<Vec<f32>> {
        if !has_kernels(hidden) {
            let index = Tensor::new(rows, hidden.device())?;
            let logits = self.plain_logits(&hidden.index_select(&index, 0)?, &Weights::fixed(), mode)?;
            return Ok(logits.flatten_all()?.to_vec1()?);
        }
        let labels: Vec<Label> = rows.iter().map(|row| Label { row: *row, token: 0 }).collect();
        Ok(self.run(&mode.adapted(&self.linear)?, hidden, &labels, self.factors()?.as_deref(), mode)?.logits)
    }

    /// Logits of the tokens that may follow a row of the hidden states.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn next(&self, hidden: &Tensor, row: u32, mode: &Mode) -> Result<Vec<f32>> {
        let mut logits = self.logits(hidden, &[row], mode)?;
        logits.truncate(self.tokens);
        Ok(logits)
    }

    fn run(
        &self,
        map: &Adapted,
        hidden: &Tensor,
        labels: &[Label],
        factors: Option<&[f32]>,
        mode: &Mode,
    ) -> Result<Rows> {
        let (x, normed) = self.gather(hidden, labels)?;
        let vocab = self.vocab();
        let mut logits = uninit(labels.len() * vocab);
        let (rows, rank) = (self.stretch(labels.len(), mode), map.rank());
        let mut adapter = uninit(labels.len() * rank);
        low_rank(slice::from_ref(map), &normed, &mut adapter, rows)?;
        map.apply(&normed, (&mut logits, 0, vocab), None, (&adapter, 0, rank), rows)?;
        self.shape_logits(&mut logits, factors);
        Ok(Rows { x, normed, logits, adapter })
    }

    fn stretch(&self, count: usize, mode: &Mode) -> Stretch {
        Stretch { first: 0, count, dropout: mode.dropout, bf16: self.bf16, alone: false }
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

    /// Factors and the cap on raw products.
    fn shape_logits(&self, logits: &mut [f32], factors: Option<&[f32]>) {
        let (scale, cap) = (self.scale, self.cap);
        if let Some(factors) = factors {
            multiply_columns(logits, factors);
        }
        if scale == 1.0 && cap.is_none() {
            return;
        }
        logits.par_chunks_mut(8192).for_each(|part| {
            simd(
                #[inline(always)]
                || match cap {
                    Some(cap) => {
                        for x in part.iter_mut() {
                            *x = cap * tanh(*x * scale / cap);
                        }
                    }
                    None => part.iter_mut().for_each(|x| *x *= scale),
                },
            );
        });
    }

    /// The gradient by the raw products from that by the `logits`.
    fn shape_gradient(&self, d: &mut [f32], logits: Option<&[f32]>, factors: Option<&[f32]>) {
        if let (Some(cap), Some(logits)) = (self.cap, logits) {
            d.par_iter_mut().zip(logits).with_min_len(8192).for_each(|(d, z)| *d *= 1.0 - (z / cap).powi(2));
        }
        if self.scale != 1.0 {
            d.par_iter_mut().with_min_len(8192).for_each(|d| *d *= self.scale);
        }
        if let Some(factors) = factors {
            multiply_columns(d, factors);
        }
    }
}

fn tokens(labels: &[Label]) -> Vec<u32> {
    labels.iter().map(|label| label.token).collect()
}
