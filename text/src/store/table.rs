//! Encoded rows of one data set, in memory or in a file.
//!
//! A file is: the mark, the records end to end, where each ends (u64), which record each row is (u32), and a JSON
//! object with the counts, followed by its length (u64). All numbers are little-endian. A record is: the number of
//! ids, the number of packed lengths (highest bit: isolated; the next: unwanted), the ids, the labels, the lengths (u32 each).

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::encode::{Example, Packed};
use crate::error::{Error, Result};

const MARK: &[u8; 8] = b"CHTOKEN1";
/// The record number of a row that was left out.
const LEFT_OUT: u32 = u32::MAX;
const ISOLATED: u32 = 1 << 31;
const UNWANTED: u32 = 1 << 30;
/// The end of the name of a file that is not complete.
const PARTIAL: &str = ".partial";

/// Encoded rows.
pub(crate) struct Table {
    contents: Contents,
    /// Where each record ends.
    ends: Vec<u64>,
    /// The record of each row.
    rows: Vec<u32>,
    largest: Option<u32>,
    /// What was said about rows that were left out.
    pub remarks: Vec<String>,
}

enum Contents {
    Memory(Vec<u8>),
    File(PathBuf, File),
}

/// The counts at the end of a file.
#[derive(Serialize, Deserialize)]
struct Footer {
    records: usize,
    rows: usize,
    largest: Option<u32>,
    remarks: Vec<String>,
}

impl Table {
    /// A table in memory, a record per example.
    pub(crate) fn of(examples: &[Example]) -> Self {
        let mut writer = TableWriter::memory();
        for example in examples {
            writer.note(Some(example));
            if let Sink::Memory(bytes) = &mut writer.sink {
                write_record(bytes, example);
                writer.ends.push(bytes.len() as u64);
            }
        }
        writer.into_memory(Vec::new())
    }

    /// Number of rows, those that were left out among them.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The record of a row; `None` if it was left out.
    pub(crate) fn record(&self, row: usize) -> Option<u32> {
        self.rows.get(row).copied().filter(|record| *record != LEFT_OUT)
    }

    pub(crate) fn largest_id(&self) -> Option<u32> {
        self.largest
    }

    /// Reads a record.
    pub(crate) fn get(&self, record: u32) -> Result<Example> {
        let record = record as usize;
        let start = if record == 0 { 0 } else { self.ends[record - 1] };
        let end = self.ends[record];
        match &self.contents {
            Contents::Memory(bytes) => Ok(read_record(&bytes[start as usize..end as usize])),
            Contents::File(path, file) => {
                let mut bytes = vec![0; (end - start) as usize];
                read_at(file, &mut bytes, start + MARK.len() as u64).map_err(|e| Error::read(path, e))?;
                Ok(read_record(&bytes))
            }
        }
    }

    /// Number of ids of a record.
    pub(crate) fn length(&self, record: u32) -> usize {
        let record = record as usize;
        let start = if record == 0 { 0 } else { self.ends[record - 1] };
        // Records of data sets hold no packed lengths: eight bytes, then eight an id.
        ((self.ends[record] - start) as usize - 8) / 8
    }

    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let broken = || Error::Parse {
            path: path.to_owned(),
            line: 0,
            column: 0,
            message: "is not a complete file of encoded data; delete it, and it will be made again".into(),
        };
        let io = |e| Error::read(path, e);
        let mut file = crate::files::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut mark = [0; 8];
        file.read_exact(&mut mark).map_err(|_| broken())?;
        let tail = file.seek(SeekFrom::Start(length.saturating_sub(8))).map_err(io)?;
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(|_| broken())?;
        let footer_at = tail.checked_sub(u64::from_le_bytes(size)).filter(|at| *at >= 8 && &mark == MARK);
        let footer_at = footer_at.ok_or_else(broken)?;
        let mut footer = vec![0; (tail - footer_at) as usize];
        read_at(&file, &mut footer, footer_at).map_err(io)?;
        let footer: Footer = serde_json::from_slice(&footer).map_err(|_| broken())?;
        let index_at =
            footer_at.checked_sub(footer.records as u64 * 8 + footer.rows as u64 * 4).ok_or_else(broken)?;
        let mut index = vec![0; (footer_at - index_at) as usize];
        read_at(&file, &mut index, index_at).map_err(io)?;
        let (ends, rows) = index.split_at(footer.records * 8);
        let ends: Vec<u64> = ends.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        if ends.last().copied().unwrap_or(0) + 8 != index_at || !ends.is_sorted() {
            return Err(broken());
        }
        Ok(Self {
            contents: Contents::File(path.to_owned(), file),
            ends,
            rows: rows.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect(),
            largest: footer.largest,
            remarks: footer.remarks,
        })
    }
}

