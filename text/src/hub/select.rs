//! Which of a repository's files make a model, or a split of a data set.

use std::path::Path;

use serde_json::Value;

use crate::data::HubSource;
use crate::data::files::is_data_file;

/// Whether a path that a hub names stays inside its repository.
pub(super) fn is_inside(path: &str) -> bool {
    let good =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0', ':']);
    path.split('/').all(good)
}

/// The files of a model folder: configuration, tokenizer, chat templates and safetensors weights.
///
/// # Errors
/// If there is no configuration or there are no such weights.
pub(super) fn model_files(files: &[&str]) -> Result<Vec<String>, String> {
    let top = |file: &&&str| !file.contains('/');
    let weights: Vec<&str> =
        files.iter().filter(top).copied().filter(|file| file.ends_with(".safetensors")).collect();
    // Some repositories hold the same weights a second time, in their makers' own layout.
    let standard: Vec<&str> = weights.iter().copied().filter(|file| file.starts_with("model")).collect();
    let adapter = files.contains(&"adapter_config.json");
    let weights = if standard.is_empty() || adapter { weights } else { standard };
    if !files.contains(&"config.json") && !adapter {
        let gguf = files.iter().find(|file| file.to_lowercase().ends_with(".gguf"));
        return Err(match gguf {
            Some(file) => format!("holds GGUF files, such as {file}; download one and name it as the model"),
            None => "has no config.json, so it is not a model in the layout of transformers".into(),
        });
    }
    if weights.is_empty() {
        return Err(
            "has no weights as safetensors; pickles (.bin, .pth) are not read, since they can run code"
                .into(),
        );
    }
    let small = |file: &&str| {
        let name = file.to_lowercase();
        let text =
            [".json", ".model", ".jinja", ".tiktoken", ".txt"].iter().any(|ending| name.ends_with(ending));
        let other_weights = name.ends_with(".index.json") && !name.ends_with(".safetensors.index.json");
        text && !other_weights
    };
    let small = files.iter().copied().filter(|file| !file.contains('/')).filter(small);
    Ok(small.chain(weights).map(str::to_owned).collect())
}

/// The files of `split`: by the data set's card (`configs`), else by names as `datasets` reads them. `None` if there
/// are no data files at all.
///
/// # Errors
/// If the subset or the split does not exist.
pub(super) fn data_files(
    files: &[&str],
    configs: &Value,
    source: &HubSource,
    split: &str,
) -> Result<Option<Vec<String>>, String> {
    let below =
        source.folder.as_deref().map(|folder| format!("{}/", folder.trim_matches('/'))).unwrap_or_default();
    let is_card = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        name == "dataset_info.json" || name == "dataset_infos.json" || name.starts_with('.')
    };
    let data: Vec<&str> = files
        .iter()
        .copied()
        .filter(|file| file.starts_with(&below) && is_data_file(Path::new(file)) && !is_card(file))
        .collect();
    if data.is_empty() {
        return Ok(None);
    }
    let chosen = match by_card(&data, configs, source, split)? {
        Some(chosen) => chosen,
        None => by_names(&data, &below, source.subset.as_deref(), split)?,
    };
    one_kind(chosen).map(Some)
}

/// Refuses a part of the files of a split, by their numbers: `train-00003-of-00010.parquet`.
///
/// # Errors
/// If some are missing.
pub(super) fn check_whole(files: &[String]) -> Result<(), String> {
    let of = |file: &String| {
        let mut words = words(file).collect::<Vec<_>>().into_iter().skip_while(|word| word != "of");
        words.nth(1)?.parse::<usize>().ok()
    };
    match files.iter().filter_map(of).max() {
        Some(all) if files.len() < all => {
            Err(format!("only {} of its {all} files are on this machine", files.len()))
        }
        _ => Ok(()),
    }
}

