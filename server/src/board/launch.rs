//! From the YAML of the form to a run: every path resolved inside its folder, everything named looked up.

use std::path::Path;

use engine::text::{
    Template,
    data::{Catalog, Place},
    hub::Hubs,
};
use recipe::{Kind, Problem, Recipe, RewardModelType, Sentence, sentence};

use crate::{
    config::Folders,
    datasets::files,
    models::{self, Named},
    security::paths::{self, PathError},
    store::NewRun,
};

/// Data sets of a list that are told to be wrong.
const TOLD: usize = 20;

/// A recipe that can be run.
pub(super) struct Prepared {
    /// As the user gave it, and as pages show it.
    yaml: String,
    pub recipe: Recipe,
    /// With absolute paths, as its worker will read it.
    worker: Recipe,
}

impl Prepared {
    /// What a run is called that was not given a name.
    pub(super) fn default_name(&self) -> String {
        format!("{} · {}", model_name(&self.recipe), data_names(&self.recipe))
    }

    /// As its worker will read it.
    pub(super) fn as_worked(&self) -> &Recipe {
        &self.worker
    }

    /// What its worker will read, tokens included.
    pub(super) fn for_worker(&self) -> String {
        self.worker.to_yaml() + &self.worker.tokens.to_yaml()
    }

    pub(super) fn run(&self, id: String, name: String) -> NewRun {
        NewRun {
            id,
            name,
            kind: self.recipe.job(),
            model: model_name(&self.recipe),
            dataset: data_names(&self.recipe),
            stage: self.recipe.stage.name().to_owned(),
            method: self.recipe.finetuning_type.name().to_owned(),
            template: self.recipe.template.clone(),
            recipe: self.yaml.clone(),
        }
    }
}

/// The data that the run is about; an evaluation may have none to train on.
fn data_names(recipe: &Recipe) -> String {
    let names = if recipe.dataset.is_empty() { &recipe.eval_dataset } else { &recipe.dataset };
    names.join(", ")
}

