//! What of a model's files decides how much memory its training takes.

use std::fs;
use std::path::{Path, PathBuf};

use recipe::memory::ModelShape;

use super::GgufSource;
use crate::families::{self, Config};

/// Of a folder or a GGUF file, none of whose weights are read; `None` where it holds no model that is known.
pub fn measured(model: &Path) -> Option<ModelShape> {
    if model.is_file() { of_gguf(model) } else { of_folder(model) }
}

fn of_gguf(path: &Path) -> Option<ModelShape> {
    /// Bytes of a token in the files of tokenizers, with its merge.
    const TOKEN: u64 = 64;
    let source = GgufSource::open(path).ok()?;
    let shape = source.spec.memory_shape();
    Some(ModelShape { quantised: source.quantised_bytes(), tokenizer: TOKEN * shape.vocab, ..shape })
}

fn of_folder(folder: &Path) -> Option<ModelShape> {
    let config = families::text_part(Config::read(&folder.join("config.json")).ok()?).ok()?;
    let size = |path: PathBuf| fs::metadata(path).map_or(0, |about| about.len());
    // Packed weights stay as they are.
    let quantised = config.get("quantization_config").map(|_| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).map(size).sum()
    });
    let shape = families::read(&config).ok()?.memory_shape();
    Some(ModelShape { quantised, tokenizer: size(folder.join("tokenizer.json")), ..shape })
}
