//! Comma-separated values: a header, then records, with quotes around cells that hold commas, quotes or line ends.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Body, Source, TextFile};
use crate::error::{Error, Result};

/// Columns of a file, at most: each is in every row.
const COLUMNS: usize = 10_000;

pub(super) struct CsvSource {
    text: TextFile,
    header: Vec<String>,
}

impl CsvSource {
    /// Reads the header.
    pub(super) fn new(mut text: TextFile) -> Result<Self> {
        let Some((mut header, line)) = record(&mut text)? else {
            return Ok(Self { text, header: Vec::new() });
        };
        for (place, name) in header.iter_mut().enumerate() {
            // pandas writes its index without a name.
            if name.is_empty() {
                *name = format!("Unnamed: {place}");
            }
        }
        if header.len() > COLUMNS {
            let message = format!("the header has {} columns; at most {COLUMNS} are read", header.len());
            return Err(super::broken(&text.path, line, message));
        }
        let mut seen = HashSet::new();
        if let Some(name) = header.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(super::broken(
                &text.path,
                line,
                format!("the header has the column \"{name}\" twice"),
            ));
        }
        Ok(Self { text, header })
    }

    fn row(&mut self) -> Result<Option<Body>> {
        let Some((cells, line)) = record(&mut self.text)? else { return Ok(None) };
        if cells.len() != self.header.len() {
            let message =
                format!("the row has {} cells, but the header has {}", cells.len(), self.header.len());
            return Err(super::broken(&self.text.path, line, message));
        }
        let value = |cell: String| if cell.is_empty() { Value::Null } else { Value::String(cell) };
        let row: Map<String, Value> = self.header.iter().cloned().zip(cells.into_iter().map(value)).collect();
        Ok(Some(Body::Values(row)))
    }
}

impl Source for CsvSource {
    fn next(&mut self) -> Option<Result<Body>> {
        self.row().transpose()
    }

    fn recovers(&self) -> bool {
        !self.text.lost
    }
}

/// The cells of the next record that is not blank, and its first line.
fn record(text: &mut TextFile) -> Result<Option<(Vec<String>, usize)>> {
    let mut bytes = Vec::new();
    let mut line = text.line;
    let mut quotes = Quotes::CellStart;
    loop {
        let start = bytes.len();
        if !text.read_line(&mut bytes)? {
            if quotes == Quotes::Inside {
                return Err(super::broken(&text.path, line, "a quote that opens a cell is never closed"));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            break;
        }
        quotes = bytes[start..].iter().fold(quotes, |quotes, byte| quotes.after(*byte));
        if quotes == Quotes::Inside {
            continue;
        }
        if bytes.trim_ascii().is_empty() {
            bytes.clear();
            line = text.line;
            continue;
        }
        break;
    }
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
    let mut records = reader.records();
    let record = records.next().transpose().map_err(|e| csv_error(text, line, &e))?;
    if records.next().is_some() {
        let message = "a line ends in a carriage return alone; save the file with LF or CRLF";
        return Err(super::broken(&text.path, line, message));
    }
    Ok(record.map(|record| (record.iter().map(str::to_owned).collect(), line)))
}

fn csv_error(text: &TextFile, line: usize, error: &csv::Error) -> Error {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => {
            super::broken(&text.path, line, "the text is not UTF-8; save the file as UTF-8")
        }
        _ => super::broken(&text.path, line, format!("not valid CSV: {error}")),
    }
}

/// Where in a record a byte stands, as far as quotes go.
#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    CellStart,
    Bare,
    Inside,
    /// Behind a quote inside quotes: the end of the cell, or the first half of an escaped quote.
    Closing,
}

impl Quotes {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::CellStart | Self::Closing, b'"') => Self::Inside,
            (Self::Inside, b'"') => Self::Closing,
            (Self::Inside, _) => Self::Inside,
            (_, b',' | b'\n') => Self::CellStart,
            _ => Self::Bare,
        }
    }
}
