//! GGUF tensor types, each in a file made around its bytes, and a whole file.

use std::io::Write;
use std::path::Path;

use candle_core::Tensor;
use engine::weights::GgufFile;
use serde_json::Value;

use crate::{Check, close, description, load, say};

pub fn check(path: &Path) -> Check {
    let golden = load(path)?;
    let description = description(path)?;
    match golden.get("file_bytes") {
        Some(bytes) => {
            let file = open(&bytes.to_vec1::<u8>().map_err(say)?)?;
            metadata(&file, &description)?;
            let mut tensors = golden.iter().filter(|(name, _)| *name != "file_bytes");
            tensors.try_for_each(|(name, want)| same(&file, name, want))
        }
        None => {
            let want = golden.get("dequantized").ok_or("the golden file has no `dequantized`")?;
            let bytes = golden.get("bytes").ok_or("the golden file has no `bytes`")?;
            let bytes = bytes.flatten_all().and_then(|bytes| bytes.to_vec1::<u8>()).map_err(say)?;
            let kind = description["type_id"].as_u64().ok_or("the description has no `type_id`")?;
            same(&open(&around(&bytes, kind as u32, want.dims()))?, "weight", want)
        }
    }
}

fn open(bytes: &[u8]) -> Check<GgufFile> {
    let mut file = tempfile::NamedTempFile::with_suffix(".gguf").map_err(say)?;
    file.write_all(bytes).map_err(say)?;
    GgufFile::open(file.path()).map_err(say)
}

fn same(file: &GgufFile, name: &str, want: &Tensor) -> Check {
    close(name, &file.tensor(name).map_err(say)?, want, 0.0)
}

fn metadata(file: &GgufFile, description: &Value) -> Check {
    let wanted = description["metadata"].as_object().ok_or("the description has no `metadata`")?;
    for (key, want) in wanted {
        let got = file.metadata().get(key);
        if got != Some(want) {
            return Err(format!("metadata `{key}` is {got:?}, expected {want}"));
        }
    }
    Ok(())
}

/// A file with one tensor, `weight`, and no metadata.
fn around(bytes: &[u8], kind: u32, dims: &[usize]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend([1u64, 0, 6].map(u64::to_le_bytes).concat());
    file.extend(b"weight");
    file.extend((dims.len() as u32).to_le_bytes());
    dims.iter().rev().for_each(|dim| file.extend((*dim as u64).to_le_bytes()));
    file.extend(kind.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(bytes);
    file
}
