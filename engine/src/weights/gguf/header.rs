//! The header of a file: metadata, and where each tensor's bytes lie.
//!
//! Format: `docs/gguf.md` of the ggml project, versions 1 to 3, little-endian.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A tensor as the header describes it.
#[derive(Clone, Debug)]
pub(super) struct Info {
    /// Slowest dimension first.
    pub shape: Vec<usize>,
    pub kind: u32,
    /// From the start of the data.
    pub offset: u64,
}

/// More dimensions than any tensor has: the file is broken.
const MAX_DIMS: u32 = 8;

/// Values in all lists of the metadata together; vocabularies have some hundred thousand tokens, with a type and a
/// merge each.
const MOST_VALUES: u64 = 8 << 20;
/// Bytes of the longest text.
const LONGEST_TEXT: u64 = 64 << 20;

/// Reads the header front to back; `left` bytes of the file are not read yet.
pub(super) struct Header<'a> {
    path: &'a Path,
    input: BufReader<&'a File>,
    /// Counts have 64 bits, from version 2 on.
    wide: bool,
    size: u64,
    left: u64,
    /// Values in lists so far.
    values: u64,
}

impl<'a> Header<'a> {
    /// Of a file that has `size` bytes.
    pub(super) fn new(path: &'a Path, file: &'a File, size: u64) -> Header<'a> {
        Header { path, input: BufReader::new(file), wide: true, size, left: size, values: 0 }
    }

    /// Where the header ends, once it is read.
    pub(super) fn end(&self) -> u64 {
        self.size - self.left
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::file(self.path, format!("is not a readable GGUF file: {message}"))
    }

    /// All metadata and tensors.
    ///
    /// # Errors
    /// If this is no GGUF file, or one that ends early.
    pub(super) fn read(&mut self) -> Result<(Map<String, Value>, HashMap<String, Info>)> {
        if &self.array::<4>()? != b"GGUF" {
            return Err(self.error("it does not start with the letters GGUF"));
        }
        match self.u32()? {
            1 => self.wide = false,
            2 | 3 => {}
            other if other.swap_bytes() <= 3 => return Err(self.error("it is big-endian")),
            other => return Err(self.error(format!("it has version {other}; 1 to 3 are known"))),
        }
        let (tensors, entries) = (self.count()?, self.count()?);
        let mut metadata = Map::new();
        for _ in 0..entries {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind)?;
            metadata.insert(key, value);
        }
        let mut infos = HashMap::new();
        for _ in 0..tensors {
            let name = self.text()?;
            let info = self.info(&name)?;
            if infos.insert(name.clone(), info).is_some() {
                return Err(self.error(format!("it has the tensor `{name}` twice")));
            }
        }
        Ok((metadata, infos))
    }

    fn info(&mut self, name: &str) -> Result<Info> {
        let dims = self.u32()?;
        if dims > MAX_DIMS {
            return Err(self.error(format!("tensor `{name}` has {dims} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dims {
            shape.push(self.count()? as usize);
        }
        shape.reverse();
        Ok(Info { shape, kind: self.u32()?, offset: u64::from_le_bytes(self.array()?) })
    }

    fn value(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).into(),
            1 => i8::from_le_bytes(self.array()?).into(),
            2 => u16::from_le_bytes(self.array()?).into(),
            3 => i16::from_le_bytes(self.array()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.array()?).into(),
            6 => f64::from(f32::from_le_bytes(self.array()?)).into(),
            7 => (self.array::<1>()?[0] != 0).into(),
            8 => self.text()?.into(),
            9 => self.list()?,
            10 => u64::from_le_bytes(self.array()?).into(),
            11 => i64::from_le_bytes(self.array()?).into(),
            12 => f64::from_le_bytes(self.array()?).into(),
            other => return Err(self.error(format!("a metadata value has the unknown type {other}"))),
        })
    }

    fn list(&mut self) -> Result<Value> {
        let kind = self.u32()?;
        if kind == 9 {
            return Err(self.error("a metadata list holds lists"));
        }
        let count = self.count()?;
        // Every entry takes a byte at least: a larger count is a broken file, not a reason to reserve memory.
        if count > self.left {
            return Err(self.error(format!("a metadata list claims {count} entries")));
        }
        self.values = self.values.saturating_add(count);
        if self.values > MOST_VALUES {
            return Err(
                self.error(format!("its metadata lists have more than {MOST_VALUES} entries together"))
            );
        }
        let values: Result<Vec<Value>> = (0..count).map(|_| self.value(kind)).collect();
        values.map(Value::Array)
    }

    fn text(&mut self) -> Result<String> {
        let length = self.count()?;
        if length > self.left.min(LONGEST_TEXT) {
            return Err(self.error(format!("a text claims {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        // llama.cpp's vocabularies hold bytes that are no text by themselves.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn count(&mut self) -> Result<u64> {
        if self.wide { Ok(u64::from_le_bytes(self.array()?)) } else { self.u32().map(u64::from) }
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| self.error("it ends inside its header; is it downloaded whole?"))?;
        self.input.read_exact(bytes).map_err(|error| Error::io(self.path, error))
    }
}
