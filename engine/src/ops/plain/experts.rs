//! Routing to experts and dispatch. Which experts are chosen is decided on the host.

use std::sync::Arc;

use candle_core::{D, Tensor};

use super::{select, sigmoid, softmax};
use crate::Result;
use crate::autograd::{Backward, Gradients, Tape, Var, gradients};
use crate::ops::balance::BalanceInLayer;
use crate::ops::dispatch::Answers;
use crate::ops::routing::{Routed, Routing, Scoring, TINY};

impl Routing {
    /// Scores [rows, experts] of logits.
    fn plain_scores(&self, logits: &Tensor) -> Result<Tensor> {
        match self.scoring {
            Scoring::Softmax => softmax(logits),
            Scoring::Sigmoid => sigmoid(logits),
        }
    }

    /// Weights [rows, top_k] of the chosen experts.
    fn plain_weights(&self, scores: &Tensor, chosen: &Tensor) -> Result<Tensor> {
        let mut kept = scores.gather(chosen, 1)?;
        if self.normalise {
            let total = (kept.sum_keepdim(D::Minus1)? + f64::from(TINY))?;
            kept = kept.broadcast_div(&total)?;
        }
        Ok((kept * f64::from(self.scale))?)
    }
}

struct RoutingNode {
    routing: Routing,
    logits: Var,
    experts: Arc<Vec<u32>>,
    chosen: Tensor,
    balance: Option<BalanceInLayer>,
}

pub(crate) fn route(
    tape: &Tape,
    routing: Routing,
    logits: &Var,
    correction: Option<&[f32]>,
    balance: Option<BalanceInLayer>,
) -> Result<Routed> {
    let rows = logits.tensor.dims()[0];
    let scores = routing.plain_scores(&logits.tensor)?;
    let values: Vec<f32> = scores.flatten_all()?.to_vec1()?;
    let choices = values.chunks_exact(routing.experts).flat_map(|row| routing.choose(row, correction));
    let experts: Arc<Vec<u32>> = Arc::new(choices.collect());
    if let Some(balance) = &balance {
        balance.record(routing, &values, &experts);
    }
    let chosen = Tensor::from_slice(&experts, (rows, routing.top_k), scores.device())?;
    let weights = routing.plain_weights(&scores, &chosen)?;
    let weights = tape.record(weights, logits.needs_grad(), || {
        Box::new(RoutingNode { routing, logits: logits.clone(), experts: experts.clone(), chosen, balance })
    });
    Ok(Routed { weights, experts })
}

impl Backward for RoutingNode {
    fn backward(self: Box<Self>, d_weights: Tensor, grads: &mut Gradients) -> Result<()> {
        let logits = &self.logits.tensor;
        let mut seeds = vec![d_weights];
        if let Some(balance) = &self.balance {
            let mut d_scores = vec![0.0; logits.elem_count()];
            balance.gradient(self.routing, &self.experts, &mut d_scores);
            seeds.push(Tensor::from_vec(d_scores, logits.shape(), logits.device())?);
        }
        let mut d_logits = gradients(&[(logits, true)], &seeds, grads.params, |inputs, _| {
            let scores = self.routing.plain_scores(&inputs[0])?;
            Ok(vec![self.routing.plain_weights(&scores, &self.chosen)?, scores])
        })?;
        match d_logits.pop().flatten() {
            Some(d_logits) => grads.add(self.logits.node, d_logits),
            None => Ok(()),
        }
    }
}

/// The given rows of x.
pub(crate) fn gather_rows(tape: &Tape, x: &Var, rows: Vec<u32>) -> Result<Var> {
    tape.function(&[x], false, move |inputs, _| select(&inputs[0], rows.clone(), 0))
}

/// x with weight · y added to the given rows.
pub(crate) fn scatter_rows(tape: &Tape, x: &Var, weights: &Var, y: &Var, rows: Vec<u32>) -> Result<Var> {
    tape.function(&[x, weights, y], false, move |inputs, _| {
        let (x, weights, y) = (inputs[0].contiguous()?, &inputs[1], &inputs[2]);
        let index = Tensor::new(rows.as_slice(), x.device())?;
        let weighted = y.broadcast_mul(&weights.contiguous()?.index_select(&index, 0)?)?;
        Ok(x.index_add(&index, &weighted, 0)?)
    })
}

/// residual + Σ over a token's choices of weight · answer.
pub(crate) fn combine(tape: &Tape, residual: &Var, weights: &Var, answers: &[Answers]) -> Result<Var> {
    // Of each slot, the row of its answer among all of them.
    let mut order = vec![0; weights.tensor.elem_count()];
    for (place, slot) in answers.iter().flat_map(|answer| &answer.slots).enumerate() {
        order[*slot as usize] = place as u32;
    }
    let inputs: Vec<&Var> = [residual, weights].into_iter().chain(answers.iter().map(|a| &a.y)).collect();
    tape.function(&inputs, false, move |inputs, _| {
        let (residual, weights) = (&inputs[0], &inputs[1]);
        let ((rows, dim), top_k) = (residual.dims2()?, weights.dims()[1]);
        let answers = select(&Tensor::cat(&inputs[2..], 0)?, order.clone(), 0)?;
        let weighted = answers.reshape((rows, top_k, dim))?.broadcast_mul(&weights.unsqueeze(2)?)?;
        Ok((weighted.sum(1)? + residual)?)
    })
}