fn model_name(recipe: &Recipe) -> String {
    let path = Path::new(recipe.model_name_or_path.trim());
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Reads and checks a recipe whose results shall go to `output`.
///
/// # Errors
/// Everything that keeps it from being run.
pub(super) fn prepare(yaml: &str, output: &Path, folders: &Folders) -> Result<Prepared, Vec<Problem>> {
    // The dashboard decides where results go; what the text says about it is for other places.
    let output_dir = ("output_dir".to_owned(), output.display().to_string());
    let mut worker = Recipe::from_yaml_with(yaml, &[output_dir])?;
    let recipe = worker.clone();
    // The output folder is the run's own: what is in it is there to be resumed.
    worker.overwrite_output_dir = false;

    let mut problems = Vec::new();
    for key in path_arguments() {
        resolve(&mut worker, key, folders, &mut problems);
    }
    check_template(&worker, &mut problems);
    check_datasets(&worker, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    // What a run was launched with is shown to everyone who opens the board.
    let yaml = if recipe.tokens.is_empty() { yaml.to_owned() } else { recipe.to_yaml() };
    Ok(Prepared { yaml, recipe, worker })
}

/// What the model that an argument names leads to. The name of a model on a hub stays; its worker fetches it.
fn resolve_model(key: &str, named: &str, folders: &Folders) -> Result<String, Problem> {
    let named = models::named(named, folders).map_err(|error| {
        let why = explain(key, &error).message;
        let words = sentence! {
            [why]
            en: "{why}; a model on the Hub is named owner/name",
            zh: "{why}；模型站点上的模型写作 owner/name",
        };
        Problem::of(key, words)
    })?;
    if let Named::Here(path) = &named
        && !models::is_model(path)
    {
        let path = path.display();
        let words = sentence! {
            en: "`{path}` is neither a model folder (it has no config.json) nor a .gguf file",
            zh: "`{path}` 既不是模型文件夹（没有 config.json），也不是 .gguf 文件",
        };
        return Err(Problem::of(key, words));
    }
    Ok(named.into_path().display().to_string())
}

/// Whether there is a template of that name.
fn check_template(recipe: &Recipe, problems: &mut Vec<Problem>) {
    let name = recipe.template.as_deref().map(str::trim).filter(|name| !name.is_empty());
    if let Some(Err(error)) = name.map(Template::named) {
        problems.push(Problem::of("template", Sentence::english(error.to_string())));
    }
}

/// Whether every dataset that is named can be found and holds what the stage needs.
fn check_datasets(recipe: &Recipe, problems: &mut Vec<Problem>) {
    // What a repository holds is only known when it is asked, which a run does.
    if matches!(Place::of(&recipe.dataset_dir), Place::Remote(_)) {
        return;
    }
    let dir = Path::new(&recipe.dataset_dir);
    let catalog = match Catalog::of_recipe(recipe, &Hubs::from_env()) {
        Ok(catalog) => catalog,
        Err(e) => return problems.push(Problem::of("dataset", Sentence::english(e.to_string()))),
    };
    let usable = |name: &str| {
        let (info, _) = files::find(&catalog, dir, name)?;
        let unfit = info.check_kind(recipe.stage.into());
        unfit.map_err(|why| format!("{}: \"{name}\" {why}", catalog.path().display()))
    };
    for (key, names) in [("dataset", &recipe.dataset), ("eval_dataset", &recipe.eval_dataset)] {
        let wrong = names.iter().filter_map(|name| usable(name).err()).take(TOLD);
        problems.extend(wrong.map(|problem| Problem::of(key, Sentence::english(problem))));
    }
}

/// Arguments that name files: those of that kind, and the lists of adapters.
fn path_arguments() -> impl Iterator<Item = &'static str> {
    let paths = recipe::arguments().iter().filter(|argument| argument.kind == Kind::Path);
    paths.map(|argument| argument.key).chain(["adapter_name_or_path", "ref_model_adapters"])
}

/// Replaces the paths of one argument by what they lead to.
fn resolve(recipe: &mut Recipe, key: &'static str, folders: &Folders, problems: &mut Vec<Problem>) {
    let (models, data, runs) = (&folders.models_dir, &folders.data_dir, &folders.runs_dir);
    let mut within = |named: &str, roots: &[&Path]| match paths::resolve(named, roots) {
        Ok(path) => path.display().to_string(),
        Err(error) => {
            problems.push(explain(key, &error));
            named.to_owned()
        }
    };
    match key {
        "output_dir" => {}
        // TensorBoard's files go into the run's own folder.
        "logging_dir" => recipe.logging_dir = None,
        "model_name_or_path" => match resolve_model(key, &recipe.model_name_or_path, folders) {
            Ok(path) => recipe.model_name_or_path = path,
            Err(problem) => problems.push(problem),
        },
        "ref_model" => match recipe.ref_model.take().map(|named| resolve_model(key, &named, folders)) {
            Some(Err(problem)) => problems.push(problem),
            found => recipe.ref_model = found.and_then(Result::ok),
        },
        "reward_model" => match recipe.reward_model().map(|(kind, named)| (kind, named.to_owned())) {
            // A server's address.
            None | Some((RewardModelType::Api, _)) => {}
            Some((RewardModelType::Lora, named)) => {
                recipe.reward_model = Some(within(&named, &[runs, models]))
            }
            Some((RewardModelType::Full, named)) => match resolve_model(key, &named, folders) {
                Ok(path) => recipe.reward_model = Some(path),
                Err(problem) => problems.push(problem),
            },
        },
        "adapter_name_or_path" | "ref_model_adapters" => {
            let adapters = match key {
                "ref_model_adapters" => &mut recipe.ref_model_adapters,
                _ => &mut recipe.adapter_name_or_path,
            };
            for adapter in adapters {
                *adapter = within(adapter, &[runs, models]);
            }
        }
        // Recipes of LLaMA-Factory say `data`, wherever the data folder is.
        "dataset_dir" if recipe.dataset_dir == Recipe::default().dataset_dir => {
            recipe.dataset_dir = data.display().to_string();
        }
        "dataset_dir" if !matches!(Place::of(&recipe.dataset_dir), Place::Folder(_)) => {}
        "dataset_dir" => recipe.dataset_dir = within(&recipe.dataset_dir, &[data]),
        "resume_from_checkpoint" => {
            let named = recipe.resume_from_checkpoint.take();
            recipe.resume_from_checkpoint = named.map(|named| match named.to_ascii_lowercase().as_str() {
                "true" | "false" => named,
                _ => within(&named, &[runs]),
            });
        }
        "new_special_tokens_config" => {
            let named = recipe.new_special_tokens_config.take();
            recipe.new_special_tokens_config = named.map(|named| within(&named, &[data]));
        }
        "tokenized_path" => {
            let named = recipe.tokenized_path.take().filter(|named| !named.trim().is_empty());
            recipe.tokenized_path = named.map(|named| match paths::resolve_new(&named, &[data, runs]) {
                Ok(path) => path.display().to_string(),
                Err(error) => {
                    problems.push(explain(key, &error));
                    named
                }
            });
        }
        // A path that nobody has thought about goes nowhere.
        other => {
            let default = Recipe::default().get(other);
            if recipe.get(other) != default {
                let words = sentence! {
                    en: "`{other}` cannot be given here; use the command line",
                    zh: "此处不能指定 `{other}`，请使用命令行",
                };
                problems.push(Problem::of(other, words));
            }
        }
    }
}

fn explain(key: &str, error: &PathError) -> Problem {
    let zh = match error {
        PathError::Parent(named, places) => format!("`{named}` 含有 `..`：请给出 {places} 之内的路径"),
        PathError::Missing(named, places) => format!("在 {places} 中找不到 `{named}`"),
        PathError::Outside(named, places) => format!("`{named}` 指向 {places} 之外"),
    };
    Problem::of(key, sentence! { en: "`{key}`: {error}", zh: "`{key}`：{zh}" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn place() -> Place {
        let place = Place::new();
        place.write("models/wick/config.json", "{}");
        std::fs::create_dir(place.folders.models_dir.join("empty")).unwrap();
        place.write("data/demo.json", "[]");
        let info = r#"{"demo": {"file_name": "demo.json"}, "pairs": {"file_name": "demo.json", "ranking": true}, "away": {"file_name": "../../etc/passwd"}}"#;
        place.write("data/dataset_info.json", info);
        place.write("secret", "");
        place
    }

    fn yaml(model: &str, more: &str) -> String {
        format!(
            "model_name_or_path: {model}\nstage: sft\ndo_train: true\nfinetuning_type: lora\ntemplate: chatml\n{more}"
        )
    }

    fn prepare(place: &Place, yaml: &str) -> Result<Prepared, Vec<Problem>> {
        super::prepare(yaml, &place.folders.runs_dir.join("x/output"), &place.folders)
    }

    #[test]
    fn a_worker_gets_absolute_paths_and_its_own_output_folder() {
        let place = place();
        let text = yaml(
            "wick",
            "dataset: demo\noutput_dir: /elsewhere\nlogging_dir: /elsewhere\noverwrite_output_dir: true\n",
        );
        let prepared = prepare(&place, &text).map_err(|p| format!("{p:?}")).unwrap();
        let worker = prepared.as_worked();
        assert_eq!(worker.model_name_or_path, place.folders.models_dir.join("wick").display().to_string());
        assert_eq!(worker.dataset_dir, place.folders.data_dir.display().to_string());
        assert_eq!(worker.output_dir, place.folders.runs_dir.join("x/output").display().to_string());
        assert!(!worker.overwrite_output_dir && worker.logging_dir.is_none());
        let run = prepared.run("id".to_owned(), prepared.default_name());
        assert_eq!((run.name.as_str(), run.method.as_str()), ("wick · demo", "lora"));
        assert_eq!(run.recipe, text);
    }

    #[test]
    fn tokens_reach_the_worker_alone() {
        let place = place();
        let prepared = prepare(&place, &yaml("wick", "dataset: demo\nhub_token: hf_secret\n"));
        let prepared = prepared.map_err(|p| format!("{p:?}")).unwrap();
        let run = prepared.run("id".to_owned(), "name".to_owned());
        assert!(!run.recipe.contains("secret") && run.recipe.contains("dataset: demo"), "{}", run.recipe);
        let worker = Recipe::from_yaml(&prepared.for_worker()).unwrap();
        assert_eq!(worker.tokens.hugging_face.as_deref(), Some("hf_secret"));
    }

    #[test]
    fn nothing_outside_the_folders_can_be_named() {
        let place = place();
        let secret = place.root().join("secret").display().to_string();
        let scored =
            |more: &str| yaml("wick", &format!("dataset: demo\n{more}")).replace("stage: sft", "stage: ppo");
        let cases = [
            ("model_name_or_path", yaml("../secret", "dataset: demo\n")),
            ("model_name_or_path", yaml(&secret, "dataset: demo\n")),
            ("model_name_or_path", yaml("/etc", "dataset: demo\n")),
            ("model_name_or_path", yaml("absent", "dataset: demo\n")),
            ("model_name_or_path", yaml("empty", "dataset: demo\n")),
            ("model_name_or_path", yaml("models/absent", "dataset: demo\n")),
            ("model_name_or_path", yaml("owner/../name", "dataset: demo\n")),
            ("model_name_or_path", yaml("https://host/name", "dataset: demo\n")),
            ("dataset_dir", yaml("wick", "dataset: demo\ndataset_dir: /etc\n")),
            ("dataset_dir", yaml("wick", "dataset: demo\ndataset_dir: ..\n")),
            ("adapter_name_or_path", yaml("wick", "dataset: demo\nadapter_name_or_path: /etc\n")),
            ("ref_model", yaml("wick", "dataset: demo\nref_model: /etc\n")),
            ("ref_model_adapters", yaml("wick", "dataset: demo\nref_model_adapters: /etc\n")),
            ("reward_model", scored("reward_model: /etc\n")),
            ("reward_model", scored("reward_model_type: full\nreward_model: /etc\n")),
            ("resume_from_checkpoint", yaml("wick", "dataset: demo\nresume_from_checkpoint: /etc\n")),
            (
                "new_special_tokens_config",
                yaml("wick", "dataset: demo\nnew_special_tokens_config: /etc/passwd\n"),
            ),
            ("tokenized_path", yaml("wick", "dataset: demo\ntokenized_path: /etc\n")),
            ("tokenized_path", yaml("wick", "dataset: demo\ntokenized_path: ../x\n")),
            ("template", yaml("wick", "dataset: demo\n").replace("chatml", "absent")),
            ("dataset", yaml("wick", "dataset: absent\n")),
            ("dataset", yaml("wick", "dataset: away\n")),
            ("dataset", yaml("wick", "dataset: demo,pairs\n")),
            ("eval_dataset", yaml("wick", "dataset: demo\ndo_eval: true\neval_dataset: absent\n")),
        ];
        for key in path_arguments().filter(|key| !["output_dir", "logging_dir"].contains(key)) {
            assert!(cases.iter().any(|(tested, _)| *tested == key), "{key} is not tested");
        }
        for (key, text) in cases {
            let problems = prepare(&place, &text).err().unwrap_or_default();
            assert!(problems.iter().any(|p| p.key.as_deref() == Some(key)), "{text}{problems:?}");
        }
    }

    #[test]
    fn models_on_hubs_keep_their_names_and_encoded_data_go_where_data_are() {
        let place = place();
        let text = yaml("Owner/Model-1.5B", "dataset: demo\ntokenized_path: data/encoded\n");
        let prepared = prepare(&place, &text).map_err(|p| format!("{p:?}")).unwrap();
        let worker = prepared.as_worked();
        assert_eq!(worker.model_name_or_path, "Owner/Model-1.5B");
        let encoded = place.folders.data_dir.join("encoded").display().to_string();
        assert_eq!(worker.tokenized_path, Some(encoded));
        // What is here goes before what is elsewhere.
        let here = place.folders.models_dir.join("Owner/Model-1.5B");
        place.write("models/Owner/Model-1.5B/config.json", "{}");
        let prepared = prepare(&place, &text).map_err(|p| format!("{p:?}")).unwrap();
        let worker = prepared.as_worked();
        assert_eq!(worker.model_name_or_path, here.display().to_string());
    }
}
