//! Training: from a recipe to a trained model on disk.

use std::path::Path;

use recipe::Recipe;

use super::Job;
use super::fetch::fetch;
use super::fit;
use super::setup::{self, Folders, Opened};
use crate::observer::Observer;
use crate::optim::Optimizer;
use crate::train::checkpoint;
use crate::train::resume::{self, Start};
use crate::train::{Summary, Trainer};
use crate::weights::clear_partial;
use crate::world::World;
use crate::{Error, Result};

pub(super) struct Train;

impl Job for Train {
    fn run(&self, recipe: &Recipe, world: &dyn World, observer: &mut Observer) -> Result<Summary> {
        let output = Path::new(&recipe.output_dir);
        if world.writes() {
            clear_partial(output)?;
        }
        world.meet()?;
        let mut start = resume::find(recipe, output, observer)?;
        std::fs::create_dir_all(output).map_err(|error| Error::io(output, error))?;

        let folders = fetch(recipe, observer)?;
        let fitted = fit::fitted(recipe, &folders.model, start.as_ref(), observer);
        let recipe = fitted.as_ref();
        let (start, model) = loop {
            match load(recipe, &folders, start.as_ref(), observer) {
                Ok(model) => break (start, model),
                Err(error) => match start.take() {
                    Some(tried) if error.is_within(&tried.folder) => {
                        start = resume::before(recipe.resume(), output, tried, error, observer)?;
                    }
                    _ => return Err(error),
                },
            }
        };
        let (opened, optimizer) = model;
        let data = setup::prepare(recipe, &opened, world, observer)?;
        if world.any(observer.stops())? {
            return Err(Error::Stopped);
        }
        Trainer::new(recipe, world, opened.loaded, data, optimizer, start)?.run(observer)
    }
}

/// The model with what is trained as the checkpoint has it, and what the optimiser remembers.
fn load(
    recipe: &Recipe,
    folders: &Folders,
    start: Option<&Start>,
    observer: &mut Observer,
) -> Result<(Opened, Optimizer)> {
    let checkpoint = start.map(|start| start.folder.as_path());
    let opened = setup::open(recipe, folders, checkpoint, observer)?;
    let params = opened.loaded.trainable();
    let mut optimizer = Optimizer::of(recipe, &opened.loaded.decoder, &params)?;
    if let Some(Start { folder, state }) = start {
        optimizer.load(&params, &folder.join(checkpoint::OPTIMIZER), state.moves())?;
    }
    Ok((opened, optimizer))
}
