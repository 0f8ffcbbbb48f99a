//! Where a run starts: fresh, or from a checkpoint.

use std::path::{Path, PathBuf};

use recipe::{EventBody, LogLevel, Recipe, Resume};

use super::Sink;
use super::checkpoint::State;
use crate::{Error, Result};

/// A checkpoint to go on from.
pub struct Start {
    pub folder: PathBuf,
    pub state: State,
}

/// Follows LLaMA-Factory: an explicit path or wish wins; else a folder with checkpoints is gone on with, unless it is
/// to be overwritten.
///
/// # Errors
/// If the folder holds something but no checkpoint, or a named checkpoint cannot be used.
pub fn find(recipe: &Recipe, output: &Path, sink: Sink) -> Result<Option<Start>> {
    match recipe.resume() {
        Resume::From(path) => {
            let folder = PathBuf::from(path);
            let state = State::read(&folder)?;
            Ok(Some(Start { folder, state }))
        }
        Resume::Newest => newest(output, sink)?.map(Some).ok_or_else(|| {
            Error::recipe("resume_from_checkpoint", "the output folder has no valid checkpoint")
        }),
        Resume::Auto if recipe.overwrite_output_dir => {
            clear(output)?;
            Ok(None)
        }
        Resume::Auto => {
            let start = newest(output, sink)?;
            if start.is_none() && holds_results(output) {
                let message = format!(
                    "{} already holds results but no checkpoint to go on from; \
                     choose another folder or set overwrite_output_dir: true",
                    output.display()
                );
                return Err(Error::recipe("output_dir", message));
            }
            Ok(start)
        }
    }
}

/// The newest checkpoint that can be read; broken ones are passed over with a warning.
fn newest(output: &Path, sink: Sink) -> Result<Option<Start>> {
    let mut folders = checkpoints(output);
    folders.reverse();
    for (_, folder) in folders {
        match State::read(&folder) {
            Ok(state) => {
                let message = format!("Going on from {} after step {}.", folder.display(), state.step);
                sink(EventBody::Log { level: LogLevel::Info, message });
                return Ok(Some(Start { folder, state }));
            }
            Err(error) => {
                let message = format!("Passing over a checkpoint that cannot be gone on from: {error}");
                sink(EventBody::Log { level: LogLevel::Warning, message });
            }
        }
    }
    Ok(None)
}

/// Folders `checkpoint-N`, by N.
pub fn checkpoints(output: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let step = name.to_str()?.strip_prefix("checkpoint-")?.parse().ok()?;
            entry.path().is_dir().then(|| (step, entry.path()))
        })
        .collect();
    found.sort();
    found
}

fn holds_results(output: &Path) -> bool {
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
}

/// Removes what an earlier run would be gone on with: its checkpoints and logs.
fn clear(output: &Path) -> Result<()> {
    for (_, folder) in checkpoints(output) {
        std::fs::remove_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
    }
    for name in ["trainer_log.jsonl", "trainer_state.json"] {
        let path = output.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path, error)),
            _ => {}
        }
    }
    Ok(())
}
