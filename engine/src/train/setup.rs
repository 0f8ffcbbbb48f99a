//! Loads what is trained.

use std::path::Path;

use recipe::Recipe;

use crate::device;
use crate::method::{self, Base, Loaded, Setup};
use crate::text::{Prepared, Template};
use crate::weights;
use crate::{Error, Result};

/// Opens the recipe's model, which is at `folder`, its positions stretched where that is asked for.
pub fn open(recipe: &Recipe, folder: &Path, log: &mut dyn FnMut(String)) -> Result<Base> {
    let device = device::choose(recipe.use_cpu, log);
    if !device.is_cpu() {
        log(format!("training on {}", device::describe(&device)));
    }
    let mut files = weights::open(folder, recipe.train_from_scratch.then_some(recipe.seed))?;
    if let Some(kind) = recipe.rope_scaling {
        log(match files.stretch_positions(kind, recipe.cutoff_len)? {
            Some(factor) => format!("rotary positions are stretched {factor} times ({})", kind.name()),
            None => format!(
                "rope_scaling is not needed: the model reads {} tokens, cutoff_len is {}",
                files.spec.max_positions, recipe.cutoff_len
            ),
        });
    }
    Ok(Base { tokenizer: files.tokenizer()?, files, device })
}

/// Loads model and adapters; trained weights come from `checkpoint` when a run goes on. The tokenizer has
/// the template's tokens by now.
pub fn load(
    recipe: &Recipe,
    mut base: Base,
    template: &Template,
    checkpoint: Option<&Path>,
    log: &mut dyn FnMut(String),
) -> Result<Loaded> {
    let mut has_grown = false;
    if recipe.resize_vocab
        && let Some(rows) = base.files.grow_vocabulary(base.tokenizer.vocab_size(), recipe.seed)?
    {
        log(format!("the vocabulary has grown to {rows} rows"));
        has_grown = true;
    }
    if recipe.neftune_noise_alpha.is_some() && base.files.spec.embedding.scale != 1.0 {
        let message = "is not supported for models that scale their embeddings; remove it";
        return Err(Error::recipe("neftune_noise_alpha", message));
    }
    method::of(recipe)?.load(Setup { recipe, base, template, checkpoint, has_grown }, log)
}

/// Token ids beyond the model's table would read outside of it.
pub fn check_vocabulary(loaded: &Loaded, data: &Prepared) -> Result<()> {
    let vocab = loaded.decoder.spec.vocab;
    let of_eval = data.eval.iter().filter_map(|set| set.examples.largest_id()).max();
    match data.train.largest_id().max(of_eval) {
        Some(id) if id as usize >= vocab => {
            let token = loaded.tokenizer.id_to_token(id).unwrap_or_default();
            let message = format!(
                "the data need token {id} (`{token}`), but the model's table has {vocab} rows; set \
                 `resize_vocab: true` to give it more, or choose a template whose tokens the model has"
            );
            Err(Error::recipe("resize_vocab", message))
        }
        _ => Ok(()),
    }
}
