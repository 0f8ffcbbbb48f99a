//! The kinds of values that arguments take.

use crate::text::Text;

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Text,
    /// A file or folder.
    Path,
    Bool,
    Integer,
    Real,
    /// A whole number of steps, or a share of all steps when below 1.
    Steps,
    Choice(&'static [Choice]),
    /// Names: a YAML list, or text with commas.
    List,
    /// Names with a value each: a YAML mapping.
    Settings,
}

/// One value of a [`Kind::Choice`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub value: &'static str,
    pub label: Text,
}
