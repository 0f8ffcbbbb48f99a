//! The feed-forward part of a block.

use std::sync::Arc;

use super::Builder;
use crate::Result;
use crate::families::spec::{ExpertsSpec, FeedForwardSpec, InputMaps, LinearSpec};
use crate::kernel::activation::GateOrder;
use crate::model::feed_forward::{Dense, Experts, FeedForward};
use crate::ops::linear::Adaptable;
use crate::ops::{Linear, Prologue};

impl Builder<'_> {
    pub(super) fn feed_forward(&self, layer: usize) -> Result<FeedForward> {
        match &self.spec.experts {
            Some(experts) if self.spec.layers[layer].experts => {
                Ok(FeedForward::Experts(Box::new(self.experts(layer, experts)?)))
            }
            _ => {
                let prologue = self.prologue(layer, self.spec.block.feed_forward_norm)?;
                let prefix = self.spec.block.name(layer, "");
                Ok(FeedForward::Dense(self.dense(
                    &prefix,
                    &self.spec.feed_forward,
                    prologue,
                    Adaptable::Always,
                )?))
            }
        }
    }

    /// A network whose modules' names follow `prefix`.
    fn dense(
        &self,
        prefix: &str,
        spec: &FeedForwardSpec,
        prologue: Prologue,
        adaptable: Adaptable,
    ) -> Result<Dense> {
        let (hidden, width) = (self.spec.hidden, spec.width);
        let linear = |map: LinearSpec, out, dim| -> Result<Linear> {
            let mut linear = self.linear(format!("{prefix}{}", map.name), map, out, dim)?;
            if adaptable == Adaptable::Never {
                linear.adaptable = adaptable;
            }
            Ok(linear)
        };
        let (up, between) = match spec.input {
            InputMaps::Plain(up) => (vec![linear(up, width, hidden)?], Prologue::Plain(spec.activation)),
            InputMaps::Gated(gate, up) => (
                vec![linear(gate, width, hidden)?, linear(up, width, hidden)?],
                Prologue::Gated(spec.activation, GateOrder::GateUp),
            ),
            InputMaps::Joint(map, order) => {
                (vec![linear(map, 2 * width, hidden)?], Prologue::Gated(spec.activation, order))
            }
        };
        let down = linear(spec.down, hidden, width)?;
        Ok(Dense { up: self.projection(prologue, up), down: self.projection(between, vec![down]) })
    }

    fn experts(&self, layer: usize, spec: &ExpertsSpec) -> Result<Experts> {
        let (block, hidden) = (&self.spec.block, self.spec.hidden);
        let norm = block.feed_forward_norm.map(|norm| self.block_norm(layer, norm)).transpose()?;
        let mut router =
            self.block_linear(layer, LinearSpec::new(spec.router, false), spec.routing.experts, hidden)?;
        if !spec.adaptable_router {
            router.adaptable = Adaptable::Never;
        }
        let adaptable = if spec.adaptable_experts { Adaptable::Always } else { Adaptable::Never };
        let expert = |index: usize| -> Result<Dense> {
            let prefix = format!("{}.", block.name(layer, &spec.prefix.replace("{}", &index.to_string())));
            self.dense(&prefix, &spec.expert, Prologue::Identity, adaptable)
        };
        let shared = spec
            .shared
            .as_ref()
            .map(|shared| self.dense(&block.name(layer, ""), shared, Prologue::Identity, Adaptable::Always));
        let gate = spec.shared_gate.map(|name| -> Result<_> {
            let linear = self.block_linear(layer, LinearSpec::new(name, false), 1, hidden)?;
            Ok(self.projection(Prologue::Identity, vec![linear]))
        });
        let correction = spec.correction.map(|name| {
            let load = |name: &str| self.source.tensor(name, &[spec.routing.experts]);
            self.load(block.name(layer, name), false, load)
        });
        Ok(Experts {
            layer,
            routing: spec.routing,
            norm: norm.map(Arc::new),
            router: self.projection(Prologue::Identity, vec![router]),
            correction: correction.transpose()?,
            experts: (0..spec.routing.experts).map(expert).collect::<Result<_>>()?,
            shared: shared.transpose()?,
            shared_gate: gate.transpose()?,
        })
    }
}
