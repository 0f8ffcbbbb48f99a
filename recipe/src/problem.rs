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
        Problem { key: Some(key.into()), ..Problem::general(en, zh) }
    }

    /// A problem of the text as a whole.
    pub fn general(en: impl Into<String>, zh: impl Into<String>) -> Problem {
        Problem { key: None, line: None, message: shortened(en.into()), message_zh: shortened(zh.into()) }
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
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}
