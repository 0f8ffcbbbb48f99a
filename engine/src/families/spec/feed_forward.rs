//! What a block does with each token by itself: one feed-forward part, or experts that a router chooses from.

use super::{LinearSpec, Name};
use crate::Result;
use crate::families::Config;
use crate::kernel::activation::{Activation, GateOrder};
use crate::ops::{BalanceKind, Routing};

/// A feed-forward part, or an expert.
#[derive(Clone, Debug)]
pub struct FeedForwardSpec {
    /// Width of the inner layer.
    pub width: usize,
    /// Of the inner layer.
    pub activation: Activation,
    /// From the hidden state to the inner layer.
    pub input: InputMaps,
    /// Back to the hidden state.
    pub down: LinearSpec,
}

/// The maps in front of the activation.
#[derive(Clone, Debug)]
pub enum InputMaps {
    /// act(up x)
    Plain(LinearSpec),
    /// act(gate x) · up x, by separate maps.
    Gated(LinearSpec, LinearSpec),
    /// The same by one map.
    Joint(LinearSpec, GateOrder),
}

impl FeedForwardSpec {
    /// act(gate x) · up x, then down; without biases.
    pub fn gated(width: usize, activation: Activation, [gate, up, down]: [Name; 3]) -> Self {
        let input = InputMaps::Gated(LinearSpec::new(gate, false), LinearSpec::new(up, false));
        FeedForwardSpec { width, activation, input, down: LinearSpec::new(down, false) }
    }

    /// Every map with a bias.
    pub fn with_bias(mut self) -> Self {
        match &mut self.input {
            InputMaps::Plain(map) | InputMaps::Joint(map, _) => map.bias = true,
            InputMaps::Gated(gate, up) => (gate.bias, up.bias) = (true, true),
        }
        self.down.bias = true;
        self
    }

    /// act(up x), then down.
    pub fn plain(width: usize, activation: Activation, up: LinearSpec, down: LinearSpec) -> Self {
        FeedForwardSpec { width, activation, input: InputMaps::Plain(up), down }
    }
}

/// A mixture of experts.
#[derive(Clone, Debug)]
pub struct ExpertsSpec {
    /// How a token's experts are chosen.
    pub routing: Routing,
    /// The map from hidden states to the experts' logits.
    pub router: Name,
    /// Tensor that is added to the scores for the choice alone.
    pub correction: Option<Name>,
    /// Prefix of an expert within a block; `{}` is its number.
    pub prefix: Name,
    /// Every expert, by names within its prefix.
    pub expert: FeedForwardSpec,
    /// What every token goes through besides.
    pub shared: Option<FeedForwardSpec>,
    /// A sigmoid gate on the shared part.
    pub shared_gate: Option<Name>,
    /// How the auxiliary loss is averaged.
    pub balance: BalanceKind,
    /// The factor on the auxiliary loss.
    pub balance_coefficient: f32,
    /// The auxiliary loss is part of training even where nobody asks for it.
    pub always_balanced: bool,
    /// The auxiliary loss is part of the reported loss.
    pub balance_reported: bool,
    /// `all` linear maps include the router.
    pub adaptable_router: bool,
    /// `all` linear maps include those of the experts.
    pub adaptable_experts: bool,
}

impl ExpertsSpec {
    /// Experts alone, without an auxiliary loss; neither they nor the router are among `all`.
    pub fn new(routing: Routing, router: Name, prefix: Name, expert: FeedForwardSpec) -> Self {
        ExpertsSpec {
            routing,
            router,
            correction: None,
            prefix,
            expert,
            shared: None,
            shared_gate: None,
            balance: BalanceKind::Batch,
            balance_coefficient: 0.0,
            always_balanced: false,
            balance_reported: false,
            adaptable_router: false,
            adaptable_experts: false,
        }
    }

    /// The auxiliary loss over the batch of transformers' Switch-like models.
    ///
    /// # Errors
    /// If the coefficient of the configuration is no number.
    pub fn with_batch_balance(mut self, config: &Config) -> Result<Self> {
        self.balance_coefficient = config.number_or("router_aux_loss_coef", 0.001)? as f32;
        self.always_balanced = config.flag_or("output_router_logits", false)?;
        self.balance_reported = true;
        Ok(self)
    }
}
