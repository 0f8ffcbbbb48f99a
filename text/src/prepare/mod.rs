//! Everything between a recipe and the sequences it trains on.

mod encoder;
mod new_tokens;
mod remark;
mod sets;
mod streaming;
#[cfg(test)]
mod tests;
mod tokenized;

use std::ops::ControlFlow;
use std::path::Path;

use recipe::{JobKind, Recipe, Stage};

use self::encoder::Encoder;
pub use self::new_tokens::{NewRow, new_rows};
pub use self::remark::Remark;
use self::sets::{Sets, split};
use super::data::Catalog;
use super::encode::{Example, IGNORE_INDEX};
use super::error::{Error, Result};
use super::numpy::LegacyRng;
use super::store::Examples;
use super::template::{Reasoning, Template};
use super::tokenizer::Tokenizer;
use crate::data::Kind;
use crate::hub::{Hubs, Watch};
use crate::observer::Observer;
use crate::rng::Rng;

/// The data of a run, ready to train on.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// In the order of the files (after a split for validation: in its random order).
    pub train: Examples,
    /// None unless the recipe asks for evaluation data.
    pub eval: Vec<EvalSet>,
}

/// What is evaluated on, together.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// The data set, where each is evaluated by itself (`eval_on_each_dataset`).
    pub name: Option<String>,
    pub examples: Examples,
}

impl EvalSet {
    /// The whole of the evaluation data; none if that is empty.
    fn whole(examples: Examples) -> Vec<EvalSet> {
        if examples.is_empty() { Vec::new() } else { vec![EvalSet { name: None, examples }] }
    }
}

/// The stream of the seed that orders epochs.
const EPOCH_STREAM: u64 = 2 << 32;

/// The order of `n` examples in epoch `epoch`.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    Rng::stream(seed, EPOCH_STREAM + epoch).permutation(n)
}

