//! Fetches what of a recipe's models and data is on a hub and not here yet.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use recipe::{Phase, Recipe, RewardModelType};

use super::setup::Folders;
use crate::observer::Observer;
use crate::{Error, Result, hub, text};

/// How often progress is told.
const EVERY: Duration = Duration::from_secs(1);

/// Answers with where the models are.
///
/// # Errors
/// If something cannot be had, or the observer stops it.
pub(super) fn fetch(recipe: &Recipe, observer: &mut Observer) -> Result<Folders> {
    let named = recipe.ref_model.as_ref().filter(|_| recipe.has_reference());
    let scoring = recipe.reward_model().filter(|_| recipe.trains_on_answers());
    let scoring = scoring.filter(|(kind, _)| *kind != RewardModelType::Api).map(|(_, name)| name.to_owned());
    let stop = observer.stop().clone();
    let folders = {
        let mut say = hub::paced(EVERY, |progress| {
            observer.phase(Phase::Downloading, Some(progress.to_string()));
        });
        let mut watch = |progress: &hub::Progress<'_>| {
            say(progress);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let model = hub::resolve_model(
            &recipe.model_name_or_path,
            Some(&recipe.model_revision),
            &recipe.tokens,
            &mut watch,
        )?;
        let reference = named.map(|name| hub::resolve_model(name, None, &recipe.tokens, &mut watch));
        let reference = reference.transpose()?;
        let reward = scoring
            .as_ref()
            .map(|name| hub::resolve_model(name, None, &recipe.tokens, &mut watch))
            .transpose()?;
        if text::fetch(recipe, &mut watch)?.is_break() {
            return Err(Error::Stopped);
        }
        Folders { model, reference, reward }
    };
    let models = [
        (Some(&recipe.model_name_or_path), Some(&folders.model)),
        (named, folders.reference.as_ref()),
        (scoring.as_ref(), folders.reward.as_ref()),
    ];
    for (name, folder) in models {
        if let (Some(name), Some(folder)) = (name, folder)
            && folder != Path::new(name)
        {
            observer.info(format!("{name} is in {}", folder.display()));
        }
    }
    Ok(folders)
}
