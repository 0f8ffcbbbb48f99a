//! A rule with what it remembers of each parameter, and the groups that parameters are moved in.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use recipe::Recipe;

use super::blocks::{Blocks, Turn};
use super::narrow::Narrow;
use super::{Memory, Rule, Step, pieces};
use crate::autograd::{Active, Param, ParamGradients, ParamId};
use crate::model::Decoder;
use crate::weights::save_tensors;
use crate::{Error, Result};

/// What the names of the second matrices of LoRA have in them.
const LORA_B: &str = ".lora_B";

/// Parameters that move alike.
#[derive(Clone, Debug)]
pub struct Group {
    /// In the order in which they are moved.
    pub params: Vec<Arc<Param>>,
    /// Factor on the schedule's learning rate.
    pub rate_scale: f64,
    /// The weight decay.
    pub decay: f64,
}

/// An optimiser and its state.
pub struct Optimizer {
    rule: Box<dyn Rule>,
    /// Which parameters train when; none where all do in every step.
    blocks: Option<Blocks>,
    /// Each parameter moves by itself: its gradient is not clipped with the others', and freed as soon as it has moved.
    layerwise: bool,
    /// Steps taken so far.
    steps: u64,
    memory: BTreeMap<ParamId, Memory>,
    /// Decides how values in bf16 are rounded.
    seed: u64,
}

impl Optimizer {
    /// One that has remembered nothing yet.
    pub fn new(rule: Box<dyn Rule>) -> Optimizer {
        Optimizer { rule, blocks: None, layerwise: false, steps: 0, memory: BTreeMap::new(), seed: 0 }
    }

    /// The one that a recipe asks for, for a model's parameters.
    ///
    /// # Errors
    /// If what the recipe names is not in the model, or its settings do not fit the optimiser.
    pub fn of(recipe: &Recipe, decoder: &Decoder, params: &[Arc<Param>]) -> Result<Optimizer> {
        Ok(Optimizer {
            blocks: Blocks::of(recipe, params)?,
            layerwise: recipe.is_layerwise(),
            seed: recipe.seed,
            ..Optimizer::new(super::choice::rule(recipe, decoder)?)
        })
    }

    /// What trains in the next step.
    pub fn active(&self) -> Active {
        self.blocks.as_ref().and_then(|blocks| blocks.active(self.steps + 1))
    }

    /// What is to be said where other parameters train from the next step on; with `names` which ones.
    pub fn announcement(&self, names: bool) -> Option<String> {
        let next = self.steps + 1;
        let blocks = self.blocks.as_ref().filter(|blocks| blocks.turn(next).first == next)?;
        Some(blocks.announcement(next, names))
    }

    /// Leaves of each gradient what the next step moves by, which is what is clipped.
    ///
    /// # Errors
    /// If an operation fails on a parameter's device.
    pub fn narrow(&self, params: &[Arc<Param>], grads: &mut ParamGradients) -> Result<()> {
        let turn = self.turn(self.steps + 1).number;
        for param in params {
            let narrowed = grads.get(param.id).map(|gradient| self.rule.narrowed(param, gradient, turn));
            if let Some(narrowed) = narrowed.transpose()?.flatten() {
                grads.replace(param.id, narrowed);
            }
        }
        Ok(())
    }

    /// Whether gradients are clipped together.
    pub fn clips(&self) -> bool {
        !self.layerwise
    }

    fn turn(&self, step: u64) -> Turn {
        self.blocks.as_ref().map_or(Turn { number: 0, first: 1 }, |blocks| blocks.turn(step))
    }

