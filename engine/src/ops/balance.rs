//! The auxiliary loss that keeps experts evenly used.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::routing::Routing;
use crate::kernel::attention::Span;

/// Over what use is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceKind {
    /// All tokens of the batch and all layers together (Switch Transformer; transformers'
    /// `load_balancing_loss_func`): E · Σₑ fₑ Pₑ.
    Batch,
    /// Each sequence in each layer by itself (DeepSeekMoE): Σₑ fₑ Pₑ with fₑ relative to even use.
    Sequence,
    /// All tokens of the batch, each layer by itself (DeepSeekMoE without `seq_aux`).
    Layer,
}

/// The loss of one pass: what every layer's router did in it.
#[derive(Debug)]
pub struct Balance {
    kind: BalanceKind,
    coefficient: f32,
    spans: Arc<Vec<Span>>,
    layers: Mutex<BTreeMap<usize, Use>>,
}

/// How one layer used its experts.
#[derive(Debug, Default)]
struct Use {
    rows: usize,
    /// Times each expert was chosen.
    counts: Vec<f64>,
    /// Σ of each expert's scores.
    scores: Vec<f64>,
    /// The layer's own loss, where it has one.
    loss: f64,
}

impl Balance {
    /// For a pass over a batch of these sequences.
    pub fn new(kind: BalanceKind, coefficient: f32, spans: Arc<Vec<Span>>) -> Self {
        Balance { kind, coefficient, spans, layers: Mutex::default() }
    }

    /// The loss without its coefficient. Layers that ran twice count once.
    pub fn loss(&self) -> f64 {
        let layers = self.layers.lock();
        if self.kind != BalanceKind::Batch {
            return layers.values().map(|layer| layer.loss).sum();
        }
        let experts = layers.values().next().map_or(0, |layer| layer.counts.len());
        let rows: usize = layers.values().map(|layer| layer.rows).sum();
        let share = |of: fn(&Use) -> &Vec<f64>, expert: usize| {
            layers.values().map(|layer| of(layer)[expert]).sum::<f64>() / rows as f64
        };
        let total: f64 = (0..experts).map(|e| share(|u| &u.counts, e) * share(|u| &u.scores, e)).sum();
        total * experts as f64
    }

    /// Factor on the loss.
    pub fn coefficient(&self) -> f32 {
        self.coefficient
    }

    /// Stretches of rows that are averaged by themselves.
    fn stretches(&self, rows: usize) -> Vec<Span> {
        match self.kind {
            BalanceKind::Sequence if !self.spans.is_empty() => self.spans.to_vec(),
            _ => vec![Span::new(0, rows)],
        }
    }
}

/// A pass's balance, seen from one layer.
#[derive(Clone)]
pub struct BalanceInLayer {
    /// That of the pass.
    pub balance: Arc<Balance>,
    /// The layer's number.
    pub layer: usize,
}

impl BalanceInLayer {
    /// Notes the scores [rows, experts] and choices [rows, top_k] of this layer.
    pub fn record(&self, routing: Routing, scores: &[f32], chosen: &[u32]) {
        let rows = scores.len() / routing.experts;
        let mut total =
            Use { rows, counts: vec![0.0; routing.experts], scores: vec![0.0; routing.experts], loss: 0.0 };
        let stretches = self.balance.stretches(rows);
        for span in &stretches {
            let counts = counts(routing, chosen, *span);
            let mut sums = vec![0.0; routing.experts];
            for row in span.start..span.start + span.len {
                let scores = &scores[row * routing.experts..][..routing.experts];
                sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += *score as f64);
            }
            let even = (span.len * routing.top_k) as f64 / routing.experts as f64;
            let own = counts.iter().zip(&sums).map(|(count, sum)| count / even * sum / span.len as f64);
            total.loss += own.sum::<f64>() / stretches.len() as f64;
            total.counts.iter_mut().zip(&counts).for_each(|(total, count)| *total += count);
            total.scores.iter_mut().zip(&sums).for_each(|(total, sum)| *total += sum);
        }
        self.balance.layers.lock().insert(self.layer, total);
    }

    /// Adds the loss's gradient by this layer's scores.
    pub fn gradient(&self, routing: Routing, chosen: &[u32], d_scores: &mut [f32]) {
        let Routing { experts, top_k, .. } = routing;
        let coefficient = self.balance.coefficient as f64;
        let rows = d_scores.len() / experts;
        let mut add = |span: Span, factors: &[f64]| {
            for d in d_scores[span.start * experts..(span.start + span.len) * experts].chunks_mut(experts) {
                d.iter_mut().zip(factors).for_each(|(d, factor)| *d += *factor as f32);
            }
        };
        if self.balance.kind == BalanceKind::Batch {
            let layers = self.balance.layers.lock();
            let total: usize = layers.values().map(|layer| layer.rows).sum();
            let factor = coefficient * experts as f64 / (total * total) as f64;
            let used = |expert: usize| layers.values().map(|layer| layer.counts[expert]).sum::<f64>();
            let factors: Vec<f64> = (0..experts).map(|expert| factor * used(expert)).collect();
            return add(Span::new(0, rows), &factors);
        }
        let stretches = self.balance.stretches(rows);
        for span in &stretches {
            let even = (span.len * top_k) as f64 / experts as f64;
            let factor = coefficient / (even * (span.len * stretches.len()) as f64);
            let counts = counts(routing, chosen, *span);
            add(*span, &counts.iter().map(|count| factor * count).collect::<Vec<_>>());
        }
    }
}

/// How often each expert was chosen in a stretch of rows.
fn counts(routing: Routing, chosen: &[u32], span: Span) -> Vec<f64> {
    let mut counts = vec![0.0; routing.experts];
    for expert in &chosen[span.start * routing.top_k..(span.start + span.len) * routing.top_k] {
        counts[*expert as usize] += 1.0;
    }
    counts
}
