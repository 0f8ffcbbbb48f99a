//! The folders Chandler works in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folders, by default in the working directory. What users name in recipes and forms stays inside them.
#[derive(Clone, Debug, clap::Args)]
pub struct Folders {
    /// Folder of models: Hugging Face folders and .gguf files
    #[arg(long, env = "CHANDLER_MODELS_DIR", default_value = "models", value_name = "DIR")]
    pub models_dir: PathBuf,
    /// Folder of datasets, with dataset_info.json
    #[arg(long, env = "CHANDLER_DATA_DIR", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Folder of runs and of the database
    #[arg(long, env = "CHANDLER_RUNS_DIR", default_value = "runs", value_name = "DIR")]
    pub runs_dir: PathBuf,
}

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} as the {what} folder: {source}", path = .path.display())]
pub struct FolderError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Folders {
    /// Makes the folders where they are missing, and resolves them: paths are compared with these.
    pub fn prepare(&self) -> Result<Folders, FolderError> {
        Ok(Folders {
            models_dir: prepare("models", &self.models_dir)?,
            data_dir: prepare("data", &self.data_dir)?,
            runs_dir: prepare("runs", &self.runs_dir)?,
        })
    }
}

fn prepare(what: &'static str, path: &Path) -> Result<PathBuf, FolderError> {
    fs::create_dir_all(path).and_then(|()| path.canonicalize()).map_err(|source| FolderError {
        what,
        path: path.to_owned(),
        source,
    })
}
