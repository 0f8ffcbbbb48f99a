//! What is wrong with a recipe.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::{Lang, Sentence};

/// One thing wrong with a recipe: where, and in words what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The argument it belongs to, if to one.
    pub key: Option<String>,
    /// Line in the YAML, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong, what was given, and what is allowed.
    pub message: Sentence,
}

impl Problem {
    /// A problem of one argument.
    pub fn of(key: impl Into<String>, message: impl Into<Sentence>) -> Problem {
        Problem { key: Some(key.into()), ..Problem::general(message) }
    }

    /// A problem of the text as a whole.
    pub fn general(message: impl Into<Sentence>) -> Problem {
        Problem { key: None, line: None, message: message.into().map(shortened) }
    }

    /// The same problem at a line of the YAML.
    #[must_use]
    pub fn at(mut self, line: Option<usize>) -> Problem {
        self.line = line;
        self
    }

    /// The sentence in a language, without the line number.
    pub fn text(&self, lang: Lang) -> &str {
        self.message.get(lang)
    }
}

/// A sentence that quotes what was given, however long that is: its beginning and its end.
pub fn shortened(text: String) -> String {
    const BEGINNING: usize = 1000;
    const END: usize = 500;
    let count = text.chars().count();
    if count <= BEGINNING + END {
        return text;
    }
    let beginning = text.chars().take(BEGINNING);
    beginning.chain([' ', '…', ' ']).chain(text.chars().skip(count - END)).collect()
}

/// English, with the line number in front: ``line 7: `use_galore` is …``.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message.en),
            None => f.write_str(&self.message.en),
        }
    }
}

impl std::error::Error for Problem {}
