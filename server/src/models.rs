//! The models in the models folder.

use std::{
    fs,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use engine::families::Config;
use engine::files;
use engine::hub::is_model_id;
use engine::weights::is_later_part;
use recipe::registry;
use safetensors::tensor::Metadata;
use wire::{ModelChoice, ModelFacts};

use crate::{
    config::Folders,
    security::paths::{self, PathError},
};

/// A model on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Relative to the models folder, as `org/name` or `name`.
    pub name: String,
    /// Folder or GGUF file.
    pub path: PathBuf,
}

/// Hugging Face folders and GGUF files, directly in the folder or one level down (`org/name`). A model in several
/// files is listed by its first one.
pub fn scan(models_dir: &Path) -> Vec<Model> {
    let is_listed = |path: &Path| is_model(path) && !is_later_part(path);
    let mut models = Vec::new();
    for path in children(models_dir) {
        if is_listed(&path) {
            models.push(path);
        } else if path.is_dir() {
            models.extend(children(&path).into_iter().filter(|path| is_listed(path)));
        }
    }
    models
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(models_dir).ok()?.to_str()?.to_owned();
            Some(Model { name, path })
        })
        .collect()
}

/// What `model_name_or_path` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A folder or file in the folder of models or of runs.
    Here(PathBuf),
    /// A model on a hub, by its name there.
    Hub(String),
}

impl Named {
    /// As the engine takes it.
    pub fn into_path(self) -> PathBuf {
        match self {
            Named::Here(path) => path,
            Named::Hub(id) => PathBuf::from(id),
        }
    }
}

/// Finds what a user named. What is not here and can be the name of a model on a hub is one.
///
/// # Errors
/// It is neither.
pub fn named(text: &str, folders: &Folders) -> Result<Named, PathError> {
    let roots = [folders.models_dir.as_path(), folders.runs_dir.as_path()];
    let begins_with =
        |root: &&Path| root.file_name().is_some_and(|name| Path::new(text.trim()).starts_with(name));
    match paths::resolve(text, &roots) {
        // `models/wikc` is a slip, and no model of an owner called `models`.
        Err(PathError::Missing(..)) if is_model_id(text.trim()) && !roots.iter().any(begins_with) => {
            Ok(Named::Hub(text.trim().to_owned()))
        }
        other => other.map(Named::Here),
    }
}

/// Whether a path is something that weights can be loaded from.
pub fn is_model(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("config.json").is_file();
    }
    path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let visible = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut paths: Vec<PathBuf> = visible.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A path as recipes name it: relative to the working directory where it is inside, so that the same
/// recipe runs from the command line.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize());
    let relative = here.as_deref().ok().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}

impl Model {
    /// What the form offers of it.
    pub fn choice(&self) -> ModelChoice {
        let facts = facts(&self.path);
        ModelChoice {
            path: shown(&self.path),
            label: self.name.clone(),
            template: registry::template_for(&self.name).map(str::to_owned),
            parameters: facts.parameters,
            context: facts.context,
            present: true,
            hint: None,
        }
    }
}

/// What a model's files say of its size; of a `.gguf` file, what its name says.
pub fn facts(path: &Path) -> ModelFacts {
    /// Names that families have for the most tokens that they read.
    const CONTEXT: [&str; 4] =
        ["max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"];
    let config = Config::read(&path.join("config.json")).ok();
    let context = |config: &Config| CONTEXT.iter().find_map(|key| config.get(key)?.as_u64());
    let named = || registry::size_in_name(&path.to_string_lossy());
    ModelFacts {
        parameters: parameters(path).or_else(named),
        context: config.as_ref().and_then(context).and_then(|tokens| usize::try_from(tokens).ok()),
    }
}

/// Parameters in the safetensors files of a folder.
pub fn parameters(folder: &Path) -> Option<u64> {
    count(&tensors(folder)?).filter(|sum| *sum > 0)
}

/// Numbers in all of them together.
pub fn count(tensors: &[Tensor]) -> Option<u64> {
    let size = |tensor: &Tensor| tensor.shape.iter().try_fold(1u64, |size, length| size.checked_mul(*length));
    tensors.iter().try_fold(0u64, |sum, tensor| sum.checked_add(size(tensor)?))
}

/// A tensor of a safetensors file.
pub struct Tensor {
    /// Full name in the checkpoint.
    pub name: String,
    /// Sizes of its dimensions.
    pub shape: Vec<u64>,
}

/// The tensors in the safetensors files of a folder, from their headers alone.
pub fn tensors(folder: &Path) -> Option<Vec<Tensor>> {
    let mut tensors = Vec::new();
    for file in children(folder) {
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            let header = header(&file)?;
            let named = header.offset_keys().into_iter().filter_map(|name| {
                let shape = header.info(&name)?.shape.iter().map(|length| *length as u64).collect();
                Some(Tensor { name, shape })
            });
            tensors.extend(named);
        }
    }
    Some(tensors)
}

/// The header of a safetensors file: eight bytes with its length, then JSON. One that is longer than those of real
/// models is not read: it would take many times its length of memory.
fn header(file: &Path) -> Option<Metadata> {
    /// Room for the names of more than a hundred thousand tensors.
    const LONGEST: u64 = 16 << 20;
    let mut file = files::open(file).ok()?;
    let mut length = [0; size_of::<u64>()];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST {
        return None;
    }
    serde_json::from_reader(BufReader::new(file.take(length))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_folders_and_gguf_files_and_counts_parameters() {
        let dir = tempfile::tempdir().unwrap();
        let wick = dir.path().join("wick");
        let deep = dir.path().join("org/deep");
        for folder in [&wick, &deep, &dir.path().join("empty")] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(wick.join("config.json"), "{}").unwrap();
        fs::write(deep.join("config.json"), "{}").unwrap();
        fs::write(dir.path().join("small.gguf"), "").unwrap();
        fs::write(dir.path().join("parts-00001-of-00002.gguf"), "").unwrap();
        fs::write(dir.path().join("parts-00002-of-00002.gguf"), "").unwrap();
        fs::write(dir.path().join("README.md"), "").unwrap();
        let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[4],"data_offsets":[24,40]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        fs::write(wick.join("model.safetensors"), file).unwrap();

        let models = scan(dir.path());
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["org/deep", "parts-00001-of-00002.gguf", "small.gguf", "wick"]);
        assert_eq!(models[3].choice().parameters, Some(10));
        assert_eq!(models[0].choice().parameters, None);
    }
}
