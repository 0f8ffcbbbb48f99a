//! Which experts a token goes to, and with what weight.

use std::sync::Arc;

use candle_core::Tensor;

use super::balance::BalanceInLayer;
use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::lanes::{exp, max, sigmoid};
use crate::tensor::{from_vec, view};

/// What a router's logits become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Probabilities over all experts.
    Softmax,
    /// A number between 0 and 1 for each expert by itself.
    Sigmoid,
}

/// How the score of a group of experts is made of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupScore {
    /// The best of them.
    Best,
    /// The sum of the two best (DeepSeek-V3).
    TwoBest,
}

/// Experts are chosen from some groups only.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// Groups of experts, all of one size.
    pub count: usize,
    /// Groups that a token may choose from.
    pub top: usize,
    /// How a group is judged.
    pub score: GroupScore,
}

/// The choice of `top_k` experts per token.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    /// Experts that there are.
    pub experts: usize,
    /// Experts that a token goes to.
    pub top_k: usize,
    /// What the logits become.
    pub scoring: Scoring,
    /// Weights of a token's experts are divided by their sum.
    pub normalise: bool,
    /// Factor on the weights.
    pub scale: f32,
    /// Where only the best groups are chosen from.
    pub groups: Option<Groups>,
}

impl Routing {
    /// The `top_k` largest probabilities, as they are.
    pub fn softmax(experts: usize, top_k: usize) -> Self {
        Routing { experts, top_k, scoring: Scoring::Softmax, normalise: false, scale: 1.0, groups: None }
    }
}

/// Weights [rows, top_k] of the chosen experts, best first, and which they are.
pub struct Routed {
    /// The weights.
    pub weights: Var,
    /// The experts' numbers, token by token.
    pub experts: Arc<Vec<u32>>,
}

struct RoutingNode {
    routing: Routing,
    /// Scores [rows, experts].
    scores: Vec<f32>,
    experts: Arc<Vec<u32>>,
    logits: Option<NodeId>,
    balance: Option<BalanceInLayer>,
}

/// Keeps a sum of scores from being zero, as the reference does.
pub(super) const TINY: f32 = 1e-20;

/// Chooses experts by logits [rows, experts]; `correction` [experts] is added to the scores for the choice
/// alone (Wang et al. 2024).
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn route(
    tape: &Tape,
    routing: Routing,
    logits: &Var,
    correction: Option<&[f32]>,
    balance: Option<BalanceInLayer>,
) -> Result<Routed> {
    if !has_kernels(&logits.tensor) {
        return plain::route(tape, routing, logits, correction, balance);
    }
    let rows = logits.tensor.dims()[0];
    let mut scores = view(&logits.tensor)?.f32()?.to_vec();
    let mut experts = Vec::with_capacity(rows * routing.top_k);
    let mut weights = Vec::with_capacity(rows * routing.top_k);
    for row in scores.chunks_exact_mut(routing.experts) {
        routing.score(row);
        let chosen = routing.choose(row, correction);
        let factor = routing.factor(row, &chosen);
        weights.extend(chosen.iter().map(|expert| row[*expert as usize] * factor));
        experts.extend(chosen);
    }
    if let Some(balance) = &balance {
        balance.record(routing, &scores, &experts);
    }
    let experts = Arc::new(experts);
    let needs_grad = logits.needs_grad();
    let weights = tape.record(from_vec(weights, (rows, routing.top_k))?, needs_grad, || {
        Box::new(RoutingNode { routing, scores, experts: experts.clone(), logits: logits.node, balance })
    });
    Ok(Routed { weights, experts })
}

impl Routing {
    fn score(&self, row: &mut [f32]) {
        match self.scoring {
            Scoring::Softmax => {
                let top = max(row);
                row.iter_mut().for_each(|x| *x = exp(*x - top));
                let total: f32 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= total);
            }
            Scoring::Sigmoid => row.iter_mut().for_each(|x| *x = sigmoid(*x)),
        }
    }

    /// The best experts of a row of scores, best first.
    pub(super) fn choose(&self, scores: &[f32], correction: Option<&[f32]>) -> Vec<u32> {
        let mut ranks = scores.to_vec();
        if let Some(correction) = correction {
            ranks.iter_mut().zip(correction).for_each(|(rank, c)| *rank += c);
        }
        if let Some(groups) = self.groups {
            groups.mask(&mut ranks);
        }
        best(&ranks, self.top_k)
    }

    /// What the scores of the chosen are multiplied by.
    fn factor(&self, scores: &[f32], chosen: &[u32]) -> f32 {
        if !self.normalise {
            return self.scale;
        }
        self.scale / (chosen.iter().map(|expert| scores[*expert as usize]).sum::<f32>() + TINY)
    }
}

/// Indices of the largest values, largest first; of equal ones the first.
fn best(values: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by(|a, b| values[*b as usize].total_cmp(&values[*a as usize]));
    order.truncate(count);
    order
}

impl Groups {
    /// Takes the experts outside the best groups out of the choice.
    fn mask(&self, ranks: &mut [f32]) {
        let size = ranks.len() / self.count;
        let scores: Vec<f32> = ranks
            .chunks_exact(size)
            .map(|group| {
                let kept = if self.score == GroupScore::TwoBest { 2 } else { 1 };
                best(group, kept).iter().map(|i| group[*i as usize]).sum()
            })
            .collect();
        let kept = best(&scores, self.top);
        for (group, ranks) in ranks.chunks_exact_mut(size).enumerate() {
            if !kept.contains(&(group as u32)) {
                ranks.fill(f32::NEG_INFINITY);
            }
        }
    }
}

impl Backward for RoutingNode {
    fn backward(self: Box<Self>, d_weights: Tensor, grads: &mut Gradients) -> Result<()> {
        let Routing { experts, top_k, .. } = self.routing;
        let rows = self.scores.len() / experts;
        let mut d_logits = vec![0.0; self.scores.len()];
        if let Some(balance) = &self.balance {
            balance.gradient(self.routing, &self.experts, &mut d_logits);
        }
        let d_weights = view(&d_weights)?;
        let d_weights = d_weights.f32()?;
        for row in 0..rows {
            let scores = &self.scores[row * experts..][..experts];
            let chosen = &self.experts[row * top_k..][..top_k];
            let d_weights = &d_weights[row * top_k..][..top_k];
            let d = &mut d_logits[row * experts..][..experts];
            let factor = self.routing.factor(scores, chosen);
            let shared = if self.routing.normalise {
                let along = chosen.iter().zip(d_weights).map(|(e, dw)| dw * scores[*e as usize]);
                along.sum::<f32>() * factor / self.routing.scale
            } else {
                0.0
            };
            for (expert, dw) in chosen.iter().zip(d_weights) {
                d[*expert as usize] += factor * (dw - shared);
            }
            match self.routing.scoring {
                Scoring::Softmax => {
                    let along: f32 = d.iter().zip(scores).map(|(d, p)| d * p).sum();
                    d.iter_mut().zip(scores).for_each(|(d, p)| *d = p * (*d - along));
                }
                Scoring::Sigmoid => d.iter_mut().zip(scores).for_each(|(d, p)| *d *= p * (1.0 - p)),
            }
        }
        grads.add(self.logits, from_vec(d_logits, (rows, experts))?)
    }
}
