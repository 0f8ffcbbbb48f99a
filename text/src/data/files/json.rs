//! JSON: a list of objects, objects one after the other, or one a line. The text of a row is cut out of the file
//! without being read as JSON, so that rows can be parsed on all cores.

use super::{Body, LARGEST_ROW, Source, TextFile};
use crate::error::Result;

pub(super) struct JsonSource {
    text: TextFile,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    /// In a list, before its first row.
    ListStart,
    /// In a list, behind a row.
    ListBehindRow,
    /// One row a line.
    Lines,
    /// Rows over several lines, one after the other.
    Loose,
    End,
}

impl JsonSource {
    pub(super) fn new(text: TextFile) -> Self {
        Self { text, state: State::Start }
    }

    fn row(&mut self) -> Result<Option<Body>> {
        if self.state == State::Start {
            self.state = match self.peek()? {
                None => State::End,
                Some(b'[') => {
                    self.skip(1);
                    State::ListStart
                }
                Some(_) => State::Lines,
            };
            if self.state == State::Lines {
                return self.first_line();
            }
        }
        match self.state {
            State::ListStart | State::ListBehindRow => self.list_item(),
            State::Lines => self.line(),
            State::Loose => match self.peek()? {
                None => Ok(None),
                Some(_) => self.value().map(Some),
            },
            State::Start | State::End => Ok(None),
        }
    }

    fn list_item(&mut self) -> Result<Option<Body>> {
        let behind_row = self.state == State::ListBehindRow;
        let cut_off = "the file ends inside its list; it was cut off";
        match self.peek()? {
            None => return Err(self.text.error(cut_off)),
            Some(b']') => {
                self.skip(1);
                self.state = State::End;
                return match self.peek()? {
                    None => Ok(None),
                    Some(_) => Err(self.text.error("not valid JSON: more follows behind the list")),
                };
            }
            Some(b',') if behind_row => {
                self.skip(1);
                match self.peek()? {
                    Some(b']') => return Err(self.place("not valid JSON: trailing comma")),
                    Some(b',') => return Err(self.place("not valid JSON: expected a row, not `,`")),
                    None => return Err(self.text.error(cut_off)),
                    Some(_) => {}
                }
            }
            Some(_) if behind_row => {
                return Err(self.place("not valid JSON: expected `,` or `]` behind a row"));
            }
            Some(b',') => return Err(self.place("not valid JSON: expected a row, not `,`")),
            Some(_) => {}
        }
        self.state = State::ListBehindRow;
        self.value().map(Some)
    }

    /// Decides by the first row whether rows stand on a line each.
    fn first_line(&mut self) -> Result<Option<Body>> {
        let (line, column) = (self.text.line, self.text.column);
        let mut row = Vec::new();
        self.text.read_line(&mut row)?;
        self.text.column = 1;
        let mut ends = Ends::default();
        let end = row.iter().position(|byte| ends.at(*byte));
        if end.is_some() || !row.starts_with(b"{") {
            return Ok(Some(Body::Json(trimmed(row), line, column)));
        }
        self.state = State::Loose;
        self.rest(row, ends, line, column).map(Some)
    }

    fn line(&mut self) -> Result<Option<Body>> {
        loop {
            let mut row = Vec::new();
            let line = self.text.line;
            self.text.read_line(&mut row)?;
            if row.is_empty() {
                return Ok(None);
            }
            let row = trimmed(row);
            if !row.is_empty() {
                return Ok(Some(Body::Json(row, line, 1)));
            }
        }
    }

    /// A value, which starts at the next byte.
    fn value(&mut self) -> Result<Body> {
        let (line, column) = (self.text.line, self.text.column);
        self.rest(Vec::new(), Ends::default(), line, column)
    }

    /// Reads on until the value ends that `row` begins with.
    fn rest(&mut self, mut row: Vec<u8>, mut ends: Ends, line: usize, column: usize) -> Result<Body> {
        loop {
            let buffer = self.text.buffer()?;
            if buffer.is_empty() {
                // What is missing is said when the row is parsed.
                return Ok(Body::Json(row, line, column));
            }
            let end = buffer.iter().position(|byte| ends.at(*byte));
            let taken = end.map_or(buffer.len(), |end| end + usize::from(!ends.before));
            row.extend_from_slice(&buffer[..taken]);
            self.skip(taken);
            if end.is_some() {
                return Ok(Body::Json(trimmed(row), line, column));
            }
            if row.len() > LARGEST_ROW {
                return Err(self.text.too_long());
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.text.buffer()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(place) => {
                    let byte = buffer[place];
                    self.skip(place);
                    return Ok(Some(byte));
                }
                None => {
                    let length = buffer.len();
                    self.skip(length);
                }
            }
        }
    }

    /// Consumes `count` bytes of the buffer and keeps count of the place.
    fn skip(&mut self, count: usize) {
        let (mut lines, mut column) = (0, self.text.column);
        if let Ok(buffer) = self.text.buffer() {
            let passed = &buffer[..count.min(buffer.len())];
            match passed.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => {
                    lines = passed[..=last].iter().filter(|byte| **byte == b'\n').count();
                    column = passed.len() - last;
                }
                None => column += passed.len(),
            }
        }
        self.text.reader.consume(count);
        self.text.line += lines;
        self.text.column = column;
    }

    fn place(&self, message: &str) -> crate::Error {
        crate::Error::Parse {
            path: self.text.path.clone(),
            line: self.text.line,
            column: self.text.column,
            message: message.into(),
        }
    }
}

impl Source for JsonSource {
    fn next(&mut self) -> Option<Result<Body>> {
        self.row().transpose()
    }

    fn recovers(&self) -> bool {
        self.state == State::Lines && !self.text.lost
    }
}

fn trimmed(mut row: Vec<u8>) -> Vec<u8> {
    row.truncate(row.trim_ascii_end().len());
    let start = row.len() - row.trim_ascii_start().len();
    row.drain(..start);
    row
}

/// Finds the end of a JSON value by its brackets and quotes.
#[derive(Default)]
struct Ends {
    depth: usize,
    in_text: bool,
    escaped: bool,
    started: bool,
    /// The byte that ended the value is not part of it.
    before: bool,
}

impl Ends {
    /// Takes a byte; true if the value ends with it, or before it (`before`).
    fn at(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_text = false;
                    return self.depth == 0;
                }
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            b',' | b'}' | b']' if self.depth == 0 => {
                // What starts with one of them is no value; the parser will say so.
                self.before = self.started;
                return true;
            }
            _ if self.depth == 0 && self.started && byte.is_ascii_whitespace() => {
                self.before = true;
                return true;
            }
            _ => {}
        }
        self.started |= !byte.is_ascii_whitespace();
        false
    }
}
