//! Files of rows, read one row at a time: memory does not grow with the file.
//!
//! | ending | rows |
//! |---|---|
//! | `.json` | a list of objects, or objects one after the other; `NaN` and `Infinity`, as Python writes them, are null |
//! | `.jsonl` | one object a line, with the same words |
//! | `.csv` | a header, then one row a record; an empty cell is null |
//! | `.txt` | one row a line, in the column `text` |
//! | `.parquet` | row group by row group |
//! | `.arrow` | batch by batch, of Arrow's file and its stream format |
//!
//! The text kinds may be compressed: `.jsonl.gz`. Text is UTF-8, with or without a byte-order mark; lines end in LF or
//! CRLF. Nothing is guessed: a file whose contents are not of the kind its name promises is refused by name.

mod columnar;
mod csv;
mod json;
mod lines;
mod object;

pub use columnar::parquet_rows;
pub(super) use object::{NULLS, UniqueKeys, has_twice};

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

use super::wrong;
use crate::error::{Error, Result};

/// The largest row that is read, in bytes: what is longer is a broken file, and would not fit in memory with others.
pub const LARGEST_ROW: usize = 64 << 20;

/// A row as it stands in its file. Reading it is cheap; [`RawRow::values`] does the work, on whichever thread.
#[derive(Clone, Debug)]
pub struct RawRow {
    /// The file.
    pub path: Arc<PathBuf>,
    /// Counted from 1 in its file.
    pub number: usize,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// JSON, and the line and column it starts at.
    Json(Vec<u8>, usize, usize),
    Values(Map<String, Value>),
}

impl RawRow {
    /// The columns of the row.
    ///
    /// # Errors
    /// If the row is no JSON object, has a key twice, or is not UTF-8.
    pub fn values(self) -> Result<Map<String, Value>> {
        Ok(self.parsed()?.0)
    }

    /// The columns, and whether a `NaN` or the like became null.
    pub(super) fn parsed(self) -> Result<(Map<String, Value>, bool)> {
        match self.body {
            Body::Values(values) => Ok((values, false)),
            Body::Json(bytes, line, column) => object::parse(&self.path, self.number, &bytes, (line, column)),
        }
    }

    /// About how many bytes the row takes.
    pub(crate) fn size(&self) -> usize {
        let text = |value: &Value| value.as_str().map_or(64, str::len);
        match &self.body {
            Body::Json(bytes, ..) => bytes.len(),
            Body::Values(values) => values.values().map(text).sum(),
        }
    }

