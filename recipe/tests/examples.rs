//! The recipes in examples/ are valid and say nothing in vain.

use std::path::{Path, PathBuf};

use recipe::{Recipe, Stage, registry};

/// Every YAML file below a folder.
fn recipes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            found.extend(recipes(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found
}

/// The names of the bundled data sets.
fn datasets(root: &Path) -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(root.join("data/dataset_info.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("data/dataset_info.json: {error}"))
}

#[test]
fn every_example_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let datasets = datasets(&root);
    let examples = recipes(&root.join("examples"));
    assert!(examples.len() >= 4, "{examples:?}");
    for path in examples {
        let text = std::fs::read_to_string(&path).unwrap();
        let recipe =
            Recipe::from_yaml(&text).unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()));
        assert_eq!(recipe.notices(), [], "{}", path.display());
        for name in recipe.dataset.iter().chain(&recipe.eval_dataset) {
            assert!(datasets.contains_key(name), "{}: no dataset {name}", path.display());
        }
        if recipe.stage == Stage::Sft {
            let fitting = registry::template_for(&recipe.model_name_or_path);
            assert_eq!(recipe.template.as_deref(), fitting, "{}", path.display());
        }
        assert_eq!(Recipe::from_yaml(&recipe.to_yaml()), Ok(recipe), "{}", path.display());
    }
}
