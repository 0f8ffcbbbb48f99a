//! Models and data from the Hugging Face hub and from ModelScope.
//!
//! What is fetched lies in the cache that the hub's own tools use, so that nothing is fetched twice:
//! `models--owner--name/{blobs,refs,snapshots}` for Hugging Face, `models/owner/name` for ModelScope.
//!
//! | variable | meaning |
//! |---|---|
//! | `HF_ENDPOINT` | mirror of the Hugging Face hub |
//! | `HF_TOKEN`, or the file `HF_TOKEN_PATH` (`$HF_HOME/token`) | who asks, unless the recipe has a token |
//! | `HF_HOME`, `HF_HUB_CACHE` | where the cache is |
//! | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | `1`: only what is in the cache |
//! | `USE_MODELSCOPE_HUB` | `1`: ModelScope before Hugging Face |
//! | `MODELSCOPE_DOMAIN`, `MODELSCOPE_CACHE`, `MODELSCOPE_API_TOKEN` | the same for ModelScope |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | proxies |

mod blob;
mod download;
mod error;
mod held;
mod http;
mod hugging_face;
mod listing;
mod model_scope;
mod select;
#[cfg(test)]
mod tests;

pub use blob::hash;
pub use error::{Error, Result};
pub use hugging_face::HuggingFace;
pub use listing::Listing;
pub use model_scope::ModelScope;

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use recipe::HubTokens;

use crate::data::HubSource;

/// Stands where a variable that forbids requests is named, if it is the caller who wants none.
const CACHE_ALONE: &str = "reading nothing but the cache";

/// What kind of repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepoKind {
    /// Weights and tokenizer of a model.
    Model,
    /// Files of data.
    Dataset,
}

impl RepoKind {
    /// In URLs and names of folders.
    fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }
}

/// How far a download is: `owner/name/model.safetensors: 12.3 of 988.1 MB`.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Repository and path.
    pub file: &'a str,
    /// Bytes.
    pub done: u64,
    /// Bytes of the whole file, where the hub tells.
    pub total: Option<u64>,
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |bytes: u64| bytes as f64 / 1e6;
        write!(f, "{}: {:.1}", self.file, mega(self.done))?;
        if let Some(total) = self.total {
            write!(f, " of {:.1}", mega(total))?;
        }
        f.write_str(" MB")
    }
}

/// Is told how a download goes, and may break it off; a later one goes on from there.
pub type Watch<'a> = &'a mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>;

/// What both hubs do.
trait Hub {
    /// The folder of model `id`, which is fetched as far as it is not there. `revision` is a branch, tag or commit.
    ///
    /// # Errors
    /// If the repository cannot be had or holds no model that can be read.
    fn model(&self, id: &str, revision: Option<&str>, watch: Watch) -> Result<PathBuf>;

    /// The files of a split of data set `id`, which are not fetched yet.
    ///
    /// # Errors
    /// If the repository cannot be had or holds no such data.
    fn listing(&self, id: &str, source: &HubSource, split: &str) -> Result<Listing>;
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RemoteFile {
    path: String,
    size: Option<u64>,
    /// SHA-256 of the contents, or SHA-1 of the git blob; also the blob's name in the Hugging Face cache.
    etag: Option<String>,
}

/// The hubs, as the environment sets them up and a recipe's tokens ask them.
#[derive(Clone, Debug)]
pub struct Hubs {
    /// The Hugging Face hub, or its mirror.
    pub hugging_face: HuggingFace,
    /// ModelScope.
    pub model_scope: ModelScope,
    /// ModelScope is asked for what both have.
    pub prefer_model_scope: bool,
}

impl Hubs {
    /// As the environment says, without a recipe's tokens.
    pub fn from_env() -> Self {
        Self {
            hugging_face: HuggingFace::from_env(),
            model_scope: ModelScope::from_env(),
            prefer_model_scope: is_set("USE_MODELSCOPE_HUB"),
        }
    }

    /// The hubs as a recipe asks them: with its tokens where it has some, before those of the environment.
    pub fn with_tokens(tokens: &HubTokens) -> Self {
        let Self { mut hugging_face, mut model_scope, prefer_model_scope } = Self::from_env();
        if let Some(token) = &tokens.hugging_face {
            hugging_face = hugging_face.with_token(token);
        }
        if let Some(token) = &tokens.model_scope {
            model_scope = model_scope.with_token(token);
        }
        Self { hugging_face, model_scope, prefer_model_scope }
    }

