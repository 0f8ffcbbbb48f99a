//! Where a run starts: fresh, or from a checkpoint.

use std::path::{Path, PathBuf};

use recipe::{Recipe, Resume};

use super::checkpoint::State;
use super::records::TRAINER_LOG;
use super::tensorboard::TensorBoard;
use crate::method::INITIAL;
use crate::observer::Observer;
use crate::{Error, Result};

/// A checkpoint to go on from.
pub(crate) struct Start {
    pub folder: PathBuf,
    pub state: State,
}

/// Follows LLaMA-Factory: an explicit path or wish wins; else a folder with checkpoints is gone on with, unless it is
/// to be overwritten.
///
/// # Errors
/// If the folder holds something but no checkpoint, or a named checkpoint cannot be used.
pub(crate) fn find(recipe: &Recipe, output: &Path, observer: &mut Observer) -> Result<Option<Start>> {
    match recipe.resume() {
        Resume::From(path) => {
            let folder = PathBuf::from(path);
            let state = State::read(&folder)?;
            Ok(Some(announced(Start { folder, state }, observer)))
        }
        Resume::Newest => match newest(output, observer) {
            Some(start) => Ok(Some(announced(start, observer))),
            None => {
                let message = format!("{} has no checkpoint that can be gone on from", output.display());
                Err(Error::recipe("resume_from_checkpoint", message))
            }
        },
        Resume::Auto if recipe.overwrite_output_dir => {
            let place = output.display();
            let message = match newest(output, observer) {
                Some(Start { folder, .. }) => Some(format!(
                    "Starting afresh, as overwrite_output_dir is true: the checkpoints in {place} go with the first \
                     step; resume_from_checkpoint=true goes on from {} instead.",
                    folder.display()
                )),
                None if checkpoints(output).is_empty() => None,
                None => Some(format!("Starting from step 0: no checkpoint in {place} can be gone on from.")),
            };
            if let Some(message) = message {
                observer.warn(message);
            }
            Ok(None)
        }
        Resume::Auto => {
            let start = newest(output, observer).map(|start| announced(start, observer));
            if start.is_none() && holds_results(output, recipe) {
                let message = format!(
                    "{} already holds results but no checkpoint to go on from; \
                     choose another folder or set overwrite_output_dir: true",
                    output.display()
                );
                return Err(Error::recipe("output_dir", message));
            }
            if start.is_none() && output.join(TRAINER_LOG).exists() {
                let place = output.display();
                let message = format!(
                    "Starting from step 0: an earlier run in {place} ended before its first checkpoint."
                );
                observer.warn(message);
            }
            Ok(start)
        }
    }
}

/// The checkpoint before one that is whole by itself but does not fit the run, which `why` tells. One that was asked
/// for by name has none before it.
///
/// # Errors
/// `why`, if there is no other.
pub(crate) fn before(
    wish: Resume,
    output: &Path,
    start: Start,
    why: Error,
    observer: &mut Observer,
) -> Result<Option<Start>> {
    if matches!(wish, Resume::From(_)) {
        return Err(why);
    }
    pass_over(&why, observer);
    match newest_before(output, start.state.step, observer) {
        Some(older) => Ok(Some(announced(older, observer))),
        None => Err(why),
    }
}

fn announced(start: Start, observer: &mut Observer) -> Start {
    let message = format!("Going on from {} after step {}.", start.folder.display(), start.state.step);
    observer.info(message);
    start
}

/// The newest whole checkpoint; broken ones are passed over with a warning.
fn newest(output: &Path, observer: &mut Observer) -> Option<Start> {
    newest_before(output, u64::MAX, observer)
}

/// The newest one of a step before `end`.
fn newest_before(output: &Path, end: u64, observer: &mut Observer) -> Option<Start> {
    let folders = checkpoints(output);
    for (_, folder) in folders.into_iter().rev().filter(|(step, _)| *step < end) {
        match State::read(&folder) {
            Ok(state) => return Some(Start { folder, state }),
            Err(error) => pass_over(&error, observer),
        }
    }
    None
}

fn pass_over(why: &Error, observer: &mut Observer) {
    let message = format!("Passing over a checkpoint that cannot be gone on from: {why}");
    observer.warn(message);
}

/// Whether an output folder holds a whole checkpoint.
pub fn can_resume(output: &Path) -> bool {
    newest(output, &mut Observer::deaf()).is_some()
}

/// Folders `checkpoint-N`, by N.
pub fn checkpoints(output: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let step = step_of(entry.file_name().to_str()?)?;
            entry.path().is_dir().then(|| (step, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// The N of `checkpoint-N`.
pub(crate) fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("checkpoint-")?.parse().ok()
}

/// Whether something is there beside what a run writes before its first checkpoint.
fn holds_results(output: &Path, recipe: &Recipe) -> bool {
    let entries = std::fs::read_dir(output).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name();
        let is_begun = [TRAINER_LOG, INITIAL].iter().any(|begun| name == *begun);
        let is_log = entry.path() == TensorBoard::folder(recipe.logging_dir.as_deref(), output);
        !is_begun && !is_log && !name.to_string_lossy().starts_with('.')
    })
}

/// Removes what an earlier run would be gone on with: its checkpoints and logs.
pub(crate) fn clear(output: &Path) -> Result<()> {
    for (_, folder) in checkpoints(output) {
        std::fs::remove_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
    }
    for name in [TRAINER_LOG, "trainer_state.json"] {
        let path = output.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path, error)),
            _ => {}
        }
    }
    Ok(())
}
