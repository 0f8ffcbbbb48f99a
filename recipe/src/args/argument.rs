//! One argument, and where it means something.

use super::group::Group;
use super::kind::Kind;
use super::method::FinetuningType;
use super::stage::Stage;
use crate::raw::Raw;
use crate::text::{Sentence, Text};

/// The numbers an argument may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lower bound; none for any number, however low.
    pub min: Option<f64>,
    /// The upper bound; none for any number, however high.
    pub max: Option<f64>,
    /// Whether `min` itself is allowed.
    pub min_allowed: bool,
    /// Whether `max` itself is allowed.
    pub max_allowed: bool,
}

impl Range {
    /// From `min` up to `max`, both allowed.
    pub(super) const fn closed(min: f64, max: f64) -> Range {
        Range { min: Some(min), max: Some(max), min_allowed: true, max_allowed: true }
    }

    /// Whether a number is within the bounds.
    pub fn contains(&self, number: f64) -> bool {
        let above = self.min.is_none_or(|min| if self.min_allowed { number >= min } else { number > min });
        let below = self.max.is_none_or(|max| if self.max_allowed { number <= max } else { number < max });
        above && below
    }
}

/// Who should see an argument in the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// A run cannot be described without it.
    Essential,
    /// Often changed.
    Common,
    /// Behind a fold.
    Advanced,
}

/// One argument of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Argument {
    /// The key in YAML, and the field of [`Recipe`](crate::Recipe).
    pub key: &'static str,
    /// Where it stands in the form, in a YAML file and in the reference.
    pub group: Group,
    /// What values it takes.
    pub kind: Kind,
    /// Whether it may be left unset.
    pub optional: bool,
    /// The numbers that are allowed, if not all are.
    pub range: Option<Range>,
    /// A sensible step for a number field or slider.
    pub step: Option<f64>,
    /// What the form calls it.
    pub label: Text,
    /// What it does, in a sentence.
    pub help: Text,
    /// The stages it means something for; empty = all.
    pub stages: &'static [Stage],
    /// The methods it means something for; empty = all.
    pub methods: &'static [FinetuningType],
    /// How soon the form shows it.
    pub tier: Tier,
    /// What an empty field of the form shows, where an unset value stands for something.
    pub placeholder: Option<Text>,
    /// Older names of the key.
    pub synonyms: &'static [&'static str],
    /// Values that LLaMA-Factory knows and Chandler does not support yet.
    pub refused: &'static [&'static str],
}

impl Argument {
    /// Whether a value is one that LLaMA-Factory knows and Chandler does not support yet.
    pub(crate) fn refuses(&self, value: &Raw) -> bool {
        let given = value.scalar().unwrap_or_default();
        self.refused.iter().any(|refused| refused.eq_ignore_ascii_case(given))
    }

    /// What it would take for the argument to mean something in a run of this stage and method; nothing where it does.
    ///
    /// Every list of stages and methods is read here, and nowhere else.
    pub fn misses(&self, stage: Stage, method: FinetuningType) -> Option<Sentence> {
        if !self.methods.is_empty() && !self.methods.contains(&method) {
            return Some(one_of("finetuning_type", self.methods.iter().map(|method| method.name())));
        }
        if !self.stages.is_empty() && !self.stages.contains(&stage) {
            return Some(one_of("stage", self.stages.iter().map(|stage| stage.name())));
        }
        None
    }

    /// Whether it means something for this stage and method.
    pub fn applies_to(&self, stage: Stage, method: FinetuningType) -> bool {
        self.misses(stage, method).is_none()
    }
}

/// A key with the values that would do: `` `stage: sft` ``, `` `stage: sft` or `stage: pt` ``.
fn one_of(key: &str, values: impl Iterator<Item = &'static str>) -> Sentence {
    let pairs: Vec<String> = values.map(|value| format!("`{key}: {value}`")).collect();
    Sentence::alternatives(&pairs)
}
