//! Why a template could not be read or rendered.

/// A message in the words of Jinja2 and Python, or of the template itself, and the line it comes from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", line.map(|line| format!(" (line {line})")).unwrap_or_default())]
pub(crate) struct JinjaError {
    pub message: String,
    pub line: Option<usize>,
}

/// Shorthand of this module.
pub(super) type Result<T> = std::result::Result<T, JinjaError>;

impl JinjaError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None }
    }

    /// Names `line`, unless a line further inside is known already.
    pub(super) fn at(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

/// An error for the `?` of functions that return any value.
pub(super) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(JinjaError::new(message))
}
