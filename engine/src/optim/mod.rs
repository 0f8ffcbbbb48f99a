//! Optimisers and learning-rate schedules.
//!
//! An optimiser is a [`Rule`] by which one parameter moves; what it remembers of each, and how that is saved, is the
//! [`Optimizer`]'s.

mod adafactor;
mod adagrad;
mod adam_mini;
mod adamw;
mod ademamix;
mod blocks;
mod lion;
mod muon;
mod optimizer;
mod ratio;
mod rmsprop;
mod schedule;
mod sgd;
mod watched;

use candle_core::Tensor;
use recipe::{BadamMask, BadamMode, Optim, Recipe};

use crate::Result;
use crate::autograd::Param;
use crate::model::Decoder;

pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam_mini::AdamMini;
pub use adamw::AdamW;
pub use ademamix::AdEmaMix;
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

/// The rule that a recipe asks for.
fn rule(recipe: &Recipe, decoder: &Decoder) -> Result<Box<dyn Rule>> {
    let adam = AdamW::of(recipe);
    if recipe.use_muon {
        return Ok(Box::new(Muon { momentum: 0.95, rest: AdamW { eps_first: true, ..adam } }));
    }
    if recipe.use_adam_mini {
        let head_dim = decoder.blocks.first().map_or(1, |block| block.attention.spec.shape.head_dim);
        return Ok(Box::new(AdamMini { adam, head_dim }));
    }
    if recipe.use_badam && recipe.badam_mode == BadamMode::Ratio {
        let scattered = recipe.badam_mask_mode == BadamMask::Scatter;
        return Ok(Box::new(Ratio::new(adam, recipe.badam_update_ratio, scattered, recipe.seed)));
    }
    Ok(plain_rule(recipe))
}

/// The rule that `optim` names.
fn plain_rule(recipe: &Recipe) -> Box<dyn Rule> {
    match recipe.optim {
        Optim::Sgd => Box::new(Sgd),
        Optim::Adagrad => Box::new(Adagrad { eps: 1e-10 }),
        Optim::Lion => Box::new(Lion { beta1: recipe.adam_beta1, beta2: recipe.adam_beta2 }),
        Optim::Adafactor => Box::new(Adafactor::default()),
        Optim::RmsProp => Box::new(RmsProp::default()),
        Optim::AdEmaMix => Box::new(AdEmaMix {
            beta1: recipe.adam_beta1,
            beta2: recipe.adam_beta2,
            beta3: 0.9999,
            alpha: 5.0,
            eps: recipe.adam_epsilon,
        }),
        Optim::AdamwTorch => Box::new(AdamW::of(recipe)),
    }
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