    /// The row as text: JSON as it stands in the file.
    pub fn text(&self) -> String {
        match &self.body {
            Body::Values(values) => Value::Object(values.clone()).to_string(),
            Body::Json(bytes, ..) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// Rows of one open file.
trait Source: Send {
    /// The next row's contents; `None` at the end.
    fn next(&mut self) -> Option<Result<Body>>;

    /// Whether rows after one that could not be read still make sense.
    fn recovers(&self) -> bool {
        false
    }
}

/// The rows of a file, or of every file of a list, in order.
///
/// After an error the rows that follow are read on where lines keep them apart, and not at all elsewhere.
pub struct Rows {
    files: std::iter::Enumerate<std::vec::IntoIter<PathBuf>>,
    fetch: Option<Fetch>,
    open: Option<OpenFile>,
    ended: bool,
}

/// Sees to it that file number so and so is there, from 0.
type Fetch = Box<dyn Fn(usize) -> Result<()> + Send>;

struct OpenFile {
    path: Arc<PathBuf>,
    source: Box<dyn Source>,
    read: usize,
}

impl Rows {
    /// Rows of `files`, one file after the other.
    pub fn of(files: Vec<PathBuf>) -> Self {
        Self { files: files.into_iter().enumerate(), fetch: None, open: None, ended: false }
    }

    /// The same of files that `fetch` sees to when their turn comes.
    pub(super) fn fetched(files: Vec<PathBuf>, fetch: impl Fn(usize) -> Result<()> + Send + 'static) -> Self {
        Self { fetch: Some(Box::new(fetch)), ..Self::of(files) }
    }

    fn advance(&mut self) -> Option<Result<RawRow>> {
        loop {
            if self.open.is_none() {
                let (place, path) = self.files.next()?;
                let fetched = self.fetch.as_ref().map_or(Ok(()), |fetch| fetch(place));
                self.open = match fetched.and_then(|()| open(&path)) {
                    Ok(source) => Some(OpenFile { path: Arc::new(path), source, read: 0 }),
                    Err(error) => {
                        self.ended = true;
                        return Some(Err(error));
                    }
                };
            }
            let Some(file) = &mut self.open else { return None };
            match file.source.next() {
                Some(Ok(body)) => {
                    file.read += 1;
                    return Some(Ok(RawRow { path: Arc::clone(&file.path), number: file.read, body }));
                }
                Some(Err(error)) => {
                    file.read += 1;
                    self.ended = !file.source.recovers();
                    return Some(Err(at_row(error, file.read)));
                }
                None if file.read == 0 => {
                    let error = broken(&file.path, 0, "is empty");
                    self.open = None;
                    return Some(Err(error));
                }
                None => self.open = None,
            }
        }
    }
}

/// Says which row of its file an error is about.
fn at_row(error: Error, row: usize) -> Error {
    match error {
        Error::Parse { path, line, column, message } => {
            Error::Parse { path, line, column, message: format!("row {row}: {message}") }
        }
        other => other,
    }
}

impl Iterator for Rows {
    type Item = Result<RawRow>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended { None } else { self.advance() }
    }
}

/// The files that an entry's path stands for.
///
/// # Errors
/// If nothing is there, or a folder's files are of several kinds.
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        crate::files::check(path).map_err(|e| Error::read(path, e))?;
        kind_of(path)?;
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::read(path, e))? {
        let file = entry.map_err(|e| Error::read(path, e))?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if file.is_file() && !hidden {
            files.push(file);
        }
    }
    files.sort();
    let Some(first) = files.first() else { return Err(broken(path, 0, "the folder is empty")) };
    let kind = kind_of(first)?;
    for other in &files[1..] {
        if kind_of(other)?.0 != kind.0 {
            let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
            let message =
                format!("a folder must hold files of one kind, but has {} and {}", name(first), name(other));
            return Err(broken(path, 0, message));
        }
    }
    Ok(files)
}

/// What a file's name says about its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Csv,
    Text,
    Parquet,
    Arrow,
}

/// Whether files of this name are read.
pub fn is_data_file(path: &Path) -> bool {
    kind_of(path).is_ok()
}

/// The kind, and whether the file is compressed with gzip.
fn kind_of(path: &Path) -> Result<(Kind, bool)> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let (plain, gzip) = match name.strip_suffix(".gz") {
        Some(plain) => (plain, true),
        None => (name.as_str(), false),
    };
    let ending = Path::new(plain).extension().map(|ending| ending.to_string_lossy()).unwrap_or_default();
    let kind = match ending.as_ref() {
        "json" | "jsonl" => Kind::Json,
        "csv" => Kind::Csv,
        "txt" => Kind::Text,
        "parquet" if !gzip => Kind::Parquet,
        "arrow" if !gzip => Kind::Arrow,
        other => {
            let ending = match (other, gzip) {
                ("", false) => "files whose names have no ending".to_owned(),
                (other, false) => format!("files ending in \".{other}\""),
                (other, true) => format!("files ending in \".{other}.gz\""),
            };
            let message = format!(
                "{ending} are not read; use .json, .jsonl, .csv, .txt (each also with .gz), .parquet or .arrow"
            );
            return Err(broken(path, 0, message));
        }
    };
    Ok((kind, gzip))
}

