//! Encoded data in a folder of the user's (`tokenized_path`).

use std::path::{Path, PathBuf};

use super::{EvalSet, Prepared};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::store::{Examples, TableWriter};

fn train(folder: &Path) -> PathBuf {
    folder.join("train.tokens")
}

/// Data set number `number` to evaluate on; all of them together are number 0.
fn validation(folder: &Path, number: usize) -> PathBuf {
    folder.join(match number {
        0 => "validation.tokens".to_owned(),
        number => format!("validation-{number}.tokens"),
    })
}

/// The names of data sets that are evaluated each by itself, in the order of their numbers.
fn names(folder: &Path) -> PathBuf {
    folder.join("validation.json")
}

/// Whether something is there already. What a run left that was killed while it saved does not count: the next one
/// writes it anew.
pub(super) fn is_filled(folder: &Path) -> bool {
    !entries(folder).all(|path| is_rest(&path))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether a file is one that [`save`] writes before the last.
fn is_rest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_validation =
        name.starts_with("validation") && (name.ends_with(".tokens") || name.ends_with(".json"));
    of_validation || TableWriter::is_partial(&name)
}

/// Reads what [`save`] wrote.
pub(super) fn open(folder: &Path, observer: &mut Observer) -> Result<Prepared> {
    if !train(folder).exists() {
        let what = if folder.join("dataset_dict.json").exists() { "LLaMA-Factory's" } else { "other" };
        let message = format!(
            "{} holds {what} files, not data that were encoded here; name an empty or a new folder",
            folder.display()
        );
        return Err(Error::Setting { key: "tokenized_path", message });
    }
    let place = folder.display();
    observer
        .info(format!("The tokenized dataset is read from {place}; other settings of data have no effect."));
    let mut eval = Vec::new();
    for (number, name) in stored_names(folder)?.into_iter().enumerate() {
        let file = validation(folder, number);
        if name.is_some() || file.exists() {
            eval.push(EvalSet { name, examples: Examples::open(&file)? });
        }
    }
    Ok(Prepared { train: Examples::open(&train(folder))?, eval })
}

/// One without a name where no names are stored.
fn stored_names(folder: &Path) -> Result<Vec<Option<String>>> {
    let path = names(folder);
    if !path.exists() {
        return Ok(vec![None]);
    }
    let text = crate::files::read_text(&path, crate::files::SETTINGS).map_err(|e| Error::read(&path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::Setting {
        key: "tokenized_path",
        message: format!("{} is no list of names: {e}", path.display()),
    })
}

/// Writes all sequences.
pub(super) fn save(prepared: &Prepared, folder: &Path, observer: &mut Observer) -> Result<()> {
    for rest in entries(folder).filter(|path| is_rest(path)) {
        std::fs::remove_file(&rest).map_err(|e| Error::write(&rest, e))?;
    }
    for (number, set) in prepared.eval.iter().enumerate() {
        set.examples.save(&validation(folder, number))?;
    }
    let stored: Vec<&Option<String>> = prepared.eval.iter().map(|set| &set.name).collect();
    if stored.iter().any(|name| name.is_some()) {
        let path = names(folder);
        let text = serde_json::json!(stored).to_string();
        std::fs::write(&path, text).map_err(|e| Error::write(&path, e))?;
    }
    // What is read first is written last: a folder that has it is complete.
    prepared.train.save(&train(folder))?;
    observer.info(format!(
        "The tokenized dataset is stored in {}; later runs with this tokenized_path read them.",
        folder.display()
    ));
    Ok(())
}
