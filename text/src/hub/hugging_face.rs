//! The Hugging Face hub, or a mirror of it, with the cache of its own tools:
//!
//! ```text
//! models--owner--name/
//!   blobs/ETAG              contents; ETAG.incomplete while they come
//!   refs/main               the commit that the branch stood at
//!   snapshots/COMMIT/path   a link to its blob
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{Error, Result};
use super::http::{Client, Wanted, escape_path, escape_value};
use super::{
    CACHE_ALONE, Hub, Listing, RemoteFile, RepoKind, Watch, blob, cache_home, is_set, select, variable,
};
use crate::data::HubSource;

const ENDPOINT: &str = "https://huggingface.co";
pub(super) const HUB: &str = "the Hugging Face Hub";
const LOGIN: &str =
    "accept the terms on its page if it asks for that, and set HF_TOKEN to a token that may read it";
/// Where the hub keeps data sets as Parquet, those too that only a script can load.
const CONVERTED: &str = "refs/convert/parquet";

/// The hub, its cache, and who asks.
#[derive(Clone, Debug)]
pub struct HuggingFace {
    client: Client,
    endpoint: String,
    cache: PathBuf,
    /// The variable that forbids requests.
    offline: Option<&'static str>,
}

/// A repository at one commit.
struct Snapshot {
    commit: String,
    files: Vec<RemoteFile>,
    /// The `configs` of a data set's card.
    configs: Value,
}

impl Hub for HuggingFace {
    fn model(&self, id: &str, revision: Option<&str>, watch: Watch) -> Result<PathBuf> {
        let revision = revision.unwrap_or("main");
        let snapshot = match self.snapshot(RepoKind::Model, id, revision)? {
            Found::Remote(snapshot) => snapshot,
            Found::Cached(folder) => return Ok(folder),
        };
        let names: Vec<&str> = snapshot.files.iter().map(|file| file.path.as_str()).collect();
        let wanted = select::model_files(&names).map_err(|message| Error::contents(id, message))?;
        self.fetch(RepoKind::Model, id, &snapshot, &wanted, watch)?;
        Ok(self.folder(RepoKind::Model, id).join("snapshots").join(&snapshot.commit))
    }

    fn listing(&self, id: &str, source: &HubSource, split: &str) -> Result<Listing> {
        let found = self.split(id, "main", source, split)?;
        if let Some(files) = found {
            return Ok(files);
        }
        let converted = HubSource { folder: None, ..source.clone() };
        self.split(id, CONVERTED, &converted, split)?.ok_or_else(|| {
            Error::contents(
                id,
                "holds no files of a kind that is read (json, jsonl, csv, txt, parquet, arrow)",
            )
        })
    }
}

