//! How far a model's next tokens are from a reference's, and the gradient of that by candle's graph.

use candle_core::{D, Tensor};

use super::head::{blocks, log_softmax, rows_of};
use crate::Result;
use crate::autograd::{ParamGradients, Weights, gradients};
use crate::ops::head::Reference;
use crate::ops::{Head, Label, Mode};

impl Head {
    pub(in crate::ops) fn plain_divergence(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        reference: Reference,
        weight: f32,
        grads: &mut ParamGradients,
        mode: &Mode,
    ) -> Result<(f64, Tensor)> {
        let mut d_hidden = hidden.zeros_like()?;
        let mut total = 0.0;
        for block in blocks(labels, self.vocab()) {
            let other = rows_of(reference.hidden, block)?;
            let log_q =
                log_softmax(&reference.head.plain_logits(&other, &Weights::fixed(), reference.mode)?)?;
            let q = log_q.exp()?;
            let seed = Tensor::full(weight, block.len(), hidden.device())?;
            let by_products = |raw: &Tensor, grads: &mut ParamGradients| {
                gradients(&[(raw, true)], &[seed], grads, |inputs, weights| {
                    let log_p = log_softmax(&self.plain_shape(&inputs[0], weights)?)?;
                    let divergences = (&q * (&log_q - log_p)?)?.sum(D::Minus1)?;
                    total += divergences.to_vec1::<f32>()?.into_iter().map(f64::from).sum::<f64>();
                    Ok(vec![divergences])
                })
            };
            d_hidden = self.plain_block(hidden, block, (&d_hidden, grads), mode, by_products)?;
        }
        Ok((total, d_hidden))
    }
}
