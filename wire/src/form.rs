//! The form of a new run: what it offers, and what the server finds in a recipe.

use recipe::memory::MemoryEstimate;
use serde::{Deserialize, Serialize};

use crate::DatasetEntry;

/// A model that can be trained or talked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// What goes into `model_name_or_path`.
    pub path: String,
    /// What people know it by.
    pub label: String,
    /// The template that fits, where known.
    pub template: Option<String>,
    /// Numbers in its weights, where known.
    pub parameters: Option<u64>,
    /// Tokens that it reads at most, where known.
    pub context: Option<usize>,
    /// Whether it is on this machine now; if not, `hint` says how to bring it.
    pub present: bool,
    /// The command that brings it.
    pub hint: Option<String>,
}

impl ModelChoice {
    /// What of it decides on values to start from.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts { parameters: self.parameters, context: self.context }
    }
}

/// What the form of a new run offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FormChoices {
    /// Models that can be trained, those that can be brought among them.
    pub models: Vec<ModelChoice>,
    /// The data sets of the data folder.
    pub datasets: Vec<DatasetEntry>,
    /// Names of all templates.
    pub templates: Vec<String>,
}

/// One thing wrong with a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// The argument it belongs to, if to one.
    pub key: Option<String>,
    /// What is wrong, in the language that was asked in.
    pub message: String,
}

/// What the server finds in a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// What keeps it from being launched.
    pub problems: Vec<FieldProblem>,
    /// What to know before it is.
    pub warnings: Vec<FieldProblem>,
    /// What it takes, where that can be told.
    pub memory: Option<Memory>,
    /// What is known of the model that it names.
    pub model: Option<ModelFacts>,
}

/// What values to start from depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Numbers in its weights.
    pub parameters: Option<u64>,
    /// Tokens that it reads at most.
    pub context: Option<usize>,
}

/// Bytes that a run takes at its peak, about, and those that are free on the server's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the run takes: the sum of its parts.
    pub needed: u64,
    /// What it takes that for.
    pub parts: MemoryEstimate,
    /// What is free now.
    pub free: u64,
}
