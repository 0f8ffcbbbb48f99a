//! What would only be found once a run has started: data without usable rows, modules that the model does not have; and
//! what is worth a word before it does.

pub mod memory;
pub mod remarks;

use std::path::Path;

use engine::text::data::{DataSource, Outcome, Seen};
use recipe::{FinetuningType, Problem, Recipe, module_matches, sentence};
use wire::ModelFacts;

use super::source::source;
use crate::models::{self, Tensor};

/// Rows that are looked at of each dataset.
const LOOKED_AT: usize = 20;

/// What keeps a recipe from being run: `recipe` as it was given, `worked` as its worker will read it.
pub fn problems(recipe: &Recipe, worked: &Recipe, data: &Path) -> Vec<Problem> {
    // Of data in other folders, or on hubs, the run itself tells.
    let is_here = Path::new(&worked.dataset_dir) == data;
    let named = [("dataset", &recipe.dataset), ("eval_dataset", &recipe.eval_dataset)];
    let sets = named.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
    let unusable = sets.filter(|_| is_here).filter_map(|(key, name)| {
        let source = source(data, name).ok().filter(|source| source.info.file().is_some())?;
        let why = unusable(&source)?;
        Some(Problem::of(key, sentence! { en: "\"{name}\": {why}", zh: "“{name}”：{why}" }))
    });
    let unknown = unknown_target(worked);
    unusable.chain(unknown).collect()
}

/// Why none of a dataset's first rows can be used.
fn unusable(source: &DataSource) -> Option<String> {
    let (seen, mut first) = (Seen::default(), None);
    let mut rows = source.rows().take(LOOKED_AT).peekable();
    if rows.peek().is_none() {
        return Some("it is empty".to_owned());
    }
    for row in rows {
        let why = match row.and_then(|row| source.convert(row, &seen)) {
            Ok(Outcome::Record(_)) => return None,
            Ok(Outcome::Skipped(skipped)) => skipped.to_string(),
            Err(error) => error.to_string(),
        };
        first.get_or_insert(why);
    }
    first
}

/// A module to adapt that the model does not have, where the names of its tensors are known.
fn unknown_target(recipe: &Recipe) -> Option<Problem> {
    let (key, targets) = match recipe.finetuning_type {
        FinetuningType::Lora => ("lora_target", &recipe.lora_target),
        FinetuningType::Oft => ("oft_target", &recipe.oft_target),
        FinetuningType::Freeze | FinetuningType::Full => return None,
    };
    let names = targets.iter().filter(|name| *name != "all");
    let tensors =
        models::tensors(Path::new(&recipe.model_name_or_path)).filter(|tensors| !tensors.is_empty())?;
    let modules: Vec<&str> = tensors.iter().filter_map(matrix).collect();
    let is_there = |name: &str| modules.iter().any(|module| module_matches(module, name));
    let unknown = names.into_iter().find(|name| !is_there(name))?;
    let mut there: Vec<&str> = modules.iter().filter_map(|module| module.rsplit('.').next()).collect();
    there.sort_unstable();
    there.dedup();
    let there = there.join(", ");
    Some(Problem::of(
        key,
        sentence! {
            en: "the model has no module called `{unknown}`; it has {there}",
            zh: "模型没有名为 `{unknown}` 的模块；其模块有 {there}",
        },
    ))
}

/// The module that a matrix of weights belongs to.
fn matrix(tensor: &Tensor) -> Option<&str> {
    tensor.name.strip_suffix(".weight").filter(|_| tensor.shape.len() == 2)
}

/// What is worth a word.
pub fn remarks(recipe: &Recipe, model: Option<ModelFacts>) -> Vec<Problem> {
    let length = recipe.cutoff_len;
    let context = model.and_then(|model| model.context).filter(|context| length > *context);
    let beyond = context.map(|context| {
        let words = sentence! {
            en: "{length} tokens are more than the model's context window of {context}",
            zh: "{length} 个词元超过模型的上下文窗口 {context}",
        };
        Problem::of("cutoff_len", words)
    });
    beyond.into_iter().chain(recipe.doubts()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn recipe(dataset: &[&str], target: &str) -> Recipe {
        Recipe {
            model_name_or_path: concat!(env!("CARGO_MANIFEST_DIR"), "/../models/wick").into(),
            dataset: dataset.iter().map(ToString::to_string).collect(),
            lora_target: vec![target.into()],
            ..Recipe::default()
        }
    }

    #[test]
    fn data_without_usable_rows_and_modules_that_are_not_there_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        file("empty.json", "[]");
        file("good.json", r#"[{"instruction": 1}, {"instruction": "a", "output": "b"}]"#);
        file("other.json", r#"[{"question": "a", "answer": "b"}]"#);
        file("seen.json", r#"[{"instruction": "a", "output": "b", "images": ["a.png"]}]"#);
        let info = r#"{"empty": {"file_name": "empty.json"}, "good": {"file_name": "good.json"},
            "other": {"file_name": "other.json"}, "seen": {"file_name": "seen.json", "columns":
            {"prompt": "instruction", "response": "output", "images": "images"}}}"#;
        file("dataset_info.json", info);
        let dataset_dir = dir.path().display().to_string();
        let found = |sets: &[&str], target: &str| {
            let given = recipe(sets, target);
            let worked = Recipe { dataset_dir: dataset_dir.clone(), ..given.clone() };
            problems(&given, &worked, dir.path())
                .into_iter()
                .map(|problem| problem.message.en)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&["good"], "all"), Vec::<String>::new());
        assert_eq!(found(&["good"], "q_proj"), Vec::<String>::new());
        let [empty, other, seen] = &found(&["empty", "other", "seen"], "all")[..] else { panic!("three") };
        assert!(empty.starts_with("\"empty\": ") && other.starts_with("\"other\": "), "{empty} {other}");
        assert!(seen.contains("media"), "{seen}");
        let [target] = &found(&[], "nosuch")[..] else { panic!("one") };
        assert!(target.contains("`nosuch`") && target.contains("q_proj"), "{target}");
    }

    #[test]
    fn what_hardly_ever_goes_well_is_remarked() {
        let fast = Recipe { learning_rate: 1.0, cutoff_len: 99_999, ..Recipe::default() };
        let keys = |recipe: &Recipe, context| {
            let told = remarks(recipe, Some(ModelFacts { parameters: None, context }));
            told.into_iter().filter_map(|remark| remark.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&fast, Some(512)), ["cutoff_len", "learning_rate"]);
        assert_eq!(keys(&Recipe::default(), None), Vec::<String>::new());
    }
}
