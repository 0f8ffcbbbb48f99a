//! The container: metadata, and where each tensor's bytes lie.
//!
//! Format: `docs/gguf.md` of the ggml project, versions 1 to 3, little-endian.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::types::TensorType;
use crate::{Error, Result};

/// A tensor as the header describes it.
#[derive(Clone, Debug)]
struct Info {
    /// Slowest dimension first.
    shape: Vec<usize>,
    kind: u32,
    /// From the start of the data.
    offset: u64,
}

/// An open GGUF file.
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    file: Mutex<File>,
    metadata: Map<String, Value>,
    tensors: HashMap<String, Info>,
    data_start: u64,
    size: u64,
}

/// Where the data start, unless `general.alignment` says otherwise.
const ALIGNMENT: u64 = 32;
/// More dimensions than any tensor has: the file is broken.
const MAX_DIMS: u32 = 8;

impl GgufFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// If it is no GGUF file, ends early, or is of a version that is not known.
    pub fn open(path: &Path) -> Result<GgufFile> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        let size = file.metadata().map_err(|error| Error::io(path, error))?.len();
        let mut header = Header { path, input: BufReader::new(&file), wide: true, left: size };
        let (metadata, tensors) = header.read()?;
        let end = size - header.left;
        let alignment = metadata.get("general.alignment").and_then(Value::as_u64).unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() {
            let message = format!("metadata `general.alignment` is {alignment}; it must be a power of two");
            return Err(Error::file(path, message));
        }
        let data_start = end.next_multiple_of(alignment);
        Ok(GgufFile { path: path.to_owned(), file: Mutex::new(file), metadata, tensors, data_start, size })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All metadata. Numbers that JSON cannot hold (infinite, or none) are null.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, slowest dimension first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|info| &info.shape[..])
    }

    /// A tensor by its name in the file, dequantised to f32.
    ///
    /// # Errors
    /// If it is missing, stored in a type that cannot be read, or reaches beyond the end of the file.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self
            .tensors
            .get(name)
            .ok_or_else(|| Error::file(&self.path, format!("has no tensor `{name}`")))?;
        let wrong = |message: String| Error::file(&self.path, format!("tensor `{name}` {message}"));
        let kind = TensorType::by_id(info.kind).map_err(wrong)?;
        let count = info.shape.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim));
        let length = count.and_then(|count| kind.bytes_of(count)).ok_or_else(|| {
            wrong(format!("of shape {:?} is not made of whole blocks of {kind}", info.shape))
        })?;
        let start = self.data_start.checked_add(info.offset);
        let end = start.and_then(|start| start.checked_add(length as u64));
        let (Some(start), true) = (start, end.is_some_and(|end| end <= self.size)) else {
            return Err(wrong(format!(
                "should have {length} bytes, but the file ends before; is it downloaded whole?"
            )));
        };
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| Error::io(&self.path, error))?;
        drop(file);
        kind.dequantize(bytes, &info.shape)
    }
}

/// Reads the header front to back; `left` bytes of the file are not read yet.
struct Header<'a> {
    path: &'a Path,
    input: BufReader<&'a File>,
    /// Counts have 64 bits, from version 2 on.
    wide: bool,
    left: u64,
}

impl Header<'_> {
    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::file(self.path, format!("is not a readable GGUF file: {message}"))
    }

    fn read(&mut self) -> Result<(Map<String, Value>, HashMap<String, Info>)> {
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
            infos.insert(name, info);
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
        let values: Result<Vec<Value>> = (0..count).map(|_| self.value(kind)).collect();
        values.map(Value::Array)
    }

    fn text(&mut self) -> Result<String> {
        let length = self.count()?;
        if length > self.left {
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
