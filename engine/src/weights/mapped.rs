//! A safetensors file that is read where it lies, and of which memory holds no more than is being read.

use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorView};

use crate::{Error, Result};

/// Bytes of the header's length, which stand before it.
const LENGTH: usize = size_of::<u64>();

/// A memory-mapped file and what its header says.
pub(super) struct Mapped {
    map: Mmap,
    metadata: Metadata,
    /// Where the tensors begin.
    start: usize,
}

impl Mapped {
    /// # Errors
    /// If it cannot be opened, or is no whole safetensors file.
    pub(super) fn open(path: &Path) -> Result<Mapped> {
        let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
        // SAFETY: the file is only read; changing it underneath would give wrong numbers, as with any reader.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, error))?;
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|error| Error::file(path, format!("is not a readable safetensors file: {error}")))?;
        Ok(Mapped { map, metadata, start: LENGTH + header })
    }

    /// Names of all tensors.
    pub(super) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(super) fn view(&self, name: &str) -> Option<TensorView<'_>> {
        let info = self.metadata.info(name)?;
        let (from, to) = info.data_offsets;
        TensorView::new(info.dtype, info.shape.clone(), self.map.get(self.start + from..self.start + to)?)
            .ok()
    }

    /// Gives back the memory of what was read, which is fetched again where it is read again. Else a process that copies
    /// a model's weights holds them twice until it has the last one.
    pub(super) fn release(&self) {
        #[cfg(unix)]
        // SAFETY: pages of a file that is mapped to be read hold nothing that the file does not. Where the system
        // refuses, they stay for as long as they would.
        let _ = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_released_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let header = r#"{"a":{"dtype":"F32","shape":[1024,3],"data_offsets":[0,12288]}}"#;
        let numbers: Vec<u8> = (0..3072u32).flat_map(|n| (n as f32).to_le_bytes()).collect();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(&numbers);
        std::fs::write(&path, &bytes).unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert_eq!(mapped.names(), ["a"]);
        for _ in 0..2 {
            let view = mapped.view("a").unwrap();
            assert_eq!((view.shape(), view.data()), (&[1024, 3][..], &numbers[..]));
            mapped.release();
        }
        assert!(mapped.view("b").is_none());
        std::fs::write(&path, &bytes[..100]).unwrap();
        let error = Mapped::open(&path).err().unwrap().to_string();
        assert!(error.contains("is not a readable safetensors file"), "{error}");
    }
}