impl HuggingFace {
    /// As the environment says, with the token that is there.
    pub fn from_env() -> Self {
        let home = variable("HF_HOME").map_or_else(|| cache_home().join("huggingface"), PathBuf::from);
        let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
        let token_file = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let token = variable("HF_TOKEN")
            .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| fs::read_to_string(token_file).ok());
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| is_set(name));
        let cache = cache.map_or_else(|| home.join("hub"), PathBuf::from);
        Self::new(&endpoint, &cache, token.as_deref(), offline)
    }

    /// The same hub, of which only the cache is read.
    pub fn in_cache(self) -> Self {
        Self { offline: self.offline.or(Some(CACHE_ALONE)), ..self }
    }

    /// A hub at `endpoint` with its cache at `cache`; `offline` names what forbids requests.
    pub fn new(endpoint: &str, cache: &Path, token: Option<&str>, offline: Option<&'static str>) -> Self {
        Self {
            client: client(token),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.to_owned(),
            offline,
        }
    }

    /// The same hub, asked with this token.
    pub fn with_token(self, token: &str) -> Self {
        Self { client: client(Some(token)), ..self }
    }

    /// Where the hub is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The folder of what was fetched.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Whether requests say who asks.
    pub fn has_token(&self) -> bool {
        self.client.has_headers()
    }

    /// The variable that forbids requests, if one does.
    pub fn offline(&self) -> Option<&'static str> {
        self.offline
    }

    #[cfg(test)]
    pub(super) fn with_silence(mut self, silence: std::time::Duration) -> Self {
        self.client.silence = silence;
        self
    }

    /// One file of a repository.
    ///
    /// # Errors
    /// If it cannot be had, or the repository has none of that path.
    pub fn file(&self, kind: RepoKind, id: &str, path: &str, watch: Watch) -> Result<PathBuf> {
        let missing = || Error::contents(id, format!("holds no {path}"));
        match self.snapshot(kind, id, "main")? {
            Found::Cached(folder) => Some(folder.join(path)).filter(|file| file.exists()).ok_or_else(missing),
            Found::Remote(snapshot) if snapshot.files.iter().all(|file| file.path != path) => Err(missing()),
            Found::Remote(snapshot) => {
                self.fetch(kind, id, &snapshot, &[path.to_owned()], watch)?.pop().ok_or_else(missing)
            }
        }
    }

    /// The files of a split at a revision; none if the repository has no data files at all.
    fn split(&self, id: &str, revision: &str, source: &HubSource, split: &str) -> Result<Option<Listing>> {
        let wrong = |message| Error::contents(id, message);
        let snapshot = match self.snapshot(RepoKind::Dataset, id, revision)? {
            Found::Remote(snapshot) => snapshot,
            Found::Cached(folder) => {
                let names = super::files_below(&folder)?;
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let Some(files) = select::data_files(&names, &Value::Null, source, split).map_err(wrong)?
                else {
                    return Ok(None);
                };
                select::check_whole(&files).map_err(wrong)?;
                return Ok(Some(Listing::here(files.iter().map(|file| folder.join(file)).collect())));
            }
        };
        let names: Vec<&str> = snapshot.files.iter().map(|file| file.path.as_str()).collect();
        let Some(wanted) = select::data_files(&names, &snapshot.configs, source, split).map_err(wrong)?
        else {
            return Ok(None);
        };
        let (hub, id) = (self.clone(), id.to_owned());
        let folder = self.folder(RepoKind::Dataset, &id).join("snapshots").join(&snapshot.commit);
        let files = wanted.iter().map(|path| folder.join(path)).collect();
        Ok(Some(Listing::remote(files, move |place, watch| {
            hub.fetch(RepoKind::Dataset, &id, &snapshot, &wanted[place..=place], watch).map(|_| ())
        })))
    }

    /// `models--owner--name` in the cache.
    fn folder(&self, kind: RepoKind, id: &str) -> PathBuf {
        self.cache.join(format!("{}--{}", kind.plural(), id.replace('/', "--")))
    }

    /// The repository as the hub lists it, or, without a network, as it is in the cache.
    fn snapshot(&self, kind: RepoKind, id: &str, revision: &str) -> Result<Found> {
        let cached = || self.cached(kind, id, revision).map(Found::Cached);
        let what = format!("{} {id}", kind.name());
        if let Some(offline) = self.offline {
            return cached().ok_or(Error::Offline { what, offline });
        }
        match self.list(kind, id, revision, &what) {
            Ok(snapshot) => Ok(Found::Remote(snapshot)),
            Err(error) if error.is_passing() => cached().ok_or(error),
            Err(error) => Err(error),
        }
    }

    fn list(&self, kind: RepoKind, id: &str, revision: &str, what: &str) -> Result<Snapshot> {
        let (endpoint, plural) = (&self.endpoint, kind.plural());
        let url = format!("{endpoint}/api/{plural}/{id}/revision/{}?blobs=true", escape_value(revision));
        let value = self.client.json(&url, what)?;
        let wrong = |key: &str| Error::contents(&url, format!("the answer has no \"{key}\""));
        let commit = value["sha"].as_str().filter(|sha| is_plain(sha)).ok_or_else(|| wrong("sha"))?;
        let siblings = value["siblings"].as_array().ok_or_else(|| wrong("siblings"))?;
        let files = siblings.iter().filter_map(remote_file).collect();
        let reference = self.folder(kind, id).join("refs").join(revision);
        blob::create_parent(&reference)?;
        fs::write(&reference, commit).map_err(|e| Error::io(&reference, e))?;
        Ok(Snapshot { commit: commit.to_owned(), files, configs: value["cardData"]["configs"].clone() })
    }

    /// The folder of a revision that an earlier fetch left, if it holds anything.
    fn cached(&self, kind: RepoKind, id: &str, revision: &str) -> Option<PathBuf> {
        let folder = self.folder(kind, id);
        let commit =
            fs::read_to_string(folder.join("refs").join(revision)).unwrap_or_else(|_| revision.to_owned());
        let snapshot = folder.join("snapshots").join(commit.trim());
        let filled = fs::read_dir(&snapshot).is_ok_and(|mut entries| entries.next().is_some());
        (filled && is_plain(commit.trim())).then_some(snapshot)
    }

    /// Fetches files and puts links to them into the snapshot; returns the links.
    fn fetch(
        &self,
        kind: RepoKind,
        id: &str,
        snapshot: &Snapshot,
        paths: &[String],
        watch: Watch,
    ) -> Result<Vec<PathBuf>> {
        let folder = self.folder(kind, id);
        let prefix = if kind == RepoKind::Dataset { "datasets/" } else { "" };
        let mut links = Vec::with_capacity(paths.len());
        for path in paths {
            let link = folder.join("snapshots").join(&snapshot.commit).join(path);
            links.push(link.clone());
            if link.exists() {
                continue;
            }
            let name = format!("{id}/{path}");
            let commit = &snapshot.commit;
            let url = format!("{}/{prefix}{id}/resolve/{commit}/{}", self.endpoint, escape_path(path));
            let listed = snapshot.files.iter().find(|file| file.path == *path);
            let (etag, size) = match listed.and_then(|file| Some((file.etag.clone()?, file.size))) {
                Some(known) => known,
                None => self.etag(&url, &name)?,
            };
            let target = folder.join("blobs").join(&etag);
            let lock = self.cache.join(".locks").join(folder.file_name().unwrap_or_default());
            let wanted = Wanted { url: &url, name: &name, size, etag: Some(&etag) };
            let lock = lock.join(format!("{etag}.lock"));
            // A blob is called after its contents.
            let is_there =
                || fs::metadata(&target).is_ok_and(|found| size.is_none_or(|size| size == found.len()));
            blob::fetch(&self.client, &wanted, &target, &lock, is_there, watch)?;
            blob::create_parent(&link)?;
            place(&target, &link, path)?;
        }
        Ok(links)
    }

    /// Etag and size, from the headers of the file.
    fn etag(&self, url: &str, name: &str) -> Result<(String, Option<u64>)> {
        let headers = self.client.head(url, name)?;
        let header = |key: &str| headers.get(key).and_then(|value| value.to_str().ok());
        let etag = header("x-linked-etag").or_else(|| header("etag")).unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"');
        if !is_plain(etag) {
            return Err(Error::contents(name, "the hub names no ETag for it"));
        }
        let size = header("x-linked-size")
            .or_else(|| header("content-length").filter(|_| header("location").is_none()));
        Ok((etag.to_owned(), size.and_then(|size| size.parse().ok())))
    }
}

