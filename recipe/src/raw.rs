//! A value as it was typed.

use std::fmt;

/// A value before its type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// `null`, `~` or nothing.
    Null,
    Scalar(String),
    List(Vec<String>),
    /// A mapping of names to plain values.
    Mapping(Vec<(String, String)>),
    /// A list of such mappings.
    Mappings(Vec<Vec<(String, String)>>),
    /// A mapping or a list with further ones in it. No supported argument takes one.
    Nested,
}

impl Raw {
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Raw::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// How a value that holds further values is shown.
pub(crate) const NESTED: &str = "a nested value";

/// As it would be typed.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Null => f.write_str("null"),
            Raw::Scalar(text) if text.is_empty() => f.write_str("\"\""),
            Raw::Scalar(text) => f.write_str(text),
            Raw::List(items) => write!(f, "[{}]", items.join(", ")),
            Raw::Mapping(_) | Raw::Mappings(_) | Raw::Nested => f.write_str(NESTED),
        }
    }
}
