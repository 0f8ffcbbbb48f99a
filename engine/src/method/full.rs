//! Full tuning: every weight trains.

use super::{Loaded, Method, Product, Setup};
use crate::Result;
use crate::model::{Selection, Tuning};
use crate::observer::Observer;
use crate::weights;

pub(super) struct Full;

impl Method for Full {
    fn load(&self, setup: Setup, _observer: &mut Observer) -> Result<Loaded> {
        load_whole(setup, Selection::All)
    }
}

/// Loads a model that is written as a whole, whichever of its weights train.
pub(super) fn load_whole(setup: Setup, selection: Selection) -> Result<Loaded> {
    setup.base.files.check_dense()?;
    let tuning = Tuning { selection, pure_bf16: setup.recipe.trains_narrow(), ..setup.tuning() };
    let Setup { base, template, checkpoint, .. } = setup;
    let files = base.files;
    let decoder = match checkpoint {
        Some(folder) => weights::open(folder, None)?.build(&tuning)?,
        None => files.build(&tuning)?,
    };
    let dtype = files.dtype();
    let config = files.config.values.clone();
    // What it is taught to end with are the template's tokens.
    let generation = files.generation_config(&template.stop_ids(&base.tokenizer));
    Ok(Loaded::new(decoder, base.tokenizer, Product::Model { config, generation, dtype }))
}
