//! Arguments by their names, and their values as text.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::argument::Argument;
use super::field::Shown;
use super::table::{Recipe, arguments};
use crate::text::Sentence;

/// The argument with this key or older name.
pub fn find(key: &str) -> Option<&'static Argument> {
    static KNOWN: LazyLock<HashMap<&str, &Argument>> = LazyLock::new(|| {
        let names = |argument: &'static Argument| argument.synonyms.iter().copied().chain([argument.key]);
        arguments().iter().flat_map(|argument| names(argument).map(move |name| (name, argument))).collect()
    });
    KNOWN.get(key).copied()
}

/// The key that an argument is known by here, for one of its names; a key that is no argument's is its own.
pub(crate) fn own_key(key: &str) -> &str {
    find(key).map_or(key, |argument| argument.key)
}

impl Argument {
    /// The default, as shown in a field; empty when unset.
    pub fn default_text(&self) -> String {
        Recipe::default().get(self.key).unwrap_or_default()
    }
}

impl Recipe {
    /// The value of an argument as text, as a form field shows it: empty when unset, or `null` where
    /// an empty field would stand for a default that is set.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.field(key)?.show() {
            Shown::Nothing if Recipe::default().field(key)?.show() != Shown::Nothing => {
                Some("null".to_owned())
            }
            shown => Some(shown.into_text()),
        }
    }

    /// What this run lacks for an argument to mean something in it; nothing where it does.
    pub(crate) fn lacks_for(&self, argument: &Argument) -> Option<Sentence> {
        argument.misses(self.stage, self.finetuning_type)
    }
}
