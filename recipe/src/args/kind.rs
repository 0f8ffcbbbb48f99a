//! The kinds of values that arguments take.

use crate::text::Text;

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// One line of text.
    Text,
    /// A file or folder.
    Path,
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// Any finite number.
    Real,
    /// A whole number of steps, or a share of all steps when below 1.
    Steps,
    /// One of these values.
    Choice(&'static [Choice]),
    /// Names: a YAML list, or text with commas.
    List,
    /// Names with a value each: a YAML mapping.
    Settings,
    /// Several such mappings: a YAML list of them.
    Rules,
}

/// One value of a [`Kind::Choice`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// How it is written in YAML.
    pub value: &'static str,
    /// What the form calls it.
    pub label: Text,
}
