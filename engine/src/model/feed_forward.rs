//! The feed-forward part of a block: one network, or a mixture of experts.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use parking_lot::Mutex;

use super::batch::Context;
use crate::Result;
use crate::autograd::{Param, Tape, Var};
use crate::ops::dispatch::{Answers, by_expert, combine, gather_rows};
use crate::ops::elementwise::{add_scaled, normalise, sigmoid_gate};
use crate::ops::routing::route;
use crate::ops::{BalanceInLayer, Norm, Projection, Routing, Values};

/// Logits [rows, experts] of a pass's routers, by layer.
pub type RouterLogits = Mutex<BTreeMap<usize, Tensor>>;

#[derive(Debug, Clone)]
pub enum FeedForward {
    Dense(Dense),
    Experts(Box<Experts>),
}

/// Two maps with an activation between them.
#[derive(Debug, Clone)]
pub struct Dense {
    /// Gate and up, or up.
    pub up: Arc<Projection>,
    pub down: Arc<Projection>,
}

impl Dense {
    fn forward(
        &self,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        context: &Context,
        values: Values,
    ) -> Result<Var> {
        let inner = self.up.forward(tape, x, None, &context.mode)?;
        self.down.forward_for(values, tape, inner, residual, &context.mode)
    }
}

/// Networks of which each token uses a few (Shazeer et al. 2017).
#[derive(Debug, Clone)]
pub struct Experts {
    pub layer: usize,
    pub routing: Routing,
    pub norm: Option<Arc<Norm>>,
    pub router: Arc<Projection>,
    /// Added to the scores for the choice alone; no parameter, but stored.
    pub correction: Option<Arc<Param>>,
    pub experts: Vec<Dense>,
    pub shared: Option<Dense>,
    pub shared_gate: Option<Arc<Projection>>,
}

impl Experts {
    /// residual + Σ weight · expert(norm x), over the experts that each row has chosen.
    fn forward(&self, tape: &Tape, x: Var, residual: Option<&Var>, context: &Context) -> Result<Var> {
        let x = match &self.norm {
            Some(norm) => normalise(tape, norm, &x)?,
            None => x,
        };
        let logits = self.router.forward(tape, x.clone(), None, &context.mode)?;
        if let Some(all) = &context.router_logits {
            all.lock().insert(self.layer, logits.tensor.clone());
        }
        let correction = self.correction.as_ref().map(|param| param.to_f32()).transpose()?;
        let balance = context.balance.clone().map(|balance| BalanceInLayer { balance, layer: self.layer });
        let routed = route(tape, self.routing, &logits, correction.as_deref(), balance)?;
        let residual = match residual {
            Some(residual) => residual.clone(),
            None => Var::constant(x.tensor.zeros_like()?),
        };
        let start = self.shared(tape, &x, residual, context)?;
        let mut answers = Vec::new();
        for (expert, slots) in by_expert(&routed.experts, self.routing.experts) {
            let rows = slots.iter().map(|slot| slot / self.routing.top_k as u32).collect();
            let x = gather_rows(tape, &x, rows)?;
            answers.push(Answers {
                y: self.experts[expert].forward(tape, x, None, context, Values::Read)?,
                slots,
            });
        }
        combine(tape, start, routed.weights, answers)
    }

    /// residual + the shared part, if there is one.
    fn shared(&self, tape: &Tape, x: &Var, residual: Var, context: &Context) -> Result<Var> {
        match (&self.shared, &self.shared_gate) {
            (None, _) => Ok(residual),
            (Some(shared), None) => shared.forward(tape, x.clone(), Some(&residual), context, Values::Read),
            (Some(shared), Some(gate)) => {
                let y = shared.forward(tape, x.clone(), None, context, Values::Read)?;
                let gate = gate.forward(tape, x.clone(), None, &context.mode)?;
                add_scaled(tape, &residual, &sigmoid_gate(tape, y, gate)?, 1.0)
            }
        }
    }

    fn dense(&self) -> impl Iterator<Item = &Dense> {
        self.experts.iter().chain(&self.shared)
    }
}

impl FeedForward {
    /// [residual +] f(x)
    pub fn forward(
        &self,
        tape: &Tape,
        x: Var,
        residual: Option<&Var>,
        context: &Context,
        values: Values,
    ) -> Result<Var> {
        match self {
            FeedForward::Dense(dense) => dense.forward(tape, x, residual, context, values),
            FeedForward::Experts(experts) => experts.forward(tape, x, residual, context),
        }
    }

    pub fn projections(&self) -> Vec<&Arc<Projection>> {
        match self {
            FeedForward::Dense(dense) => vec![&dense.up, &dense.down],
            FeedForward::Experts(experts) => std::iter::once(&experts.router)
                .chain(experts.dense().flat_map(|dense| [&dense.up, &dense.down]))
                .chain(&experts.shared_gate)
                .collect(),
        }
    }

    /// The projections whose sum is the part's result.
    pub fn last(&self) -> Vec<&Arc<Projection>> {
        match self {
            FeedForward::Dense(dense) => vec![&dense.down],
            FeedForward::Experts(experts) => experts.dense().map(|dense| &dense.down).collect(),
        }
    }

    /// The same, to be changed.
    pub fn last_mut(&mut self) -> Vec<&mut Arc<Projection>> {
        match self {
            FeedForward::Dense(dense) => vec![&mut dense.down],
            FeedForward::Experts(experts) => {
                experts.experts.iter_mut().chain(&mut experts.shared).map(|dense| &mut dense.down).collect()
            }
        }
    }

    pub fn projections_mut(&mut self) -> Vec<&mut Arc<Projection>> {
        match self {
            FeedForward::Dense(dense) => vec![&mut dense.up, &mut dense.down],
            FeedForward::Experts(experts) => std::iter::once(&mut experts.router)
                .chain(
                    experts
                        .experts
                        .iter_mut()
                        .chain(&mut experts.shared)
                        .flat_map(|dense| [&mut dense.up, &mut dense.down]),
                )
                .chain(&mut experts.shared_gate)
                .collect(),
        }
    }

    /// Parameters of norms that belong to no projection.
    pub fn norm_params(&self) -> Vec<&Arc<Param>> {
        match self {
            FeedForward::Dense(_) => Vec::new(),
            FeedForward::Experts(experts) => experts.norm.iter().flat_map(|norm| norm.params()).collect(),
        }
    }

    /// Projections of the experts among which tokens choose.
    pub fn expert_projections(&self) -> Vec<&Arc<Projection>> {
        match self {
            FeedForward::Dense(_) => Vec::new(),
            FeedForward::Experts(experts) => {
                experts.experts.iter().flat_map(|dense| [&dense.up, &dense.down]).collect()
            }
        }
    }

    /// Stored tensors that are no parameters.
    pub fn buffers(&self) -> Option<&Arc<Param>> {
        match self {
            FeedForward::Dense(_) => None,
            FeedForward::Experts(experts) => experts.correction.as_ref(),
        }
    }
}
