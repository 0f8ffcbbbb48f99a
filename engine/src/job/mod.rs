//! What a recipe asks for, from its models and data to the files that are left behind.
//!
//! A kind of job is a file here and an entry in [`JOBS`].

mod evaluate;
mod fetch;
mod setup;
mod train;

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

const JOBS: &[(JobKind, &dyn Job)] =
    &[(JobKind::Train, &train::Train), (JobKind::Evaluate, &evaluate::Evaluate)];

/// Does what the recipe asks for. Blocks until that is done, or the observer stops it: training ends after the current
/// step then, all else at once.
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
    match job.run(recipe, world, observer) {
        Err(Error::Stopped) => Ok(Summary::before_training(Path::new(&recipe.output_dir))),
        ended => ended,
    }
}
