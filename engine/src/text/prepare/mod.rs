//! Everything between a recipe and the sequences it trains on.

mod encoder;
mod sets;
mod streaming;
#[cfg(test)]
mod tests;
mod tokenized;

use std::path::Path;

use recipe::Recipe;

use self::encoder::Encoder;
use self::sets::{Sets, split};
use super::data::Catalog;
use super::encode::{Example, IGNORE_INDEX};
use super::error::{Error, Result};
use super::numpy::LegacyRng;
use super::store::Examples;
use super::template::{Reasoning, Template};
use super::tokenizer::Tokenizer;
use crate::rng::Rng;

/// The data of a run, ready to train on.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// In the order of the files (after a split for validation: in its random order).
    pub train: Examples,
    /// Empty unless the recipe asks for evaluation data.
    pub eval: Examples,
}

/// The stream of the seed that orders epochs.
const EPOCH_STREAM: u64 = 2 << 32;

/// The order of `n` examples in epoch `epoch`.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    Rng::stream(seed, EPOCH_STREAM + epoch).permutation(n)
}

/// The recipe's template, to which `tokenizer` is fitted. Without a name, the tokenizer's own chat template is taken
/// apart, and without one texts stand as they are (`empty`).
///
/// # Errors
/// If the template does not exist or does not go with the recipe.
pub fn prepare_tokenizer(
    recipe: &Recipe,
    tokenizer: &mut Tokenizer,
    log: &mut dyn FnMut(String),
) -> Result<Template> {
    let mut template = match recipe.template.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Template::named(name)?,
        None => match Template::from_chat_template(tokenizer)? {
            Some(template) => {
                log("No template is named; it is read off the tokenizer's own chat template.".into());
                template
            }
            None => Template::named("empty")?,
        },
    };
    if recipe.train_on_prompt && template.efficient_eos {
        return Err(Error::Setting {
            key: "train_on_prompt",
            message: format!(
                "template \"{}\" puts EOS into prompts, so they cannot be trained on",
                template.name
            ),
        });
    }
    if let Some(system) = &recipe.default_system {
        template.default_system.clone_from(system);
    }
    if template.reasoning != Reasoning::None {
        template.enable_thinking = recipe.enable_thinking;
        log(format!(
            "Template \"{}\" is for models that think; for others there may be one ending in \"_nothink\".",
            template.name
        ));
    }
    if let Some((ours, own)) = template.disagreement(tokenizer) {
        log(format!(
            "Template \"{}\" asks a question differently from the model's own chat template: {ours:?} instead of {own:?}.",
            template.name
        ));
    }
    let added = template.fit_tokenizer(tokenizer)?;
    if !added.is_empty() && !recipe.resize_vocab {
        log(format!(
            "The vocabulary lacked {}; set resize_vocab to give the model rows for them.",
            added.join(", ")
        ));
    }
    Ok(template)
}

/// Loads, mixes, splits and encodes the recipe's data sets. `tokenizer` and `template` come from
/// [`prepare_tokenizer`]; `log` gets what a user should know.
///
/// # Errors
/// If a data set, a row or a setting is wrong, or nothing is left to train on.
pub fn prepare(
    recipe: &Recipe,
    tokenizer: &Tokenizer,
    template: &Template,
    log: &mut dyn FnMut(String),
) -> Result<Prepared> {
    let stored = recipe.tokenized_path.as_deref().map(Path::new);
    let encoder = Encoder::new(recipe, tokenizer, template);
    let prepared = match stored {
        Some(folder) if tokenized::is_filled(folder) => tokenized::open(folder, log)?,
        Some(_) if recipe.streaming => {
            let message =
                "data that are streamed are never all encoded, so they cannot be stored; turn streaming off";
            return Err(Error::Setting { key: "tokenized_path", message: message.into() });
        }
        _ if recipe.streaming => streaming::prepare(recipe, &encoder, log)?,
        _ => encode(recipe, &encoder, log)?,
    };
    if let Some(folder) = stored.filter(|folder| !tokenized::is_filled(folder)) {
        tokenized::save(&prepared, folder, log)?;
    }
    if !prepared.train.is_empty() {
        show(tokenizer, &prepared.train.get(0)?, log)?;
    }
    Ok(prepared)
}

/// Everything at once, with an order that may be gone through again and again.
fn encode(recipe: &Recipe, encoder: &Encoder, log: &mut dyn FnMut(String)) -> Result<Prepared> {
    let catalog = Catalog::open(Path::new(&recipe.dataset_dir))?;
    // One generator for all, as NumPy's global one is.
    let mut rng = LegacyRng::new(recipe.seed as u32);
    let sets = Sets::load(recipe, encoder, &catalog, &recipe.dataset, &mut rng, log)?;
    let mut order = sets.order(recipe, "dataset")?;
    let (sets_of_eval, eval) = if recipe.eval_dataset.is_empty() {
        (sets.clone(), split(recipe, &mut order)?)
    } else {
        let sets = Sets::load(recipe, encoder, &catalog, &recipe.eval_dataset, &mut rng, log)?;
        let order = sets.order(recipe, "eval_dataset")?;
        (sets, order)
    };
    Ok(Prepared {
        train: encoder.sequences(&sets, &order, "training", log)?,
        eval: match eval.is_empty() {
            true => Examples::default(),
            false => encoder.sequences(&sets_of_eval, &eval, "evaluation", log)?,
        },
    })
}

/// Logs the first example as the model sees it.
fn show(tokenizer: &Tokenizer, example: &Example, log: &mut dyn FnMut(String)) -> Result<()> {
    let learnt: Vec<u32> = example
        .ids
        .iter()
        .zip(&example.labels)
        .filter(|(_, label)| **label != IGNORE_INDEX)
        .map(|(id, _)| *id)
        .collect();
    log(format!("First example:\n{}", tokenizer.decode(&example.ids, false)?));
    log(format!("What counts in its loss:\n{}", tokenizer.decode(&learnt, false)?));
    Ok(())
}
