//! Chat templates as Jinja2 3.1 renders them, in the environment that transformers 5 sets up for them.
//!
//! A prompt that differs in one blank is another prompt, so a template has to be rendered to the character or refused.
//! Jinja's expressions are Python's, and templates lean on that: `'%s' % x`, methods before entries in `x.items`, lists
//! and floats as `repr` writes them, iterators that are used up, errors where Python raises them. minijinja has its own
//! operators, attribute lookup and way to write values, none of which can be replaced from outside, and it has no
//! statements like transformers' `{% generation %}`. So templates are interpreted here, on values that behave as
//! Python's ([`value`]). What is not supported, such as what writes an address in memory or draws lots, is an error
//! that names it and its line.
//!
//! From source to text: [`lexer`], [`parser`], [`ast`], [`interpreter`]; beside it [`filters`], [`checks`] (Jinja's
//! tests), [`operators`], [`attributes`] and the methods of [`strings`].

mod arguments;
mod ast;
mod attributes;
mod budget;
mod checks;
mod collections;
mod date;
mod display;
mod error;
mod filters;
mod format;
mod interpreter;
mod json;
mod lexer;
mod numbers;
mod operators;
mod parser;
mod printf;
mod strings;
mod value;

pub(super) use date::now_as;
pub(crate) use error::JinjaError;
pub(super) use strings::is_printable;
pub(super) use value::is_space;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value as Json;

use self::interpreter::Interpreter;
use self::parser::{Parsed, parse};

/// Bytes of the longest template that is read; those of models have some tens of thousands at most.
const LONGEST: usize = 1 << 20;

/// A template, ready to be rendered.
pub(crate) struct Jinja {
    parsed: Parsed,
}

/// What a template makes of its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// What stands in `{% generation %}`, in characters of the text.
    pub generated: Vec<Range<usize>>,
}

impl Jinja {
    /// # Errors
    /// If `source` is not valid Jinja, or has no end.
    pub(crate) fn new(source: &str) -> Result<Self, JinjaError> {
        if source.len() > LONGEST {
            return Err(JinjaError::new(format!(
                "it has {} bytes; at most {LONGEST} are read",
                source.len()
            )));
        }
        Ok(Self { parsed: parse(source)? })
    }

    /// Whether the template says what of a conversation is generated.
    pub(crate) fn marks_generation(&self) -> bool {
        self.parsed.marks_generation
    }

    /// # Errors
    /// Jinja2's and Python's, what the template itself raises, or that it takes too much of time or memory.
    pub(crate) fn render(&self, variables: &[(&str, &Json)]) -> Result<Rendered, JinjaError> {
        let (values, bytes) = variables.iter().map(|(_, value)| weigh(value)).fold((0, 0), both);
        budget::begin(values, bytes);
        let render = || {
            let context = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            Interpreter::new(&self.parsed.blocks, context).render(&self.parsed.body)
        };
        // Nothing is kept of a rendering that breaks off.
        let rendered = catch_unwind(AssertUnwindSafe(render));
        let broke = |_| Err(JinjaError::new("the interpreter broke on it"));
        let (text, generated) = rendered.unwrap_or_else(broke)?;
        budget::check_text(text.len(), values, bytes)?;
        Ok(Rendered { text, generated })
    }
}

/// How many values there are in one, and the bytes of their texts.
fn weigh(json: &Json) -> (usize, usize) {
    match json {
        Json::String(text) => (1, text.len()),
        Json::Array(items) => items.iter().map(weigh).fold((1, 0), both),
        Json::Object(entries) => {
            entries.iter().map(|(key, value)| both(weigh(value), (0, key.len()))).fold((1, 0), both)
        }
        _ => (1, 0),
    }
}

fn both(one: (usize, usize), other: (usize, usize)) -> (usize, usize) {
    (one.0 + other.0, one.1 + other.1)
}

#[cfg(test)]
mod tests;
