//! What is trained beside the linear maps of a frozen model, and how a pass finds it.
//!
//! A model's weights know nothing of adapters: these are a table of updates by the names of modules, and a pass is given
//! the table it is to compute with. Several adapters beside one model, or none, are the same weights with another table.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;

use super::dora::Gains;
use super::dropout::Dropout;
use super::linear::{Linear, Part, PartMut, Stretch};
use super::lora::Lora;
use super::oft::{Oft, Rotations};
use crate::Result;
use crate::autograd::{Param, ParamGradients};

/// What is trained beside one linear map.
#[derive(Clone, Debug)]
pub enum Update {
    /// Low-rank matrices, with magnitudes where there are any.
    LowRank(Lora),
    /// Blocks of the input are rotated.
    Rotation(Oft),
}

impl From<Lora> for Update {
    fn from(lora: Lora) -> Update {
        Update::LowRank(lora)
    }
}

impl From<Oft> for Update {
    fn from(oft: Oft) -> Update {
        Update::Rotation(oft)
    }
}

impl Update {
    /// The parameters that train in it.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        let (lora, oft) = match self {
            Update::LowRank(lora) => (Some(lora), None),
            Update::Rotation(oft) => (None, Some(oft)),
        };
        lora.into_iter().flat_map(Lora::params).chain(oft.map(|oft| &oft.skew))
    }

    /// The low-rank matrices, if it is made of such.
    pub fn low_rank(&self) -> Option<&Lora> {
        match self {
            Update::LowRank(lora) => Some(lora),
            Update::Rotation(_) => None,
        }
    }

    /// The same with a share that is dropped, and a key that tells its masks from those of other maps.
    pub(crate) fn dropping(self, dropout: f32, key: u64) -> Update {
        match self {
            Update::LowRank(lora) => Lora { dropout, key, ..lora }.into(),
            Update::Rotation(oft) => Oft { dropout, key, ..oft }.into(),
        }
    }

    /// The weight that does alone what W [out, in], in f32, does with the update.
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn merged(&self, weight: &Tensor) -> Result<Tensor> {
        match self {
            Update::LowRank(lora) => lora.merged(weight),
            Update::Rotation(oft) => oft.merged(weight),
        }
    }
}

/// An adapter in memory: updates of linear maps by the names of their modules, in the order they were added.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    places: HashMap<String, usize>,
    all: Vec<Update>,
}

impl Updates {
    /// The update of a module.
    pub fn get(&self, module: &str) -> Option<&Update> {
        self.places.get(module).map(|place| &self.all[*place])
    }

    /// Puts an update beside a module.
    pub fn insert(&mut self, module: &str, update: impl Into<Update>) {
        self.places.insert(module.to_owned(), self.all.len());
        self.all.push(update.into());
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &Update> {
        self.all.iter()
    }

    /// The parameters of all of them.
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
        let update = match self.updates.get(&linear.name) {
            None => Ready::None,
            Some(Update::LowRank(lora)) => Ready::LowRank(lora, lora.gains(linear)?),
            Some(Update::Rotation(oft)) => Ready::Rotation(oft, oft.rotations(self.dropout)?),
        };
        Ok(Adapted { linear, update })
    }

    /// Updates of the maps that have one.
    pub(super) fn of<'a>(&'a self, linears: &'a [Linear]) -> impl Iterator<Item = &'a Update> {
        linears.iter().filter_map(|linear| self.updates.get(&linear.name))
    }
}

/// A linear map as a pass computes it: with its update, if it has any.
pub(super) struct Adapted<'a> {
    pub linear: &'a Linear,
    update: Ready<'a>,
}

/// An update with what it needs once for all rows.
enum Ready<'a> {
    None,
    LowRank(&'a Lora, Option<Gains>),
    Rotation(&'a Oft, Rotations),
}

impl<'a> Adapted<'a> {
    /// The low-rank matrices, if the update is made of such.
    pub(super) fn low_rank(&self) -> Option<&'a Lora> {
        match self.update {
            Ready::LowRank(lora, _) => Some(lora),
            _ => None,
        }
    }

    /// Of the low-rank update; zero without one.
    pub(super) fn rank(&self) -> usize {
        self.low_rank().map_or(0, Lora::rank)
    }

    /// Writes this map's columns of y. `hidden`: its columns of what [`hidden`](super::lora::hidden) gave.
    pub(super) fn apply(
        &self,
        x: &[f32],
        y: PartMut,
        residual: Option<&[f32]>,
        hidden: Part,
        rows: Stretch,
    ) -> Result<()> {
        let linear = self.linear;
        match &self.update {
            Ready::None => linear.apply(x, y, residual, None, rows),
            Ready::LowRank(lora, None) => lora.apply(linear, x, y, residual, hidden, rows),
            Ready::LowRank(lora, Some(gains)) => gains.apply((linear, lora), x, y, residual, hidden, rows),
            Ready::Rotation(oft, rotations) => rotations.apply((linear, oft), x, y, residual, rows),
        }
    }

    /// Writes dx, or adds it where the flag is set, and adds the gradients of what is trainable to `grads`.
    pub(super) fn backward(
        &self,
        x: &[f32],
        dy: Part,
        hidden: Part,
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let linear = self.linear;
        if let Ready::Rotation(oft, rotations) = &self.update {
            return rotations.backward((linear, oft), x, dy, dx, grads, rows);
        }
        linear.parameter_gradients(x, dy, grads, rows)?;
        match (&self.update, dx) {
            (Ready::LowRank(lora, None), dx) => lora.backward(linear, x, (dy, hidden), dx, grads, rows),
            (Ready::LowRank(lora, Some(gains)), dx) => {
                gains.backward((linear, lora), x, (dy, hidden), dx, grads, rows)
            }
            (_, Some(dx)) => linear.input_gradient(dy, dx, None, rows),
            (_, None) => Ok(()),
        }
    }
}
