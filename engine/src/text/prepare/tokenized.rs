//! Encoded data in a folder of the user's (`tokenized_path`).

use std::path::{Path, PathBuf};

use super::Prepared;
use crate::text::error::{Error, Result};
use crate::text::store::Examples;

fn train(folder: &Path) -> PathBuf {
    folder.join("train.tokens")
}

fn validation(folder: &Path) -> PathBuf {
    folder.join("validation.tokens")
}

/// Whether something is there already.
pub(super) fn is_filled(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Reads what [`save`] wrote.
pub(super) fn open(folder: &Path, log: &mut dyn FnMut(String)) -> Result<Prepared> {
    if !train(folder).exists() {
        let what = if folder.join("dataset_dict.json").exists() { "LLaMA-Factory's" } else { "other" };
        let message = format!(
            "{} holds {what} files, not data that were encoded here; name an empty or a new folder",
            folder.display()
        );
        return Err(Error::Setting { key: "tokenized_path", message });
    }
    let place = folder.display();
    log(format!("Encoded data are read from {place}; other settings of data have no effect."));
    let validation = validation(folder);
    Ok(Prepared {
        train: Examples::open(&train(folder))?,
        eval: if validation.exists() { Examples::open(&validation)? } else { Examples::default() },
    })
}

/// Writes all sequences.
pub(super) fn save(prepared: &Prepared, folder: &Path, log: &mut dyn FnMut(String)) -> Result<()> {
    if !prepared.eval.is_empty() {
        prepared.eval.save(&validation(folder))?;
    }
    // What is read first is written last: a folder that has it is complete.
    prepared.train.save(&train(folder))?;
    log(format!(
        "Encoded data are stored in {}; later runs with this tokenized_path read them.",
        folder.display()
    ));
    Ok(())
}
