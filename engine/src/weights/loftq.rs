//! A model whose weights are what four bits hold, with an adapter that begins with most of what they lost.

use std::path::Path;
use std::sync::Arc;

use super::open;
use super::remade::check_free;
use crate::adapter::{AdapterConfig, Modules, save_adapter};
use crate::model::{Tuning, linears_named};
use crate::ops::Updates;
use crate::{Error, Result};

/// The folder of the adapter within that of the model.
pub const ADAPTERS: &str = "adapters";

/// What the adapter is like.
#[derive(Clone, Debug)]
pub struct LoftQ {
    /// Inner size of the update.
    pub rank: usize,
    /// The update's scale, times the rank.
    pub alpha: f64,
    /// Probability with which an input is dropped while the adapter trains.
    pub dropout: f64,
    /// Names of modules, or `all`.
    pub targets: Vec<String>,
    /// Turns of rounding and of taking the largest part of what is lost.
    pub turns: usize,
}

/// Writes the model with its targets rounded into `output`, and the adapter into a folder within it; answers with the number
/// of rounded weights.
///
/// # Errors
/// If a target is not in the model, the model is quantised already, or files cannot be read or written.
pub fn loftq(model: &Path, settings: &LoftQ, output: &Path) -> Result<usize> {
    let files = open(model, None)?;
    check_free(output)?;
    if files.is_quantised() {
        return Err(Error::file(&files.path, "is quantised already; use the model in f32, f16 or bf16"));
    }
    let mut decoder = files.build(&Tuning { dequantised: true, ..Tuning::default() })?;
    let targets: Vec<String> = linears_named(&decoder, &settings.targets, "lora_target")?
        .into_iter()
        .map(|linear| linear.name.clone())
        .collect();
    let scale = (settings.alpha / settings.rank as f64) as f32;
    let parts = decoder.round_to_four_bits(
        |linear| targets.contains(&linear.name).then_some((settings.rank, scale)),
        settings.turns,
    )?;
    files.save_remade(&decoder, &files.config.values, output)?;

    let mut updates = Updates::default();
    for linear in decoder.linears() {
        if let Some(part) = parts.get(&linear.name) {
            updates.insert(&linear.name, part.clone());
        }
    }
    let config = AdapterConfig {
        base: output.display().to_string(),
        rank: settings.rank,
        alpha: settings.alpha,
        dropout: settings.dropout,
        targets: Some(Modules::Names(named(&settings.targets, &targets))),
        ..AdapterConfig::default()
    };
    save_adapter(&decoder.with_adapter(Arc::new(updates)), &config, &output.join(ADAPTERS))?;
    Ok(parts.len())
}

/// The targets by the last parts of their names, as they were given or as `all` found them.
fn named(given: &[String], found: &[String]) -> Vec<String> {
    if !given.iter().any(|name| name == "all") {
        return given.to_vec();
    }
    let mut names: Vec<String> =
        found.iter().map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
