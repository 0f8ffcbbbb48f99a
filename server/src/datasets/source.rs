//! A data set of the data folder, ready to be read.

use std::path::{Path, PathBuf};

use engine::text::data::{Catalog, DataSource, Kind};
use wire::{BoardError, Encoding};

use super::files;
use crate::security::paths;

/// The data set called `name`, whose files are inside the data folder or a hub's cache.
pub(super) fn source(dir: &Path, name: &str) -> Result<DataSource, BoardError> {
    let refused = |e: engine::text::Error| BoardError::Refused(e.to_string());
    let catalog = Catalog::open(dir).map_err(refused)?;
    if !catalog.names().any(|known| known == name) {
        return Err(BoardError::NotFound(name.to_owned()));
    }
    files::find(&catalog, dir, name).map_err(BoardError::Refused)?;
    let source = catalog.look(name).map_err(refused)?;
    if source.info.file().is_some() {
        inside(dir, &source.files)?;
    }
    Ok(source)
}

/// The data set as its rows are taken: for what they hold, or as plain text.
pub(super) fn taken(dir: &Path, name: &str, encoding: &Encoding) -> Result<DataSource, BoardError> {
    let mut source = source(dir, name)?;
    if encoding.plain_text && source.info.check_kind(Kind::Text).is_ok() {
        source.kind = Kind::Text;
    }
    Ok(source)
}

/// Refuses files that are links out of the data folder.
pub(super) fn inside(dir: &Path, files: &[PathBuf]) -> Result<(), BoardError> {
    for file in files {
        paths::resolve(&file.display().to_string(), &[dir])
            .map_err(|e| BoardError::Refused(e.to_string()))?;
    }
    Ok(())
}
