//! What is wrong with a recipe.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Lang;

/// One thing wrong with a recipe: where, and in words what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The argument it belongs to, if to one.
    pub key: Option<String>,
    /// Line in the YAML, from 1, where one is to blame.
    pub line: Option<usize>,
    /// The sentence, in English.
    pub message: String,
    /// The same in Chinese.
    pub message_zh: String,
}

impl Problem {
    /// A problem of one argument.
    pub fn of(key: impl Into<String>, en: impl Into<String>, zh: impl Into<String>) -> Problem {
        Problem { key: Some(key.into()), line: None, message: en.into(), message_zh: zh.into() }
    }

    /// A problem of the text as a whole.
    pub fn general(en: impl Into<String>, zh: impl Into<String>) -> Problem {
        Problem { key: None, line: None, message: en.into(), message_zh: zh.into() }
    }

    #[must_use]
    pub fn at(mut self, line: Option<usize>) -> Problem {
        self.line = line;
        self
    }

    /// The sentence in a language, without the line number.
    pub fn text(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.message,
            Lang::Zh => &self.message_zh,
        }
    }
}

/// English, with the line number in front: ``line 7: `use_galore` is …``.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}
