//! What an entry of the argument table says of its argument.

use super::argument::{Argument, Range, Tier};
use super::field::Typed;
use super::group::Group;
use super::kind::Kind;
use super::method::FinetuningType;
use super::stage::Stage;
use crate::text::Text;

/// The part of an [`Argument`] that its entry states; the rest follows from key, type and group.
pub(super) struct Entry {
    label: Text,
    help: Text,
    is_path: bool,
    range: Option<Range>,
    step: Option<f64>,
    stages: &'static [Stage],
    methods: &'static [FinetuningType],
    tier: Tier,
    placeholder: Option<Text>,
    synonyms: &'static [&'static str],
    refused: &'static [&'static str],
}

impl Entry {
    pub(crate) const fn new(label: Text, help: Text) -> Entry {
        Entry {
            label,
            help,
            is_path: false,
            range: None,
            step: None,
            stages: &[],
            methods: &[],
            tier: Tier::Common,
            placeholder: None,
            synonyms: &[],
            refused: &[],
        }
    }

    /// It names a file or folder.
    pub(crate) const fn path(mut self) -> Entry {
        self.is_path = true;
        self
    }

    pub(crate) const fn essential(mut self) -> Entry {
        self.tier = Tier::Essential;
        self
    }

    pub(crate) const fn advanced(mut self) -> Entry {
        self.tier = Tier::Advanced;
        self
    }

    /// From `min` up to `max`.
    pub(crate) const fn from(mut self, min: f64, max: f64) -> Entry {
        self.range = Some(Range::closed(min, max));
        self
    }

    /// Above `min`, up to `max`.
    pub(crate) const fn above(mut self, min: f64, max: f64) -> Entry {
        self.range = Some(Range { min_allowed: false, ..Range::closed(min, max) });
        self
    }

    /// From `min`, below `max`.
    pub(crate) const fn half_open(mut self, min: f64, max: f64) -> Entry {
        self.range = Some(Range { max_allowed: false, ..Range::closed(min, max) });
        self
    }

    /// A sensible step for a number field.
    pub(crate) const fn step(mut self, step: f64) -> Entry {
        self.step = Some(step);
        self
    }

    /// It means something for these methods alone.
    pub(crate) const fn methods(mut self, methods: &'static [FinetuningType]) -> Entry {
        self.methods = methods;
        self
    }

    /// It means something for these stages alone.
    pub(crate) const fn stages(mut self, stages: &'static [Stage]) -> Entry {
        self.stages = stages;
        self
    }

    pub(crate) const fn placeholder(mut self, words: Text) -> Entry {
        self.placeholder = Some(words);
        self
    }

    /// Older names of the key.
    pub(crate) const fn synonyms(mut self, synonyms: &'static [&'static str]) -> Entry {
        self.synonyms = synonyms;
        self
    }

    /// Values that LLaMA-Factory knows for this argument alone, where its type is refused none.
    pub(crate) const fn refused(mut self, values: &'static [&'static str]) -> Entry {
        self.refused = values;
        self
    }

    /// Completes the entry.
    pub(crate) const fn finish<T: Typed>(self, key: &'static str, group: Group) -> Argument {
        Argument {
            key,
            group,
            kind: if self.is_path { Kind::Path } else { T::KIND },
            optional: T::OPTIONAL,
            range: self.range,
            step: self.step,
            label: self.label,
            help: self.help,
            stages: self.stages,
            methods: self.methods,
            tier: self.tier,
            placeholder: self.placeholder,
            synonyms: self.synonyms,
            refused: if self.refused.is_empty() { T::REFUSED } else { self.refused },
        }
    }
}