    /// The same hubs, of which only the caches are read.
    pub fn in_cache(self) -> Self {
        let Self { hugging_face, model_scope, prefer_model_scope } = self;
        Self {
            hugging_face: hugging_face.in_cache(),
            model_scope: model_scope.in_cache(),
            prefer_model_scope,
        }
    }

    /// The name of the hub that is asked for models.
    pub fn of_models(&self) -> &'static str {
        if self.prefer_model_scope { model_scope::HUB } else { hugging_face::HUB }
    }

    /// The folder of model `id`, which is fetched as far as it is not there. `revision` is a branch, tag or commit.
    ///
    /// # Errors
    /// If the repository cannot be had or holds no model that can be read.
    pub fn model(&self, id: &str, revision: Option<&str>, watch: Watch) -> Result<PathBuf> {
        let hub: &dyn Hub = if self.prefer_model_scope { &self.model_scope } else { &self.hugging_face };
        hub.model(id, revision, watch)
    }

    /// The files of a split of a data set, fetched as far as they are not there.
    ///
    /// # Errors
    /// If the repository cannot be had or holds no such data.
    pub fn data_files(&self, source: &HubSource, split: &str, watch: Watch) -> Result<Vec<PathBuf>> {
        self.listing(source, split)?.all(watch)
    }

    /// The files of a split of a data set, which are not fetched yet.
    ///
    /// # Errors
    /// If the repository cannot be had or holds no such data.
    pub fn listing(&self, source: &HubSource, split: &str) -> Result<Listing> {
        let (hub, id): (&dyn Hub, _) = match (&source.hugging_face, &source.model_scope) {
            (hugging_face, Some(id)) if self.prefer_model_scope || hugging_face.is_none() => {
                (&self.model_scope, id)
            }
            (Some(id), _) => (&self.hugging_face, id),
            (None, _) => return Err(Error::contents("the dataset", "has no name on any hub")),
        };
        hub.listing(id, source, split)
    }
}

/// Whether `text` can be the name of a repository: `name` or `owner/name`.
pub fn is_repository_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_name = |part: &&str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    (1..=2).contains(&parts.len()) && text.len() <= 96 && parts.iter().all(is_name)
}

/// Whether `name` is how a model on a hub is named: `owner/name`.
pub fn is_model_id(name: &str) -> bool {
    name.contains('/') && is_repository_id(name)
}

/// A folder or file for a model's name: the path itself where something is, else the hub's model of that name.
///
/// # Errors
/// If it is neither, or the hub does not have it.
pub fn resolve_model(
    name: &str,
    revision: Option<&str>,
    tokens: &HubTokens,
    watch: Watch,
) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.exists() || !is_model_id(name) {
        return Ok(path.to_owned());
    }
    let hubs = Hubs::with_tokens(tokens);
    hubs.model(name, revision, watch).map_err(|error| match error {
        Error::Stopped => error,
        error => Error::Model { name: name.to_owned(), hub: hubs.of_models(), source: Box::new(error) },
    })
}

/// Nothing is said about a download.
pub fn quietly(_: &Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Calls `say` when a file starts, and then every so often.
pub fn paced(every: Duration, mut say: impl FnMut(&Progress<'_>)) -> impl FnMut(&Progress<'_>) {
    let mut file = String::new();
    let mut last = Instant::now();
    move |progress: &Progress<'_>| {
        if progress.file == file && last.elapsed() < every {
            return;
        }
        progress.file.clone_into(&mut file);
        last = Instant::now();
        say(progress);
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_set(variable: &str) -> bool {
    let value = std::env::var(variable).unwrap_or_default().to_lowercase();
    ["1", "true", "yes", "on"].contains(&value.as_str())
}

/// A variable that is there and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// `$XDG_CACHE_HOME` or `~/.cache`.
pub(crate) fn cache_home() -> PathBuf {
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
}

/// Paths of the files below a folder, relative to it.
fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(|e| Error::io(&next, e))? {
            let path = entry.map_err(|e| Error::io(&next, e))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(folder) {
                files.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    Ok(files)
}