/// The recipe's template, to which `tokenizer` is fitted. Without a name, the tokenizer's own chat template is taken
/// apart, or writes the conversations itself if it marks what counts in the loss, and without one texts stand as they
/// are (`empty`), as plain text always does. The remarks are what a user should know.
///
/// # Errors
/// If the template does not exist or does not go with the recipe.
pub fn prepare_tokenizer(recipe: &Recipe, tokenizer: &mut Tokenizer) -> Result<(Template, Vec<Remark>)> {
    let mut remarks = Vec::new();
    tokenizer.add_tokens(&recipe.add_tokens, false)?;
    let described = new_tokens::described(recipe)?.into_iter().map(|(token, _)| token).collect::<Vec<_>>();
    let special = if described.is_empty() { &recipe.add_special_tokens } else { &described };
    tokenizer.add_tokens(special, true)?;
    let mut template = match recipe.template.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => Template::named(name)?,
        None if recipe.stage == Stage::Pt => Template::named("empty")?,
        None => match Template::from_chat_template(tokenizer)? {
            Some(template) => {
                let is_marked = template.marked.is_some();
                remarks.push(if is_marked { Remark::MarkedTemplate } else { Remark::OwnTemplate });
                template
            }
            None => {
                remarks.push(Remark::NoTemplate);
                Template::named("empty")?
            }
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
    if let Some(format) = recipe.tool_format {
        template.use_tool_format(format.name())?;
    }
    if let Some(system) = &recipe.default_system {
        template.default_system.clone_from(system);
    }
    if template.marked.is_some() {
        template.enable_thinking = recipe.enable_thinking;
    }
    if template.reasoning != Reasoning::None {
        template.enable_thinking = recipe.enable_thinking;
        template.preserve_thinking = recipe.preserve_thinking;
        remarks.push(Remark::Thinking { template: template.name.to_string() });
    }
    if recipe.stage != Stage::Pt
        && let Some((ours, own)) = template.disagreement(tokenizer, recipe.default_system.as_deref())
    {
        remarks.push(Remark::Disagreement { template: template.name.to_string(), ours, own });
    }
    let added = template.fit_tokenizer(tokenizer)?;
    if !added.is_empty() && !recipe.resizes_vocab() {
        remarks.push(Remark::NewTokens(added));
    }
    Ok((template, remarks))
}

/// Fetches the recipe's data sets that are on a hub, as far as they are needed at the start and not here; `Break` if
/// `watch` breaks it off.
///
/// # Errors
/// If an entry is wrong, or its files cannot be had.
pub fn fetch(recipe: &Recipe, watch: Watch) -> Result<ControlFlow<()>> {
    if recipe.tokenized_path.as_deref().is_some_and(|folder| tokenized::is_filled(Path::new(folder))) {
        return Ok(ControlFlow::Continue(()));
    }
    let hubs = Hubs::with_tokens(&recipe.tokens);
    let catalog = Catalog::of_recipe(recipe, &hubs)?;
    // A stream fetches the others when it reaches them.
    let most = if recipe.streaming { 1 } else { usize::MAX };
    if catalog.fetch(&recipe.dataset, most, &hubs, watch)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    catalog.fetch(&recipe.eval_dataset, usize::MAX, &hubs, watch)
}

/// Loads, mixes, splits and encodes the recipe's data sets. `tokenizer` and `template` come from
/// [`prepare_tokenizer`]; so many processes train on them together, `observer` is told what a user should know.
///
/// # Errors
/// If a data set, a row or a setting is wrong, nothing is left to train on, or the observer stops it.
pub fn prepare(
    recipe: &Recipe,
    tokenizer: &Tokenizer,
    template: &Template,
    processes: usize,
    observer: &mut Observer,
) -> Result<Prepared> {
    let stored = recipe.tokenized_path.as_deref().map(Path::new);
    let encoder = Encoder::new(recipe, tokenizer, template, observer.stop().clone());
    let prepared = match stored {
        Some(folder) if tokenized::is_filled(folder) => tokenized::open(folder, observer)?,
        Some(_) if recipe.streaming => {
            let message =
                "data that are streamed are never all encoded, so they cannot be stored; turn streaming off";
            return Err(Error::Setting { key: "tokenized_path", message: message.into() });
        }
        _ if recipe.streaming => streaming::prepare(recipe, &encoder, processes, observer)?,
        _ => encode(recipe, &encoder, observer)?,
    };
    if let Some(folder) = stored.filter(|folder| !tokenized::is_filled(folder)) {
        tokenized::save(&prepared, folder, observer)?;
    }
    if !prepared.train.is_empty() {
        show(tokenizer, &prepared.train.get(0)?, encoder.kind(), observer)?;
    }
    Ok(prepared)
}

/// Everything at once, with an order that may be gone through again and again.
fn encode(recipe: &Recipe, encoder: &Encoder, observer: &mut Observer) -> Result<Prepared> {
    let catalog = Catalog::of_recipe(recipe, &Hubs::with_tokens(&recipe.tokens))?;
    // One generator for all, as NumPy's global one is.
    let mut rng = LegacyRng::new(recipe.seed as u32);
    // Who only predicts learns nothing.
    if recipe.job() == JobKind::Predict && (recipe.val_size == 0.0 || !recipe.eval_dataset.is_empty()) {
        let names = recipe.predicted_on();
        let eval = evaluation(recipe, encoder, &catalog, names, &mut rng, observer)?;
        return Ok(Prepared { train: Examples::default(), eval });
    }
    let sets = Sets::load(recipe, encoder, &catalog, &recipe.dataset, &mut rng, observer)?;
    let mut order = sets.order(recipe);
    let held_out = split(recipe, &mut order)?;
    let eval = if recipe.eval_dataset.is_empty() {
        let examples = match held_out.is_empty() {
            true => Examples::default(),
            false => encoder.sequences(&sets, &held_out, "evaluation", observer)?,
        };
        EvalSet::whole(examples)
    } else {
        evaluation(recipe, encoder, &catalog, &recipe.eval_dataset, &mut rng, observer)?
    };
    // Evaluation alone needs no training data.
    let train = match recipe.dataset.is_empty() {
        true => Examples::default(),
        false => encoder.sequences(&sets, &order, "training", observer)?,
    };
    Ok(Prepared { train, eval })
}

/// Data sets to evaluate on: all together, or each by itself.
fn evaluation(
    recipe: &Recipe,
    encoder: &Encoder,
    catalog: &Catalog,
    names: &[String],
    rng: &mut LegacyRng,
    observer: &mut Observer,
) -> Result<Vec<EvalSet>> {
    let sets = Sets::load(recipe, encoder, catalog, names, rng, observer)?;
    if !recipe.eval_on_each_dataset {
        let examples = encoder.sequences(&sets, &sets.order(recipe), "evaluation", observer)?;
        return Ok(EvalSet::whole(examples));
    }
    let each = names.iter().zip(sets.each());
    each.map(|(name, set)| {
        let what = format!("evaluation on {name}");
        let examples = encoder.sequences(&set, &set.order(recipe), &what, observer)?;
        Ok(EvalSet { name: Some(name.clone()), examples })
    })
    .collect()
}

/// Logs the first example as the model sees it.
fn show(tokenizer: &Tokenizer, example: &Example, kind: Kind, observer: &mut Observer) -> Result<()> {
    let learnt: Vec<u32> = example
        .ids
        .iter()
        .zip(&example.labels)
        .filter(|(_, label)| **label != IGNORE_INDEX)
        .map(|(id, _)| *id)
        .collect();
    observer.info(format!("First example:\n{}", tokenizer.decode(&example.ids, false)?));
    let learnt = tokenizer.decode(&learnt, false)?;
    observer.info(match kind {
        // The model is to write an answer of its own.
        Kind::Prompt => format!("The answer that the data give:\n{learnt}"),
        _ => format!("What counts in its loss:\n{learnt}"),
    });
    Ok(())
}