fn client(token: Option<&str>) -> Client {
    let token = token.map(str::trim).filter(|token| !token.is_empty());
    let headers = token.map(|token| ("Authorization", format!("Bearer {token}"))).into_iter().collect();
    Client::new(HUB, LOGIN, headers)
}

/// Where a repository was found.
enum Found {
    Remote(Snapshot),
    Cached(PathBuf),
}

fn remote_file(sibling: &Value) -> Option<RemoteFile> {
    let path = sibling["rfilename"].as_str().filter(|path| select::is_inside(path))?;
    let etag = sibling["lfs"]["sha256"].as_str().or_else(|| sibling["blobId"].as_str());
    let size = sibling["lfs"]["size"].as_u64().or_else(|| sibling["size"].as_u64());
    Some(RemoteFile {
        path: path.to_owned(),
        size,
        etag: etag.filter(|etag| is_plain(etag)).map(str::to_owned),
    })
}

/// Fit to be the name of a file.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Puts a relative link to `blob` at `link`, which is `path` inside a snapshot; a copy where links cannot be made.
fn place(blob: &Path, link: &Path, path: &str) -> Result<()> {
    #[cfg(unix)]
    {
        let up = "../".repeat(path.matches('/').count() + 2);
        let target = format!("{up}blobs/{}", blob.file_name().unwrap_or_default().display());
        match std::os::unix::fs::symlink(&target, link) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && link.exists() => return Ok(()),
            Err(_) => {}
        }
    }
    let _ = path;
    fs::copy(blob, link).map(|_| ()).map_err(|e| Error::io(link, e))
}
