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
pub use error::JinjaError;
pub(super) use strings::is_printable;

use std::ops::Range;

use serde_json::Value as Json;

use self::interpreter::Interpreter;
use self::parser::{Parsed, parse};

/// A template, ready to be rendered.
pub struct Jinja {
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
    /// If `source` is not valid Jinja.
    pub fn new(source: &str) -> Result<Self, JinjaError> {
        Ok(Self { parsed: parse(source)? })
    }

    /// Whether the template says what of a conversation is generated.
    pub fn marks_generation(&self) -> bool {
        self.parsed.marks_generation
    }

    /// # Errors
    /// Jinja2's and Python's, or what the template itself raises.
    pub fn render(&self, variables: &[(&str, &Json)]) -> Result<Rendered, JinjaError> {
        let context = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (text, generated) = Interpreter::new(&self.parsed.blocks, context).render(&self.parsed.body)?;
        Ok(Rendered { text, generated })
    }
}
