//! Models in several files: `NAME-00001-of-00003.gguf` and so on, as llama.cpp's `gguf-split` writes them.
//!
//! The first file has all metadata, each has its own tensors. Names and keys are those of `llama_split_path` and
//! `LLM_KV_SPLIT_*` in llama.cpp.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file::Part;
use crate::{Error, Result};

/// Whether a path is that of a later part of a model, by its name.
pub fn is_later_part(path: &Path) -> bool {
    let numbers = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| {
        let (start, count) = stem.rsplit_once("-of-")?;
        let number = start.rsplit_once('-')?.1;
        Some((number.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
    });
    numbers.is_some_and(|(number, count)| (2..=count).contains(&number))
}

/// All parts of the model that `part` belongs to, in order; itself alone where it is whole.
///
/// # Errors
/// Names the part that is missing or does not belong.
pub(super) fn open(part: Part) -> Result<Vec<Part>> {
    let count = number(&part, "split.count").unwrap_or(1);
    if count <= 1 {
        return Ok(vec![part]);
    }
    let own = number(&part, "split.no").unwrap_or(0);
    let prefix = prefix(&part.path, own, count).ok_or_else(|| {
        let name = file_name("NAME", own, count);
        let message = format!(
            "is part {} of {count} of a model, but is not called {name}, so that the other parts cannot be found; \
             give the parts their names back, or join them with `llama-gguf-split --merge`",
            own + 1
        );
        Error::file(&part.path, message)
    })?;
    let total = number(&part, "split.tensors.count");
    let mut own_part = Some(part);
    let mut parts = Vec::new();
    for index in 0..count {
        match own_part.take_if(|_| index == own) {
            Some(part) => parts.push(part),
            None => parts.push(sibling(&prefix, index, count)?),
        }
    }
    let tensors: usize = parts.iter().map(Part::tensor_count).sum();
    match total {
        Some(total) if total != tensors => {
            let message =
                format!("and the other parts hold {tensors} tensors together; they should hold {total}");
            Err(Error::file(&parts[0].path, message))
        }
        _ => Ok(parts),
    }
}

fn sibling(prefix: &Path, index: usize, count: usize) -> Result<Part> {
    let path = PathBuf::from(file_name(&prefix.to_string_lossy(), index, count));
    if !path.exists() {
        let message = format!("is missing: it is part {} of {count} of the model", index + 1);
        return Err(Error::file(&path, message));
    }
    let part = Part::open(&path)?;
    let (found, of) = (number(&part, "split.no"), number(&part, "split.count"));
    if (found, of) != (Some(index), Some(count)) {
        let show = |number: Option<usize>| number.map_or("none".to_owned(), |number| number.to_string());
        let message = format!(
            "should be part {} of {count} by its name, but its metadata have split.no {} and split.count {}",
            index + 1,
            show(found),
            show(of)
        );
        return Err(Error::file(&path, message));
    }
    Ok(part)
}

fn number(part: &Part, key: &str) -> Option<usize> {
    part.metadata.get(key).and_then(Value::as_u64).map(|number| number as usize)
}

fn file_name(prefix: &str, index: usize, count: usize) -> String {
    format!("{prefix}-{:05}-of-{count:05}.gguf", index + 1)
}

/// What a part's path begins with, if it ends as that of such a part does.
fn prefix(path: &Path, index: usize, count: usize) -> Option<PathBuf> {
    let ending = file_name("", index, count);
    path.to_str()?.strip_suffix(&ending).map(PathBuf::from)
}
