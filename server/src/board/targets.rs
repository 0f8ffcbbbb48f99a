//! What a chat can be held with.

use std::path::Path;

use engine::adapter::is_adapter;
use recipe::Recipe;
use wire::ChatTarget;

use crate::{
    chat::{Source, Weights},
    config::Folders,
    models::{self, Named},
    security::paths,
    store::RunRow,
    worker::{OUTPUT_DIR, RECIPE_FILE, problems_text},
};

/// A target's id is `model:NAME`, `hub:OWNER/NAME`, or `run:ID:FOLDER` with the folder relative to the run's
/// output (empty for the output itself).
enum TargetId<'a> {
    Model(&'a str),
    Hub(&'a str),
    Run { id: &'a str, folder: &'a str },
}

impl<'a> TargetId<'a> {
    fn parse(id: &'a str) -> Option<TargetId<'a>> {
        match id.split_once(':')? {
            ("model", name) => Some(TargetId::Model(name)),
            ("hub", name) => Some(TargetId::Hub(name.trim())),
            ("run", rest) => rest.split_once(':').map(|(id, folder)| TargetId::Run { id, folder }),
            _ => None,
        }
    }
}

/// The id of the run that a target is of.
pub(super) fn run_of(target: &str) -> Option<&str> {
    match TargetId::parse(target)? {
        TargetId::Run { id, .. } => Some(id),
        _ => None,
    }
}

/// Names of the templates that prompts can be written in.
pub(super) fn templates() -> Vec<String> {
    let mut names: Vec<String> = engine::text::Template::names().map(str::to_owned).collect();
    names.sort();
    names
}

/// Base models, then what runs have left: newest run first, its result before its checkpoints.
pub(super) fn targets(folders: &Folders, runs: &[RunRow]) -> Vec<ChatTarget> {
    let base = models::scan(&folders.models_dir).into_iter().map(|model| ChatTarget {
        id: format!("model:{}", model.name),
        // The model's own chat template, where it has one.
        template: None,
        label: model.name,
        run: None,
    });
    base.chain(runs.iter().flat_map(|run| targets_of(folders, run))).collect()
}

fn targets_of(folders: &Folders, run: &RunRow) -> Vec<ChatTarget> {
    let output = folders.runs_dir.join(&run.id).join(OUTPUT_DIR);
    let result = holds_model(&output).then(String::new);
    result.into_iter().chain(checkpoints(&output)).map(|folder| target(run, &folder)).collect()
}

fn target(run: &RunRow, folder: &str) -> ChatTarget {
    let label = if folder.is_empty() { run.name.clone() } else { format!("{} · {folder}", run.name) };
    ChatTarget {
        id: format!("run:{}:{folder}", run.id),
        label,
        run: Some(run.id.clone()),
        template: run.template.clone(),
    }
}

/// An adapter or a whole model; folders in the making have another name.
fn holds_model(folder: &Path) -> bool {
    is_adapter(folder) || folder.join("config.json").is_file()
}

/// Names of the `checkpoint-STEP` folders that hold weights, latest first.
fn checkpoints(output: &Path) -> impl Iterator<Item = String> {
    let whole =
        engine::train::checkpoints(output).into_iter().rev().filter(|(_, folder)| holds_model(folder));
    whole.filter_map(|(_, folder)| Some(folder.file_name()?.to_str()?.to_owned()))
}

/// Where the weights of a target are; a sentence where they are not. `run` is the one of [`run_of`].
pub(super) fn source(
    target: &str,
    template: Option<String>,
    folders: &Folders,
    run: Option<&RunRow>,
) -> Result<Source, String> {
    let gone = || format!("there is no `{target}` to chat with any more; reload the page");
    let mut source = match TargetId::parse(target).ok_or_else(gone)? {
        TargetId::Model(name) => {
            let known =
                targets(folders, &[]).into_iter().find(|known| known.id == target).ok_or_else(gone)?;
            let path =
                paths::resolve(&folders.models_dir.join(name).display().to_string(), &[&folders.models_dir]);
            let weights = Weights { model: path.map_err(|e| e.to_string())?, ..Weights::default() };
            of_target(known, weights)
        }
        TargetId::Hub(name) => of_hub(target, name, folders)?,
        TargetId::Run { id, folder } => {
            let run = run.filter(|run| run.id == id).ok_or_else(gone)?;
            let known =
                targets_of(folders, run).into_iter().find(|known| known.id == target).ok_or_else(gone)?;
            let run_dir = folders.runs_dir.join(&run.id);
            let result = run_dir.join(OUTPUT_DIR).join(folder);
            let weights = if is_adapter(&result) {
                let mut weights = base(&run_dir, folders)?;
                weights.adapters.push(result);
                weights
            } else {
                Weights { model: result, ..Weights::default() }
            };
            of_target(known, weights)
        }
    };
    source.weights.template = template.or(source.weights.template);
    Ok(source)
}

fn of_target(target: ChatTarget, weights: Weights) -> Source {
    let ChatTarget { id, label, run, template } = target;
    Source { target: id, label, run, weights: Weights { template, ..weights } }
}

/// A model that is named as on a hub; if a folder here has that name, it is the one.
fn of_hub(target: &str, name: &str, folders: &Folders) -> Result<Source, String> {
    let named =
        models::named(name, folders).map_err(|e| format!("{e}; a model on the Hub is named owner/name"))?;
    if let Named::Here(path) = &named
        && !models::is_model(path)
    {
        return Err(format!("{} is no model folder: it has no config.json", path.display()));
    }
    let weights = Weights { model: named.into_path(), ..Weights::default() };
    Ok(Source { target: target.to_owned(), label: name.to_owned(), run: None, weights })
}

/// What a run's adapter stands on, from the recipe its worker read: the model, and adapters below it.
fn base(run_dir: &Path, folders: &Folders) -> Result<Weights, String> {
    let path = run_dir.join(RECIPE_FILE);
    let yaml = engine::files::read_text(&path, engine::files::SETTINGS)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let recipe = Recipe::parse_yaml(&yaml, &[]).map_err(|problems| problems_text(&path, &problems))?;
    let resolve = |named: &str| {
        paths::resolve(named, &[&folders.models_dir, &folders.runs_dir]).map_err(|e| e.to_string())
    };
    // Without a new adapter the run went on with the last one, and its result stands in that one's place.
    let given = &recipe.adapter_name_or_path;
    let below = if recipe.create_new_adapter { given.len() } else { given.len().saturating_sub(1) };
    let adapters = given[..below].iter().map(|adapter| resolve(adapter)).collect::<Result<_, _>>()?;
    let model = models::named(&recipe.model_name_or_path, folders).map_err(|e| e.to_string())?;
    let revision = Some(recipe.model_revision);
    Ok(Weights { model: model.into_path(), revision, adapters, template: None, tokens: recipe.tokens })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn ids_name_models_and_run_folders() {
        assert!(matches!(TargetId::parse("model:org/wick"), Some(TargetId::Model("org/wick"))));
        assert!(matches!(TargetId::parse("run:a:"), Some(TargetId::Run { id: "a", folder: "" })));
        assert!(matches!(
            TargetId::parse("run:a:checkpoint-5"),
            Some(TargetId::Run { folder: "checkpoint-5", .. })
        ));
        assert!(TargetId::parse("/etc/passwd").is_none() && TargetId::parse("run:a").is_none());
    }

    #[test]
    fn only_listed_targets_can_be_loaded() {
        let place = Place::new();
        place.write("models/wick/config.json", "{}");
        place.write("secret/config.json", "{}");
        let folders = &place.folders;
        let source = |id: &str| source(id, None, folders, None);
        assert_eq!(source("model:wick").unwrap().weights.model, folders.models_dir.join("wick"));
        let hub = source("hub:owner/name").unwrap();
        assert_eq!((hub.label.as_str(), hub.weights.model), ("owner/name", "owner/name".into()));
        for id in ["hub:wick/x/y", "hub:../secret", "hub:/etc/passwd", "hub:models/gone", "hub:"] {
            assert!(source(id).is_err(), "{id}");
        }
        for id in ["model:../secret", "model:/etc", "run:x:", "run:x:../../secret", "wick", ""] {
            assert!(source(id).is_err(), "{id}");
        }
    }
}
