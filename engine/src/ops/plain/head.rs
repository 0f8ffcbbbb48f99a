//! The end of the model, for a block of labels at a time.

use candle_core::{D, Tensor};

use super::select;
use crate::Result;
use crate::autograd::{ParamGradients, Weights, gradients};
use crate::kernel::cross_entropy::{RowLoss, RowWeights};
use crate::ops::{Head, HeadOutput, Label, Mode, Targets};

/// Floats of logits in a block; few in tests, so that they see several blocks.
const BLOCK_FLOATS: usize = if cfg!(test) { 8 << 10 } else { 32 << 20 };

impl Head {
    /// Logits [rows, vocab] of hidden states before the final norm.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn plain_logits(&self, x: &Tensor, weights: &Weights, mode: &Mode) -> Result<Tensor> {
        let x = self.plain_normed(x, weights)?;
        self.plain_shape(&mode.plain(&self.linear, &x, weights, self.bf16)?, weights)
    }

    fn plain_normed(&self, x: &Tensor, weights: &Weights) -> Result<Tensor> {
        self.norm.as_ref().map_or(Ok(x.clone()), |norm| norm.plain(x, weights))
    }

    /// Factors and the cap on raw products.
    pub(in crate::ops) fn plain_shape(&self, raw: &Tensor, weights: &Weights) -> Result<Tensor> {
        let mut logits = raw.clone();
        if self.unit_rows {
            let weight = self.linear.weight.tensor(weights)?;
            let lengths = weight.sqr()?.sum(1)?.sqrt()?.maximum(1e-12)?;
            logits = logits.broadcast_div(&lengths)?;
        }
        logits = (logits * f64::from(self.scale))?;
        Ok(match self.cap {
            Some(cap) => ((logits / f64::from(cap))?.tanh()? * f64::from(cap))?,
            None => logits,
        })
    }

    pub(in crate::ops) fn plain_loss(
        &self,
        hidden: &Tensor,
        Targets { labels, smoothing }: Targets,
        mode: &Mode,
    ) -> Result<HeadOutput> {
        let mut rows = Vec::with_capacity(labels.len());
        for block in blocks(labels, self.vocab()) {
            let logits = self.plain_logits(&rows_of(hidden, block)?, &Weights::fixed(), mode)?;
            rows.extend(row_losses(&losses(&logits, block, smoothing)?, &logits, block)?);
        }
        Ok(HeadOutput { rows, d_hidden: None })
    }

    pub(in crate::ops) fn plain_loss_and_gradient(
        &self,
        hidden: &Tensor,
        Targets { labels, smoothing }: Targets,
        weights: RowWeights,
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<HeadOutput> {
        let mut rows = Vec::with_capacity(labels.len());
        let mut d_hidden = hidden.zeros_like()?;
        for block in blocks(labels, self.vocab()) {
            let mut block_rows = Vec::new();
            let weights = weights.part(rows.len()..rows.len() + block.len());
            let seed = Tensor::new(weights.to_vec(block.len()), hidden.device())?;
            let by_products = |raw: &Tensor, grads: &mut ParamGradients| {
                gradients(&[(raw, true)], &[seed], grads, |inputs, weights| {
                    let logits = self.plain_shape(&inputs[0], weights)?;
                    let losses = losses(&logits, block, smoothing)?;
                    block_rows = row_losses(&losses, &logits, block)?;
                    Ok(vec![losses])
                })
            };
            d_hidden = self.plain_block(hidden, block, (&d_hidden, grads), mode, by_products)?;
            rows.append(&mut block_rows);
        }
        Ok(HeadOutput { rows, d_hidden: Some(d_hidden) })
    }

    pub(in crate::ops) fn plain_entropies(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        count: usize,
        mode: &Mode,
    ) -> Result<Vec<f32>> {
        let mut entropies = Vec::with_capacity(labels.len());
        for block in blocks(labels, self.vocab()) {
            let logits = self.plain_logits(&rows_of(hidden, block)?, &Weights::fixed(), mode)?;
            let (sorted, _) = logits.contiguous()?.sort_last_dim(false)?;
            let logs = log_softmax(&sorted.narrow(1, 0, count)?)?;
            entropies.extend((logs.exp()? * logs)?.sum(D::Minus1)?.neg()?.to_vec1::<f32>()?);
        }
        Ok(entropies)
    }

    /// Adds a block's gradient to that by the hidden states, and to those of the parameters; `by_products` gives the
    /// gradient by its raw products.
    pub(in crate::ops) fn plain_block(
        &self,
        hidden: &Tensor,
        block: &[Label],
        (d_hidden, grads): (&Tensor, &mut ParamGradients),
        mode: &Mode,
        by_products: impl FnOnce(&Tensor, &mut ParamGradients) -> Result<Vec<Option<Tensor>>>,
    ) -> Result<Tensor> {
        let fixed = Weights::fixed();
        let x = rows_of(hidden, block)?;
        let normed = self.plain_normed(&x, &fixed)?;
        let raw = mode.plain(&self.linear, &normed, &fixed, self.bf16)?;
        let d_raw = one(by_products(&raw, grads)?)?;
        let d_normed = mode.plain_backward(&self.linear, &normed, &d_raw, true, grads, self.bf16)?;
        let d_normed = one(vec![d_normed])?;
        let dx = one(gradients(&[(&x, true)], &[d_normed], grads, |inputs, weights| {
            Ok(vec![self.plain_normed(&inputs[0], weights)?])
        })?)?;
        let index: Vec<u32> = block.iter().map(|label| label.row).collect();
        Ok(d_hidden.index_add(&Tensor::new(index, x.device())?, &dx, 0)?)
    }
}

