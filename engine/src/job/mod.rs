//! What a recipe asks for, from its models and data to the files that are left behind.
//!
//! A kind of job is a file here and an entry in [`JOBS`].

mod evaluate;
mod fetch;
mod fit;
mod predict;
mod setup;
mod spread;
mod train;

pub use spread::check as check_files;

use std::path::Path;

use recipe::{JobKind, Recipe};

use crate::observer::Observer;
use crate::train::Summary;
use crate::world::{Alone, World};
use crate::{Error, Result};

/// A kind of work on a recipe.
trait Job: Sync {
    /// Blocks until the work is done or the observer stops it.
    ///
    /// # Errors
    /// One sentence for the person who started the run; [`Error::Stopped`] where it was stopped with nothing to keep.
    fn run(&self, recipe: &Recipe, world: &dyn World, observer: &mut Observer) -> Result<Summary>;
}

const JOBS: &[(JobKind, &dyn Job)] = &[
    (JobKind::Train, &train::Train),
    (JobKind::Evaluate, &evaluate::Evaluate),
    (JobKind::Predict, &predict::Predict),
];

/// Does what the recipe asks for. Blocks until that is done, or the observer stops it: training ends after the current
/// step then, all else at once.
///
/// ```
/// use std::sync::Arc;
/// use engine::observer::Observer;
/// use recipe::{EventBody, Outcome, Recipe};
///
/// let output = tempfile::tempdir()?;
/// let mut recipe = Recipe::from_yaml(
///     "model_name_or_path: ../models/wick\ndataset_dir: ../data\ndataset: identity\ntemplate: chatml\n\
///      do_train: true\nfinetuning_type: lora\ncutoff_len: 64\nmax_steps: 2\nlogging_steps: 1\noutput_dir: to be set\n",
/// )
/// .map_err(|problems| format!("{problems:?}"))?;
/// recipe.output_dir = output.path().display().to_string();
///
/// let mut losses = Vec::new();
/// let take = |event| {
///     if let EventBody::Point(point) = event {
///         losses.extend(point.metrics.get("loss"));
///     }
/// };
/// let summary = engine::job::run(&recipe, &mut Observer::new(take, Arc::default()))?;
/// assert_eq!((summary.outcome, losses.len()), (Outcome::Finished, 2));
/// assert!(output.path().join("adapter_model.safetensors").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// One sentence for the person who started the run; what is on disk by then stays intact.
pub fn run(recipe: &Recipe, observer: &mut Observer) -> Result<Summary> {
    run_in(&Alone, recipe, observer)
}

/// The same as one of the processes that do it together. Files are written by the first one.
///
/// # Errors
/// As those of [`run`].
pub fn run_in(world: &dyn World, recipe: &Recipe, observer: &mut Observer) -> Result<Summary> {
    let wanted = recipe.job();
    let job =
        JOBS.iter().find(|(kind, _)| *kind == wanted).map(|(_, job)| *job).ok_or_else(|| {
            Error::Training(format!("this engine has no job of the kind `{}`", wanted.name()))
        })?;
    for notice in recipe.notices() {
        observer.warn(notice.to_string());
    }
    for doubt in recipe.doubts() {
        observer.warn(doubt.to_string());
    }
    spread::check(recipe)?;
    match job.run(recipe, world, observer) {
        Err(Error::Stopped) => Ok(Summary::before_training(Path::new(&recipe.output_dir))),
        ended => ended,
    }
}
