//! Freeze tuning: some layers train whole, and the others stay as they are.

use std::collections::BTreeSet;
use std::ops::Range;

use super::full::load_whole;
use super::{Loaded, Method, Setup};
use crate::families::DecoderSpec;
use crate::model::{BlockSelection, Decoder, Selection};
use crate::observer::Observer;
use crate::{Error, Result};

pub(super) struct Freeze;

impl Method for Freeze {
    fn load(&self, setup: Setup, _observer: &mut Observer) -> Result<Loaded> {
        let recipe = setup.recipe;
        let named = |names: &[String]| match names {
            [all] if all == "all" => Vec::new(),
            names => names.to_vec(),
        };
        let (modules, extra) = (named(&recipe.freeze_trainable_modules), &recipe.freeze_extra_modules);
        let spec = setup.base.files.spec.clone();
        let (count, wanted) = (spec.layers.len(), recipe.freeze_trainable_layers);
        let layers =
            if recipe.use_llama_pro { added(count, wanted)? } else { layers(count, wanted).collect() };
        let selection = BlockSelection::new(&spec, layers, &modules, extra);
        let loaded = load_whole(setup, Selection::Blocks(selection))?;
        check(&loaded.decoder, "freeze_trainable_modules", &modules, |name| within(&spec, name))?;
        check(&loaded.decoder, "freeze_extra_modules", extra, |name| beside(&spec, name))?;
        Ok(loaded)
    }
}

/// The last layers, or the first ones if their number is below zero; all of them if there are fewer.
fn layers(count: usize, wanted: i64) -> Range<usize> {
    let number = usize::try_from(wanted.unsigned_abs()).unwrap_or(usize::MAX).min(count);
    if wanted > 0 { count - number..count } else { 0..number }
}

/// The layers that block expansion has added, if they are so many: the last one of each of as many equal stretches.
fn added(count: usize, wanted: i64) -> Result<Vec<usize>> {
    let fitting = usize::try_from(wanted).ok().filter(|wanted| *wanted > 0 && count.is_multiple_of(*wanted));
    let Some(wanted) = fitting else {
        let message = format!(
            "is {wanted}, by which the model's {count} layers cannot be divided; with use_llama_pro it is the number of \
             layers that were added"
        );
        return Err(Error::recipe("freeze_trainable_layers", message));
    };
    let stretch = count / wanted;
    Ok((1..=wanted).map(|number| number * stretch - 1).collect())
}

/// The module that a parameter belongs to within its layer: `mlp` of `model.layers.0.mlp.up_proj.weight`.
fn within<'n>(spec: &DecoderSpec, name: &'n str) -> Option<&'n str> {
    let (blocks, _) = spec.block.prefix.split_once("{}")?;
    name.strip_prefix(blocks)?.split('.').nth(1)
}

/// The module that a parameter outside of layers belongs to: `norm` of `model.norm.weight`.
fn beside<'n>(spec: &DecoderSpec, name: &'n str) -> Option<&'n str> {
    let (blocks, _) = spec.block.prefix.split_once("{}")?;
    if name.starts_with(blocks) { None } else { name.rsplit('.').nth(1) }
}

/// # Errors
/// Names the first of `given` that no parameter belongs to, and what there is.
fn check(
    decoder: &Decoder,
    key: &'static str,
    given: &[String],
    module: impl Fn(&str) -> Option<&str>,
) -> Result<()> {
    let params = decoder.params();
    let there: BTreeSet<&str> = params.iter().filter_map(|param| module(&param.name)).collect();
    match given.iter().find(|name| !there.contains(name.as_str())) {
        Some(unknown) => {
            let names = there.into_iter().collect::<Vec<_>>().join(", ");
            Err(Error::recipe(key, format!("the model has no module `{unknown}` there; there are {names}")))
        }
        None => Ok(()),
    }
}