/// By `configs: [{config_name, data_files: [{split, path}], data_dir}]`.
fn by_card<'a>(
    files: &[&'a str],
    configs: &Value,
    source: &HubSource,
    split: &str,
) -> Result<Option<Vec<&'a str>>, String> {
    let Some(configs) = configs.as_array().filter(|configs| !configs.is_empty() && source.folder.is_none())
    else {
        return Ok(None);
    };
    let name = |config: &Value| config["config_name"].as_str().unwrap_or("default").to_owned();
    let config = match source.subset.as_deref() {
        Some(subset) => configs.iter().find(|config| name(config) == subset),
        None => configs
            .iter()
            .find(|config| config["default"] == true)
            .or_else(|| configs.iter().find(|config| name(config) == "default"))
            .or_else(|| configs.first().filter(|_| configs.len() == 1)),
    };
    let Some(config) = config else {
        let names: Vec<String> = configs.iter().map(name).collect();
        return Err(match &source.subset {
            Some(subset) => format!("has no subset \"{subset}\"; there are {}", names.join(", ")),
            None => format!("has several subsets; set \"subset\" to one of {}", names.join(", ")),
        });
    };
    let folder = config["data_dir"].as_str().map(|folder| format!("{}/", folder.trim_matches('/')));
    let patterns = match &config["data_files"] {
        Value::Null => match &folder {
            // A folder alone: its files, by their names.
            Some(folder) => {
                let inside: Vec<&str> =
                    files.iter().copied().filter(|file| file.starts_with(folder)).collect();
                return by_names(&inside, folder, None, split).map(Some);
            }
            None => return Ok(None),
        },
        Value::Array(entries) if entries.iter().all(Value::is_object) => {
            let entry = entries.iter().find(|entry| entry["split"].as_str().unwrap_or("train") == split);
            let Some(entry) = entry else {
                let names: Vec<&str> = entries.iter().filter_map(|entry| entry["split"].as_str()).collect();
                return Err(format!("has no split \"{split}\"; there are {}", names.join(", ")));
            };
            texts(&entry["path"])
        }
        other => texts(other),
    };
    let folder = folder.unwrap_or_default();
    let fits = |file: &&str| {
        let inside = file.strip_prefix(folder.as_str());
        patterns
            .iter()
            .any(|pattern| inside.is_some_and(|inside| glob(pattern.trim_start_matches("./"), inside)))
    };
    let chosen: Vec<&str> = files.iter().copied().filter(fits).collect();
    if chosen.is_empty() {
        return Err(format!(
            "its card names {} for the split \"{split}\", but no such file is there",
            patterns.join(", ")
        ));
    }
    Ok(Some(chosen))
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Splits that names speak of, with the words for them.
const SPLITS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// By words in the names of folders and files; without such words everything is `train`.
fn by_names<'a>(
    files: &[&'a str],
    below: &str,
    subset: Option<&str>,
    split: &str,
) -> Result<Vec<&'a str>, String> {
    let has =
        |file: &str, word: &str| words(file.strip_prefix(below).unwrap_or(file)).any(|found| found == word);
    let mut files = files.to_vec();
    if let Some(subset) = subset {
        let folder = format!("{subset}/");
        let in_folder: Vec<&str> =
            files.iter().copied().filter(|file| file[below.len()..].starts_with(&folder)).collect();
        let named = |file: &&str| {
            let stem =
                file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or_default().to_lowercase();
            stem == subset.to_lowercase() || has(file, &subset.to_lowercase())
        };
        let found =
            if in_folder.is_empty() { files.iter().copied().filter(named).collect() } else { in_folder };
        // `default` is what a data set without subsets is called.
        if !found.is_empty() {
            files = found;
        } else if subset != "default" {
            return Err(format!("has no files of the subset \"{subset}\""));
        }
    }
    let of = |name: &str| -> Vec<&'a str> {
        let own = [name];
        let known =
            SPLITS.iter().find(|(split, _)| *split == name).map_or(own.as_slice(), |(_, words)| words);
        files
            .iter()
            .copied()
            .filter(|file| known.iter().any(|word| has(file, &word.to_lowercase())))
            .collect()
    };
    let chosen = of(split);
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    if split == "train" && SPLITS.iter().all(|(name, _)| of(name).is_empty()) {
        return Ok(files);
    }
    Err(format!("has no files of the split \"{split}\""))
}

