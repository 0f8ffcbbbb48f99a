//! What is trained beside the linear maps of a frozen model, and how a pass finds it.
//!
//! A model's weights know nothing of adapters: these are a table of updates by the names of modules, and a pass is given
//! the table it is to compute with. Several adapters beside one model, or none, are the same weights with another table.

use std::collections::HashMap;
use std::sync::Arc;

use super::dora::Gains;
use super::dropout::Dropout;
use super::linear::{Linear, Part, PartMut, Stretch};
use super::lora::Lora;
use crate::Result;
use crate::autograd::{Param, ParamGradients};

/// What is trained beside one linear map.
pub type Update = Lora;

/// An adapter in memory: updates of linear maps by the names of their modules, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    places: HashMap<String, usize>,
    all: Vec<Update>,
}

impl Updates {
    pub fn get(&self, module: &str) -> Option<&Update> {
        self.places.get(module).map(|place| &self.all[*place])
    }

    pub fn insert(&mut self, module: &str, update: Update) {
        self.places.insert(module.to_owned(), self.all.len());
        self.all.push(update);
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Update> {
        self.all.iter()
    }

    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.all.iter().flat_map(Update::params)
    }
}

/// What a pass computes beside a model's weights: an adapter, and masks.
#[derive(Clone, Debug, Default)]
pub struct Mode {
    /// Empty for the model as it is.
    pub updates: Arc<Updates>,
    /// Seed of the masks; none in evaluation.
    pub dropout: Dropout,
}

impl Mode {
    /// Maps as this pass computes them.
    pub(super) fn adapt<'a>(&'a self, linears: &'a [Linear]) -> Result<Vec<Adapted<'a>>> {
        linears.iter().map(|linear| self.adapted(linear)).collect()
    }

    pub(super) fn adapted<'a>(&'a self, linear: &'a Linear) -> Result<Adapted<'a>> {
        let lora = self.updates.get(&linear.name);
        let gains = lora.map(|lora| lora.gains(linear)).transpose()?.flatten();
        Ok(Adapted { linear, lora, gains })
    }

    /// Updates of the maps that have one.
    pub(super) fn of<'a>(&'a self, linears: &'a [Linear]) -> impl Iterator<Item = &'a Update> {
        linears.iter().filter_map(|linear| self.updates.get(&linear.name))
    }
}

/// A linear map as a pass computes it: with its update, if it has any, and what that needs once for all rows.
pub(super) struct Adapted<'a> {
    pub linear: &'a Linear,
    pub lora: Option<&'a Lora>,
    /// Of an update with magnitudes.
    gains: Option<Gains>,
}

impl Adapted<'_> {
    /// Of the low-rank update; zero without one.
    pub fn rank(&self) -> usize {
        self.lora.map_or(0, Lora::rank)
    }

    /// Writes this map's columns of y. `hidden`: its columns of what [`hidden`](super::lora::hidden) gave.
    pub fn apply(
        &self,
        x: &[f32],
        y: PartMut,
        residual: Option<&[f32]>,
        hidden: Part,
        rows: Stretch,
    ) -> Result<()> {
        match (self.lora, &self.gains) {
            (None, _) => self.linear.apply(x, y, residual, None, rows),
            (Some(lora), None) => lora.apply(self.linear, x, y, residual, hidden, rows),
            (Some(lora), Some(gains)) => gains.apply((self.linear, lora), x, y, residual, hidden, rows),
        }
    }

    /// Writes dx, or adds it where the flag is set, and adds the gradients of what is trainable to `grads`.
    pub fn backward(
        &self,
        x: &[f32],
        dy: Part,
        hidden: Part,
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        self.linear.parameter_gradients(x, dy, grads, rows)?;
        match (self.lora, &self.gains, dx) {
            (None, _, None) => Ok(()),
            (None, _, Some(dx)) => self.linear.input_gradient(dy, dx, None, rows),
            (Some(lora), None, dx) => lora.backward(self.linear, x, (dy, hidden), dx, grads, rows),
            (Some(lora), Some(gains), dx) => {
                gains.backward((self.linear, lora), x, (dy, hidden), dx, grads, rows)
            }
        }
    }
}