    /// The groups that a model's parameters are moved in: with and without weight decay, and for LoRA+ (Hayou et al. 2024)
    /// those that move faster, by a factor of `fast`. As in LLaMA-Factory these are the matrices B, and vectors.
    pub fn groups(&self, params: &[Arc<Param>], weight_decay: f64, fast: Option<f64>) -> Vec<Group> {
        let is_fast = |param: &Param| param.name.contains(LORA_B) || param.tensor.dims().len() == 1;
        let mut groups: Vec<Group> = Vec::new();
        for param in params {
            let rate_scale = fast.filter(|_| is_fast(param)).unwrap_or(1.0);
            let decay = if self.rule.decays(param) { weight_decay } else { 0.0 };
            match groups.iter_mut().find(|group| (group.rate_scale, group.decay) == (rate_scale, decay)) {
                Some(group) => group.params.push(param.clone()),
                None => groups.push(Group { params: vec![param.clone()], rate_scale, decay }),
            }
        }
        groups
    }

    /// Moves each parameter that has a gradient; `clip` multiplies the gradients.
    ///
    /// # Errors
    /// If an operation fails on a parameter's device.
    pub fn step(&mut self, groups: &[Group], grads: &mut ParamGradients, rate: f64, clip: f64) -> Result<()> {
        self.steps += 1;
        let turn = self.turn(self.steps);
        if turn.first == self.steps {
            self.memory.clear();
        }
        let number = self.steps - turn.first + 1;
        let rule = Narrow { rule: self.rule.as_ref(), draws: self.seed ^ (self.steps << 20) };
        for group in groups {
            let rate = rate * group.rate_scale;
            let step = Step { number, turn: turn.number, rate, decay: group.decay, clip };
            for param in &group.params {
                let taken = if self.layerwise { grads.take(param.id) } else { None };
                let Some(gradient) = taken.as_ref().or_else(|| grads.get(param.id)) else { continue };
                let mut memory = match self.memory.remove(&param.id) {
                    Some(memory) => memory,
                    None => rule.start(param)?,
                };
                pieces::update(&rule, param, gradient, &mut memory, &step)?;
                self.memory.insert(param.id, memory);
            }
        }
        Ok(())
    }

    /// Writes what is remembered of parameters.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, params: &[Arc<Param>], path: &Path) -> Result<()> {
        let memories = params.iter().filter_map(|param| Some((param, self.memory.get(&param.id)?)));
        let tensors = memories.flat_map(|(param, memory)| {
            memory.iter().map(|(name, tensor)| (state_name(param, name), tensor.clone()))
        });
        save_tensors(&tensors.collect::<Vec<_>>(), path)
    }

    /// Takes up what was remembered after so many steps. A parameter that had no gradient by then starts afresh.
    ///
    /// # Errors
    /// If the file cannot be read, or another optimiser or another model's has written it.
    pub fn load(&mut self, params: &[Arc<Param>], path: &Path, steps: u64) -> Result<()> {
        let mut saved = candle_core::safetensors::load(path, &Device::Cpu)
            .map_err(|error| Error::file(path, format!("is not a readable safetensors file: {error}")))?;
        let mut is_empty = true;
        for param in params {
            let mut memory = Narrow { rule: self.rule.as_ref(), draws: 0 }.start(param)?;
            is_empty &= memory.is_empty();
            let is_saved = |(name, _): &(&str, Tensor)| saved.contains_key(&state_name(param, name));
            if !memory.iter().any(is_saved) {
                continue;
            }
            for (name, tensor) in &mut memory {
                let name = state_name(param, name);
                let fits = |saved: &Tensor| saved.dims() == tensor.dims() && saved.dtype() == tensor.dtype();
                let found = saved.remove(&name).filter(fits);
                let found = found.ok_or_else(|| {
                    Error::file(path, format!("has no tensor `{name}` of shape {:?}", tensor.dims()))
                })?;
                *tensor = found.to_device(param.tensor.device())?;
            }
            self.memory.insert(param.id, memory);
        }
        if let Some(name) = saved.keys().min() {
            let message = format!("has a tensor `{name}`, which this run's optimizer does not keep");
            return Err(Error::file(path, message));
        }
        if self.memory.is_empty() && !is_empty {
            return Err(Error::file(path, "has nothing of what this run's optimizer keeps"));
        }
        self.steps = steps;
        Ok(())
    }
}

/// The name of a tensor that is remembered of a parameter.
fn state_name(param: &Param, name: &str) -> String {
    format!("{}.{name}", param.name)
}