/// The words of a path, in small letters: `data/train-00000-of-2.parquet` → data, train, 00000, of, 2, parquet.
fn words(path: &str) -> impl Iterator<Item = String> {
    path.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Files of the kind that most are of: a data set may be there a second time in another.
fn one_kind(files: Vec<&str>) -> Result<Vec<String>, String> {
    let kind = |file: &str| {
        let plain = file.strip_suffix(".gz").unwrap_or(file);
        match Path::new(plain).extension().map(|ending| ending.to_string_lossy().to_lowercase()).as_deref() {
            Some("json" | "jsonl") => "json".to_owned(),
            other => other.unwrap_or_default().to_owned(),
        }
    };
    let count = |wanted: &str| files.iter().filter(|file| kind(file) == wanted).count();
    let Some(most) = files.iter().map(|file| kind(file)).max_by_key(|kind| (count(kind), kind == "parquet"))
    else {
        return Err("has no data files".into());
    };
    let mut chosen: Vec<String> =
        files.iter().filter(|file| kind(file) == most).map(|file| (*file).to_owned()).collect();
    chosen.sort();
    Ok(chosen)
}

/// Whether `path` fits `pattern`: `*` stands for anything without a slash, `**` for anything, `?` for one character.
fn glob(pattern: &str, path: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return path.is_empty() };
    if let Some(rest) = pattern.strip_prefix("**") {
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        return glob(rest, path) || path.char_indices().any(|(at, c)| glob(rest, &path[at + c.len_utf8()..]));
    }
    if first == '*' {
        let rest = &pattern[1..];
        let reach = path.find('/').unwrap_or(path.len());
        return (0..=reach).filter(|at| path.is_char_boundary(*at)).any(|at| glob(rest, &path[at..]));
    }
    let mut chars = path.chars();
    match chars.next() {
        Some(c) if c == first || (first == '?' && c != '/') => {
            glob(&pattern[first.len_utf8()..], chars.as_str())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pick(
        files: &[&str],
        configs: Value,
        subset: Option<&str>,
        split: &str,
    ) -> Result<Option<Vec<String>>, String> {
        let source = HubSource { subset: subset.map(str::to_owned), ..HubSource::default() };
        data_files(files, &configs, &source, split)
    }

    #[test]
    fn a_model_is_its_small_files_and_safetensors() {
        let files = [
            ".gitattributes",
            "README.md",
            "config.json",
            "tokenizer.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "pytorch_model.bin.index.json",
            "pytorch_model.bin",
            "original/params.json",
            "consolidated.safetensors",
            "chat_template.jinja",
        ];
        let wanted = model_files(&files).expect("a model");
        assert_eq!(
            wanted,
            [
                "config.json",
                "tokenizer.json",
                "model.safetensors.index.json",
                "chat_template.jinja",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ]
        );
        assert!(model_files(&["config.json", "pytorch_model.bin"]).is_err_and(|e| e.contains("pickles")));
        assert!(model_files(&["q4.gguf"]).is_err_and(|e| e.contains("q4.gguf")));
    }

    #[test]
    fn names_tell_the_split_and_without_words_all_is_train() {
        let files = ["README.md", "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"];
        assert_eq!(pick(&files, Value::Null, None, "train"), Ok(Some(vec![files[1].into()])));
        assert_eq!(pick(&files, Value::Null, None, "test"), Ok(Some(vec![files[2].into()])));
        assert!(pick(&files, Value::Null, None, "validation").is_err_and(|e| e.contains("validation")));
        assert_eq!(
            pick(&["all.json", "dataset_infos.json"], Value::Null, None, "train"),
            Ok(Some(vec!["all.json".into()]))
        );
        assert_eq!(pick(&["script.py", "README.md"], Value::Null, None, "train"), Ok(None));
    }

    #[test]
    fn subsets_are_folders_or_names() {
        let files = ["en/train.jsonl", "zh/train.jsonl", "dpo_en.json", "dpo_zh.json"];
        assert_eq!(
            pick(&files[..2], Value::Null, Some("zh"), "train"),
            Ok(Some(vec!["zh/train.jsonl".into()]))
        );
        assert_eq!(pick(&files[2..], Value::Null, Some("en"), "train"), Ok(Some(vec!["dpo_en.json".into()])));
        assert!(pick(&files, Value::Null, Some("fr"), "train").is_err_and(|e| e.contains("\"fr\"")));
    }

    #[test]
    fn the_card_comes_first() {
        let configs = json!([
            {"config_name": "en", "data_files": [{"split": "train", "path": "a/*.json"}, {"split": "test", "path": ["b/**"]}]},
            {"config_name": "zh", "data_files": "c?.json"},
        ]);
        let files = ["a/1.json", "a/b/2.json", "b/x/3.json", "c1.json", "c12.json"];
        assert_eq!(pick(&files, configs.clone(), Some("en"), "train"), Ok(Some(vec!["a/1.json".into()])));
        assert_eq!(pick(&files, configs.clone(), Some("en"), "test"), Ok(Some(vec!["b/x/3.json".into()])));
        assert_eq!(pick(&files, configs.clone(), Some("zh"), "train"), Ok(Some(vec!["c1.json".into()])));
        assert!(pick(&files, configs, None, "train").is_err_and(|e| e.contains("en, zh")));
    }

    #[test]
    fn a_part_of_a_split_is_not_taken_for_all_of_it() {
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = files(&["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]);
        assert_eq!((check_whole(&two), check_whole(&files(&["rows.json"]))), (Ok(()), Ok(())));
        assert!(check_whole(&two[..1]).is_err_and(|e| e.contains("only 1 of its 2 files")));
    }

    #[test]
    fn paths_that_leave_the_repository_are_not_followed() {
        assert!(is_inside("a/b.json"));
        for bad in ["../a", "/a", "a//b", "a/./b", "a\\b", "C:a", ""] {
            assert!(!is_inside(bad), "{bad}");
        }
    }
}
