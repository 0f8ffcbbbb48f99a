//! Optimisers and learning-rate schedules.
//!
//! An optimiser is a [`Rule`] by which one parameter moves; what it remembers of each, and how that is saved, is the
//! [`Optimizer`]'s.

mod adafactor;
mod adagrad;
mod adam_mini;
mod adamw;
mod ademamix;
mod apollo;
mod blocks;
mod choice;
mod eight_bit;
mod galore;
mod lion;
mod muon;
mod narrow;
mod optimizer;
mod pieces;
mod projector;
mod ratio;
mod rmsprop;
mod schedule;
mod sgd;
mod watched;

use candle_core::Tensor;

use crate::Result;
use crate::autograd::Param;

pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam_mini::AdamMini;
pub use adamw::AdamW;
pub use ademamix::AdEmaMix;
pub use apollo::Apollo;
pub use eight_bit::EightBit;
pub use galore::{GaLore, Inner};
pub use lion::Lion;
pub use muon::Muon;
pub use optimizer::{Group, Optimizer};
pub use ratio::Ratio;
pub use rmsprop::RmsProp;
pub use schedule::Schedule;
pub use sgd::Sgd;
pub use watched::Watched;

/// How one parameter moves in a step.
pub trait Rule: Send + Sync {
    /// What is remembered of a parameter before its first step.
    ///
    /// # Errors
    /// If there is no room for it.
    fn start(&self, param: &Param) -> Result<Memory>;

    /// Whether weight decay pulls at a parameter: as in transformers at matrices, but not at norms and biases.
    fn decays(&self, param: &Param) -> bool {
        param.tensor.dims().len() > 1 && !param.name.contains("norm")
    }

    /// Whether each number of a parameter moves by itself, so that a large one may move piece by piece.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// What a turn leaves of a parameter's gradient; none where it is all of it.
    ///
    /// # Errors
    /// If an operation fails on the parameter's device.
    fn narrowed(&self, _param: &Param, _gradient: &Tensor, _turn: u64) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Moves a parameter by its gradient, in place: the model's parts share its tensor.
    ///
    /// # Errors
    /// If an operation fails on the parameter's device.
    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()>;
}

/// What a rule remembers of a parameter between steps: tensors, by their names in checkpoints.
pub type Memory = Vec<(&'static str, Tensor)>;

/// What a step is made with, for one parameter.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Counts from 1, where parameters take turns from the first one of theirs.
    pub number: u64,
    /// Which turn it is in, where they do.
    pub turn: u64,
    /// The learning rate.
    pub rate: f64,
    /// The weight decay.
    pub decay: f64,
    /// What gradients are multiplied by, so that their norm keeps to its limit.
    pub clip: f64,
}

impl Step {
    /// The clipped gradient with the weight decay in it, for rules that do not keep the two apart.
    fn decayed(&self, param: &Param, gradient: &Tensor) -> Result<Tensor> {
        Ok(((gradient * self.clip)? + (&param.tensor * self.decay)?)?)
    }

    /// A parameter's values after a weight decay that is decoupled from its gradient.
    fn shrunk(&self, param: &Param) -> Result<Tensor> {
        Ok((&param.tensor * (1.0 - self.rate * self.decay))?)
    }
}

/// Writes a parameter's new values in place: the model's parts share its tensor.
fn assign(param: &Param, values: &Tensor) -> Result<()> {
    Ok(param.tensor.slice_set(values, 0, 0)?)
}

#[cfg(test)]
mod tests;