/// Builds a [`Table`].
pub(crate) struct TableWriter {
    sink: Sink,
    ends: Vec<u64>,
    rows: Vec<u32>,
    largest: Option<u32>,
}

enum Sink {
    Memory(Vec<u8>),
    /// Beside its place until it is complete.
    File {
        path: PathBuf,
        partial: PathBuf,
        file: BufWriter<File>,
        written: u64,
    },
}

impl TableWriter {
    pub(crate) fn memory() -> Self {
        Self { sink: Sink::Memory(Vec::new()), ends: Vec::new(), rows: Vec::new(), largest: None }
    }

    /// A table in the file `path`, which appears when it is complete.
    pub(crate) fn file(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        }
        Self::at(path, true)
    }

    /// A table in a file without a name, gone with the table.
    pub(crate) fn temporary() -> Result<Self> {
        Self::at(&std::env::temp_dir().join("chandler.tokens"), false)
    }

    fn at(path: &Path, stays: bool) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let partial = path.with_file_name(format!(".{name}.{process}-{number}{PARTIAL}"));
        let io = |e| Error::write(&partial, e);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&partial).map_err(io)?);
        file.write_all(MARK).map_err(io)?;
        let path = if stays { path.to_owned() } else { partial.clone() };
        let sink = Sink::File { path, partial, file, written: 0 };
        Ok(Self { sink, ends: Vec::new(), rows: Vec::new(), largest: None })
    }

    /// Whether a file of this name is one that is, or was, being written.
    pub(crate) fn is_partial(name: &str) -> bool {
        name.starts_with('.') && name.ends_with(PARTIAL)
    }

    /// Adds a row; `None` was left out.
    pub(crate) fn push(&mut self, example: Option<&Example>) -> Result<()> {
        self.note(example);
        let Some(example) = example else { return Ok(()) };
        match &mut self.sink {
            Sink::Memory(bytes) => {
                write_record(bytes, example);
                self.ends.push(bytes.len() as u64);
            }
            Sink::File { partial, file, written, .. } => {
                let mut bytes = Vec::with_capacity(8 + example.ids.len() * 8);
                write_record(&mut bytes, example);
                file.write_all(&bytes).map_err(|e| Error::write(partial, e))?;
                *written += bytes.len() as u64;
                self.ends.push(*written);
            }
        }
        Ok(())
    }

    fn note(&mut self, example: Option<&Example>) {
        self.rows.push(if example.is_some() { self.ends.len() as u32 } else { LEFT_OUT });
        self.largest = self.largest.max(example.and_then(|example| example.ids.iter().max().copied()));
    }

    /// Completes the table.
    pub(crate) fn finish(mut self, remarks: Vec<String>) -> Result<Table> {
        let Sink::File { path, partial, file, .. } = &mut self.sink else {
            return Ok(self.into_memory(remarks));
        };
        let footer =
            Footer { records: self.ends.len(), rows: self.rows.len(), largest: self.largest, remarks };
        let mut write = || -> std::io::Result<()> {
            for end in &self.ends {
                file.write_all(&end.to_le_bytes())?;
            }
            for row in &self.rows {
                file.write_all(&row.to_le_bytes())?;
            }
            let footer = serde_json::to_vec(&footer)?;
            file.write_all(&footer)?;
            file.write_all(&(footer.len() as u64).to_le_bytes())?;
            file.flush()?;
            file.get_ref().sync_all()?;
            std::fs::rename(&*partial, &*path)
        };
        write().map_err(|e| Error::write(path, e))?;
        // A temporary file loses its name when the writer goes, and stays for as long as it is open.
        Table::open(path)
    }

    fn into_memory(mut self, remarks: Vec<String>) -> Table {
        let bytes = if let Sink::Memory(bytes) = &mut self.sink { std::mem::take(bytes) } else { Vec::new() };
        Table {
            contents: Contents::Memory(bytes),
            ends: self.ends,
            rows: self.rows,
            largest: self.largest,
            remarks,
        }
    }
}