/// The labels in blocks of bounded logits.
pub(in crate::ops) fn blocks(labels: &[Label], vocab: usize) -> impl Iterator<Item = &[Label]> {
    labels.chunks((BLOCK_FLOATS / vocab).max(16))
}

/// ln softmax of each row [rows, tokens].
pub(in crate::ops) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normaliser = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&normaliser)?)
}

/// The one gradient that was asked for.
fn one(gradients: Vec<Option<Tensor>>) -> Result<Tensor> {
    let missing = || candle_core::Error::Msg("the head's input has no gradient".to_owned());
    Ok(gradients.into_iter().next().flatten().ok_or_else(missing)?)
}

pub(in crate::ops) fn rows_of(hidden: &Tensor, labels: &[Label]) -> Result<Tensor> {
    select(hidden, labels.iter().map(|label| label.row).collect(), 0)
}

fn tokens(labels: &[Label], logits: &Tensor) -> Result<Tensor> {
    let tokens: Vec<u32> = labels.iter().map(|label| label.token).collect();
    Ok(Tensor::new(tokens, logits.device())?)
}

/// −Σ t·log softmax(logits) of each row [labels]: t is 1 − `smoothing` at the label, and the rest spread over all tokens.
pub(in crate::ops) fn losses(logits: &Tensor, labels: &[Label], smoothing: f32) -> Result<Tensor> {
    let logs = log_softmax(logits)?;
    let own = logs.gather(&tokens(labels, logits)?.unsqueeze(1)?, 1)?.squeeze(1)?;
    if smoothing == 0.0 {
        return Ok(own.neg()?);
    }
    let (own, all) = ((own * f64::from(smoothing - 1.0))?, (logs.mean(D::Minus1)? * f64::from(smoothing))?);
    Ok((own - all)?)
}

fn row_losses(losses: &Tensor, logits: &Tensor, labels: &[Label]) -> Result<Vec<RowLoss>> {
    let losses = losses.to_vec1::<f32>()?;
    let best = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let rows = losses.into_iter().zip(best).zip(labels);
    Ok(rows.map(|((loss, best), label)| RowLoss { loss, correct: best == label.token }).collect())
}
