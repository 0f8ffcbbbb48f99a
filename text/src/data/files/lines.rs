//! Plain text: a row per line.

use serde_json::{Map, Value};

use super::{Body, Source, TextFile};
use crate::error::Result;

pub(super) struct LineSource(TextFile);

impl LineSource {
    pub(super) fn new(text: TextFile) -> Self {
        Self(text)
    }

    fn row(&mut self) -> Result<Option<Body>> {
        let mut line = Vec::new();
        if !self.0.read_line(&mut line)? {
            return Ok(None);
        }
        let ended = line.ends_with(b"\n");
        let line = String::from_utf8(line).map_err(|_| {
            let number = self.0.line - usize::from(ended);
            super::broken(&self.0.path, number, "the text is not UTF-8; save the file as UTF-8")
        })?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        Ok(Some(Body::Values(Map::from_iter([("text".to_owned(), Value::from(line))]))))
    }
}

impl Source for LineSource {
    fn next(&mut self) -> Option<Result<Body>> {
        self.row().transpose()
    }

    fn recovers(&self) -> bool {
        !self.0.lost
    }
}
