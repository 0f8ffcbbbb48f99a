//! A model's file, or the files it was split into: metadata, and tensors by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use candle_core::Tensor;
use serde_json::{Map, Value};

use super::header::{Header, Info};
use super::split;
use super::types::TensorType;
use crate::quant::BlockType;
use crate::{Error, Result};

/// An open GGUF file, with the other parts of the model where it is one of several.
#[derive(Debug)]
pub struct GgufFile {
    parts: Vec<Part>,
    /// Of the first part, which has all of it.
    metadata: Map<String, Value>,
    /// Each with the part it lies in.
    tensors: HashMap<String, (usize, Info)>,
}

/// One file on disk.
#[derive(Debug)]
pub(super) struct Part {
    pub path: PathBuf,
    pub metadata: Map<String, Value>,
    file: Mutex<File>,
    tensors: HashMap<String, Info>,
    data_start: u64,
    size: u64,
}

/// Where the data start, unless `general.alignment` says otherwise.
const ALIGNMENT: u64 = 32;

impl GgufFile {
    /// Reads the header of a file, and of the others that a split model consists of.
    ///
    /// # Errors
    /// If it is no GGUF file, ends early, or is of a version that is not known; if another part is missing.
    pub fn open(path: &Path) -> Result<GgufFile> {
        let mut parts = split::open(Part::open(path)?)?;
        let metadata = std::mem::take(&mut parts[0].metadata);
        let mut tensors = HashMap::new();
        for (index, part) in parts.iter_mut().enumerate() {
            let infos = std::mem::take(&mut part.tensors);
            tensors.extend(infos.into_iter().map(|(name, info)| (name, (index, info))));
        }
        Ok(GgufFile { parts, metadata, tensors })
    }

    /// The first part's path.
    pub fn path(&self) -> &Path {
        &self.parts[0].path
    }

    /// All metadata. Numbers that JSON cannot hold (infinite, or none) are null.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, slowest dimension first.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, info)| &info.shape[..])
    }

    /// A tensor by its name in the file, dequantised to f32.
    ///
    /// # Errors
    /// If it is missing, stored in a type that cannot be read, or reaches beyond the end of the file.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let shape = self.info(name)?.1.shape.clone();
        let count = shape.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim));
        let count = count.ok_or_else(|| self.wrong(name, format!("has the impossible shape {shape:?}")))?;
        self.elements(name, 0..count, &shape)
    }

    /// Elements of a tensor as a tensor of the given shape, without reading the others.
    ///
    /// # Errors
    /// As for the whole tensor; also if the elements are not whole blocks of its type.
    pub fn elements(&self, name: &str, elements: Range<usize>, shape: &[usize]) -> Result<Tensor> {
        let (kind, bytes) = self.bytes(name, elements)?;
        kind.dequantize(&bytes, shape)
    }

    /// The type of a tensor's blocks; none if it is not made of blocks, or not there.
    pub(super) fn block_type(&self, name: &str) -> Option<BlockType> {
        self.tensors.get(name).and_then(|(_, info)| BlockType::by_id(info.kind))
    }

    /// Bytes of a tensor as it is stored; none if it is not there, or of a type that cannot be read.
    pub(super) fn stored_bytes(&self, name: &str) -> Option<u64> {
        let (_, info) = self.tensors.get(name)?;
        let bytes = TensorType::by_id(info.kind).ok()?.bytes_of(info.shape.iter().product())?;
        Some(bytes as u64)
    }

    /// Elements of a tensor as they are stored.
    ///
    /// # Errors
    /// As those of [`GgufFile::elements`].
    pub(super) fn bytes(&self, name: &str, elements: Range<usize>) -> Result<(TensorType, Vec<u8>)> {
        let (part, info) = self.info(name)?;
        let kind = TensorType::by_id(info.kind).map_err(|message| self.wrong(name, message))?;
        let (Some(before), Some(length)) = (kind.bytes_of(elements.start), kind.bytes_of(elements.len()))
        else {
            let message = format!("of shape {:?} is not made of whole blocks of {kind}", info.shape);
            return Err(self.wrong(name, message));
        };
        let start =
            part.data_start.checked_add(info.offset).and_then(|start| start.checked_add(before as u64));
        let end = start.and_then(|start| start.checked_add(length as u64));
        let (Some(start), true) = (start, end.is_some_and(|end| end <= part.size)) else {
            let message =
                format!("should have {length} bytes, but the file ends before; is it downloaded whole?");
            return Err(self.wrong(name, message));
        };
        Ok((kind, part.read(start, length)?))
    }

    fn info(&self, name: &str) -> Result<(&Part, &Info)> {
        let (part, info) = self
            .tensors
            .get(name)
            .ok_or_else(|| Error::file(self.path(), format!("has no tensor `{name}`")))?;
        Ok((&self.parts[*part], info))
    }

    /// An error about a tensor that names the file it lies in.
    pub(super) fn wrong(&self, name: &str, message: impl std::fmt::Display) -> Error {
        let part = self.tensors.get(name).map_or(0, |(part, _)| *part);
        Error::file(&self.parts[part].path, format!("tensor `{name}` {message}"))
    }
}

impl Part {
    pub(super) fn open(path: &Path) -> Result<Part> {
        let file = crate::files::open(path).map_err(|error| Error::io(path, error))?;
        let size = file.metadata().map_err(|error| Error::io(path, error))?.len();
        let mut header = Header::new(path, &file, size);
        let (metadata, tensors) = header.read()?;
        let alignment = metadata.get("general.alignment").and_then(Value::as_u64).unwrap_or(ALIGNMENT);
        if !alignment.is_power_of_two() {
            let message = format!("metadata `general.alignment` is {alignment}; it must be a power of two");
            return Err(Error::file(path, message));
        }
        let data_start = header.end().next_multiple_of(alignment);
        Ok(Part { path: path.to_owned(), metadata, file: Mutex::new(file), tensors, data_start, size })
    }

    pub(super) fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| Error::io(&self.path, error))?;
        Ok(bytes)
    }
}