/// A file that was never completed goes.
impl Drop for Sink {
    fn drop(&mut self) {
        if let Sink::File { partial, .. } = self {
            // After a completed write the name is gone already.
            let _ = std::fs::remove_file(partial);
        }
    }
}

pub(super) fn write_record(bytes: &mut Vec<u8>, example: &Example) {
    let (lengths, isolated) = match &example.packed {
        Some(packed) => (packed.lengths.as_slice(), if packed.isolated { ISOLATED } else { 0 }),
        None => (&[][..], 0),
    };
    let unwanted = if example.unwanted { UNWANTED } else { 0 };
    let mut number = |number: u32| bytes.extend_from_slice(&number.to_le_bytes());
    number(example.ids.len() as u32);
    number(lengths.len() as u32 | isolated | unwanted);
    example.ids.iter().for_each(|id| number(*id));
    // Ids fit in 31 bits, and the one label that is no id is -100.
    example.labels.iter().for_each(|label| number(*label as i32 as u32));
    lengths.iter().for_each(|length| number(*length as u32));
}

fn read_record(bytes: &[u8]) -> Example {
    let mut numbers = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let (length, packed) = (numbers.next().unwrap_or(0) as usize, numbers.next().unwrap_or(0));
    let ids = numbers.by_ref().take(length).collect();
    let labels = numbers.by_ref().take(length).map(|label| i64::from(label as i32)).collect();
    let lengths: Vec<usize> = numbers.map(|length| length as usize).collect();
    let unwanted = packed & UNWANTED != 0;
    let packed = (packed & !UNWANTED != 0).then_some(Packed { lengths, isolated: packed & ISOLATED != 0 });
    Example { ids, labels, packed, unwanted }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Example> {
        let packed = Packed { lengths: vec![2, 1], isolated: true };
        vec![
            Example::new(vec![1, 2, 3], vec![-100, 2, 3]),
            Example::new(Vec::new(), Vec::new()),
            Example {
                packed: Some(packed),
                unwanted: true,
                ..Example::new(vec![7, 8, 9, 0], vec![7, 8, 9, -100])
            },
        ]
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep/rows.tokens");
        let mut writer = TableWriter::file(&path).expect("a file");
        writer.push(None).expect("a row");
        for example in examples() {
            writer.push(Some(&example)).expect("a row");
        }
        assert!(!path.exists());
        writer.finish(vec!["left out".into()]).expect("complete");
        let table = Table::open(&path).expect("the file");
        assert_eq!((table.rows(), table.record(0), table.record(3)), (4, None, Some(2)));
        let read: Vec<Example> = (0..3).map(|record| table.get(record).expect("a record")).collect();
        assert_eq!(read, examples());
        assert_eq!((table.length(0), table.largest_id()), (3, Some(9)));
        assert_eq!(table.remarks, ["left out"]);
    }

    #[test]
    fn a_temporary_file_has_no_name_once_it_is_complete() {
        let mut writer = TableWriter::temporary().expect("a file");
        for example in examples() {
            writer.push(Some(&example)).expect("a row");
        }
        let Sink::File { partial, .. } = &writer.sink else { panic!("in memory") };
        let partial = partial.clone();
        let table = writer.finish(Vec::new()).expect("complete");
        assert!(!partial.exists());
        assert_eq!(table.get(2).expect("a record"), examples()[2]);
    }

    #[test]
    fn half_a_file_is_refused_and_an_abandoned_one_goes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.tokens");
        let mut writer = TableWriter::file(&path).expect("a file");
        writer.push(Some(&examples()[0])).expect("a row");
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
        let mut writer = TableWriter::file(&path).expect("a file");
        writer.push(Some(&examples()[0])).expect("a row");
        writer.finish(Vec::new()).expect("complete");
        let whole = std::fs::read(&path).expect("the file");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("a shorter file");
            assert!(Table::open(&path).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