fn open(path: &Path) -> Result<Box<dyn Source>> {
    let (kind, gzip) = kind_of(path)?;
    let file = crate::files::open(path).map_err(|e| Error::read(path, e))?;
    match kind {
        Kind::Parquet => return columnar::parquet(path, file),
        Kind::Arrow => return columnar::arrow(path, file),
        Kind::Json | Kind::Csv | Kind::Text => {}
    }
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader.fill_buf().map_err(|e| Error::read(path, e))?;
    let is_gzip = start.starts_with(b"\x1f\x8b");
    let reader: Box<dyn BufRead + Send> = match (gzip, is_gzip) {
        (true, true) => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader))),
        (false, false) => Box::new(reader),
        (true, false) if start.is_empty() => Box::new(reader),
        (true, false) => {
            return Err(broken(
                path,
                0,
                "is not compressed with gzip, though its name ends in .gz; rename it",
            ));
        }
        (false, true) => {
            return Err(broken(
                path,
                0,
                "is compressed with gzip, but its name does not end in .gz; rename it",
            ));
        }
    };
    let mut text = TextFile::new(path, reader)?;
    text.skip_mark()?;
    Ok(match kind {
        Kind::Json => Box::new(json::JsonSource::new(text)),
        Kind::Csv => Box::new(csv::CsvSource::new(text)?),
        _ => Box::new(lines::LineSource::new(text)),
    })
}

/// A file of text, with the place in it.
struct TextFile {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    /// Of the byte that is read next, counted from 1.
    line: usize,
    column: usize,
    /// Nobody knows where the next row begins: one was too long, or could not be read.
    lost: bool,
}

impl TextFile {
    /// Refuses what is surely not text, by its first bytes.
    fn new(path: &Path, mut reader: Box<dyn BufRead + Send>) -> Result<Self> {
        let start = reader.fill_buf().map_err(|e| unreadable(path, e))?;
        let what = match start {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16 text; save it as UTF-8",
            [b'P', b'A', b'R', b'1', ..] => "a Parquet file; name it .parquet",
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => "an Arrow file; name it .arrow",
            [b'P', b'K', 3, 4, ..] => "a zip archive; unpack it",
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed with zstd; unpack it",
            [0x1f, 0x8b, ..] => "compressed with gzip twice; unpack it once",
            _ => return Ok(Self { path: path.to_owned(), reader, line: 1, column: 1, lost: false }),
        };
        Err(broken(path, 0, format!("the contents are {what}")))
    }

    /// Passes over a byte-order mark.
    fn skip_mark(&mut self) -> Result<()> {
        if self.buffer()?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        Ok(())
    }

    fn buffer(&mut self) -> Result<&[u8]> {
        let (path, lost) = (&self.path, &mut self.lost);
        self.reader.fill_buf().map_err(|e| {
            *lost = true;
            unreadable(path, e)
        })
    }

    /// Reads up to and with the next line feed into `row`; false at the end of the file.
    fn read_line(&mut self, row: &mut Vec<u8>) -> Result<bool> {
        let limit = (LARGEST_ROW + 1).saturating_sub(row.len()) as u64;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', row);
        self.lost = read.is_err() || row.len() > LARGEST_ROW;
        let read = read.map_err(|e| unreadable(&self.path, e))?;
        if self.lost {
            return Err(self.too_long());
        }
        self.line += usize::from(row.ends_with(b"\n") && read > 0);
        Ok(read > 0)
    }

    fn too_long(&self) -> Error {
        self.error(format!("the row is longer than {} MiB, which no row should be", LARGEST_ROW >> 20))
    }

    /// An error in the current line.
    fn error(&self, message: impl Into<String>) -> Error {
        broken(&self.path, self.line, message)
    }
}

/// A read that failed: with gzip, also contents that are broken.
fn unreadable(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.kind() {
        InvalidData | InvalidInput | UnexpectedEof => {
            broken(path, 0, format!("the compressed contents are broken or cut off: {error}"))
        }
        _ => Error::read(path, error),
    }
}

fn broken(path: &Path, line: usize, message: impl Into<String>) -> Error {
    Error::Parse { path: path.to_owned(), line, column: 0, message: message.into() }
}
