//! Training stages: what of a batch counts, how that becomes a loss, and what is measured beside it.
//!
//! A stage is a file here and an entry in [`STAGES`]; one that trains on answers of its own is in [`drawn`].

mod asft;
mod causal;
pub(crate) mod drawn;
mod kto;
mod preference;
pub(crate) mod rm;

use std::collections::BTreeMap;
use std::sync::Arc;

use recipe::{Recipe, Stage as Name};

use self::drawn::Drawn;
use crate::autograd::{ParamGradients, Tape};
use crate::kernel::cross_entropy::RowLoss;
use crate::method::Loaded;
use crate::model::{Batch, Decoder, Measured, Pass, Sums};
use crate::text::Example;
use crate::world::World;
use crate::{Error, Result};

/// What training does with a batch.
pub(crate) trait Stage: Send + Sync {
    /// Whether the model has a value head.
    fn has_value_head(&self) -> bool {
        false
    }

    /// What the loss is a mean over.
    fn unit(&self) -> Unit;

    /// Adds the gradients of `scale` times what the batch's losses sum to; answers with that loss and with what else was
    /// measured, scaled alike.
    ///
    /// # Errors
    /// If an operation fails.
    fn accumulate(
        &self,
        model: &Loaded,
        batch: &Batch,
        pass: Pass,
        scale: f64,
        grads: &mut ParamGradients,
    ) -> Result<Measured>;

    /// Measures a batch of held-out examples.
    ///
    /// # Errors
    /// If an operation fails.
    fn evaluate(&self, model: &Loaded, batch: &Batch, examples: &[Example]) -> Result<Means>;

    /// What a log line says, given the means of what was measured.
    fn reported(&self, means: Sums) -> Sums {
        means
    }
}

/// What a loss is a mean over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Tokens that count: one mean over all micro-batches of an optimiser step.
    Token,
    /// Pairs of sequences that belong together: of each micro-batch a mean of its own, and the mean of those.
    Pair,
}

impl Unit {
    /// Sequences of a batch that belong together.
    pub(crate) fn sequences(self) -> usize {
        match self {
            Unit::Token => 1,
            Unit::Pair => 2,
        }
    }

    /// How many of them examples hold. As in transformers a sequence's first token counts, although nothing predicts it.
    pub(crate) fn count(self, examples: &[Example]) -> usize {
        match self {
            Unit::Token => examples.iter().map(Example::trained_tokens).sum(),
            Unit::Pair => examples.len(),
        }
    }

    /// What the losses of a micro-batch are divided by, in a step of which it is one of `portion`.
    pub(crate) fn divisor(self, portion: &[Vec<Example>], batch: &[Example]) -> usize {
        match self {
            Unit::Token => portion.iter().map(|batch| self.count(batch)).sum(),
            Unit::Pair => self.count(batch) * portion.len(),
        }
    }
}

/// The losses of a batch's labels by a model that does not train on it.
fn losses(decoder: &Decoder, batch: &Batch) -> Result<Vec<RowLoss>> {
    let hidden = decoder.hidden(&Tape::off(), batch, Pass::default())?.tensor;
    Ok(decoder.losses(&hidden, &batch.labels)?.rows)
}

/// Two and two of what sequences have that belong together: of the chosen, and of the rejected answer.
fn pairs<T: Copy>(all: &[T]) -> impl Iterator<Item = [T; 2]> {
    all.as_chunks().0.iter().copied()
}

/// 1 / (1 + e⁻ˣ)
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// ln σ(x), exact where σ(x) is next to nothing.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

/// Makes the stage that a recipe describes.
type Open = fn(&Recipe) -> Result<Box<dyn Stage>>;

const STAGES: &[(Name, Open)] = &[
    (Name::Pt, causal::open),
    (Name::Sft, causal::open),
    (Name::Rm, rm::open),
    (Name::Dpo, preference::open),
    (Name::Orpo, preference::open),
    (Name::Kto, kto::open),
];

/// A stage, by what it trains on.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Examples as the data give them.
    Given(Arc<dyn Stage>),
    /// Answers that the model draws itself.
    Drawn(Arc<dyn Drawn>),
}

impl Kind {
    /// Whether the model has a value head.
    pub(crate) fn has_value_head(&self) -> bool {
        match self {
            Kind::Given(stage) => stage.has_value_head(),
            Kind::Drawn(stage) => stage.has_value_head(),
        }
    }

    /// What a log line says, given the means of what was measured.
    pub(crate) fn reported(&self, means: Sums) -> Sums {
        match self {
            Kind::Given(stage) => stage.reported(means),
            Kind::Drawn(_) => means,
        }
    }

    /// The stage that measures held-out examples.
    ///
    /// # Errors
    /// If it is one that has no loss on them.
    pub(crate) fn given(&self) -> Result<&dyn Stage> {
        match self {
            Kind::Given(stage) => Ok(stage.as_ref()),
            Kind::Drawn(_) => Err(Error::recipe("do_eval", "this stage has no loss on held-out data")),
        }
    }
}

/// The stage that a recipe asks for.
///
/// # Errors
/// If there is no such stage, or its settings do not fit.
pub(crate) fn of(recipe: &Recipe) -> Result<Kind> {
    if let Some(stage) = drawn::of(recipe)? {
        return Ok(Kind::Drawn(stage));
    }
    let found = STAGES.iter().find(|(name, _)| *name == recipe.stage);
    let (_, open) = found.ok_or_else(|| {
        Error::recipe("stage", format!("`{}` is not a stage of this engine", recipe.stage.name()))
    })?;
    Ok(Kind::Given(open(recipe)?.into()))
}

/// Means of what is measured over several batches, by name: a sum, and what it is divided by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Means(BTreeMap<String, (f64, f64)>);

/// The name of the loss among [`Means`].
pub(crate) const LOSS: &str = "loss";
/// The name of the share of what was predicted right.
pub(crate) const ACCURACY: &str = "accuracy";

impl Means {
    /// Adds `weight` things of which `sum` is the sum.
    pub(crate) fn add(&mut self, name: impl Into<String>, sum: f64, weight: f64) {
        let (total, count) = self.0.entry(name.into()).or_default();
        (*total, *count) = (*total + sum, *count + weight);
    }

    pub(crate) fn merge(&mut self, other: Means) {
        other.0.into_iter().for_each(|(name, (sum, weight))| self.add(name, sum, weight));
    }

    /// The means over what all processes have measured.
    ///
    /// # Errors
    /// If another process is gone.
    pub(crate) fn of_all(self, world: &dyn World) -> Result<Means> {
        let own = self.0.into_iter().map(|(name, (sum, weight))| (name, vec![sum, weight])).collect();
        let mut all = Means::default();
        for (name, numbers) in world.exchange(own)?.into_iter().flatten() {
            if let [sum, weight] = numbers[..] {
                all.add(name, sum, weight);
            }
        }
        Ok(all)
    }

    /// What was measured at all, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let measured = self.0.iter().filter(|(_, (_, weight))| *weight > 0.0);
        measured.map(|(name, (sum, weight))| (name.as_str(), sum / weight))
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _)| *known == name).map(|(_, mean)| mean)
    }
}
