//! ModelScope, with the cache of its own tools: `models/owner/name/path` and `datasets/owner/name/path` below
//! `$MODELSCOPE_CACHE` (`~/.cache/modelscope/hub`).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::{Error, Result};
use super::http::{Client, Wanted, escape_value};
use super::{
    CACHE_ALONE, Hub, Listing, RemoteFile, RepoKind, Watch, blob, cache_home, held, is_set, select, variable,
};
use crate::data::HubSource;

const DOMAIN: &str = "www.modelscope.cn";
pub(super) const HUB: &str = "ModelScope";
const LOGIN: &str = "set MODELSCOPE_API_TOKEN to a token that may read it";
/// The branch that repositories start with; `main` on the other hub.
const DEFAULT: &str = "master";
/// Files that a list of a data set's files gives at a time.
const PAGE: usize = 100;

/// The hub, its cache, and who asks.
#[derive(Clone, Debug)]
pub struct ModelScope {
    client: Client,
    endpoint: String,
    cache: PathBuf,
    /// The variable that forbids requests.
    offline: Option<&'static str>,
}

impl Hub for ModelScope {
    fn model(&self, id: &str, revision: Option<&str>, watch: Watch) -> Result<PathBuf> {
        let folder = self.folder(RepoKind::Model, id);
        let cached = || is_model_of(&folder, revision).then(|| folder.clone());
        let revision = revision.filter(|revision| !is_default(revision)).unwrap_or(DEFAULT);
        let what = match revision {
            DEFAULT => format!("model {id}"),
            other => format!("model {id} at revision {other}"),
        };
        if let Some(offline) = self.offline {
            return cached().ok_or(Error::Offline { what, offline });
        }
        let url = format!(
            "{}/api/v1/models/{id}/repo/files?Revision={}&Recursive=True",
            self.endpoint,
            escape_value(revision)
        );
        let files = match self.files(&url, &what) {
            Err(error) if error.is_passing() => return cached().ok_or(error),
            other => other?.0,
        };
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let wanted = select::model_files(&names).map_err(|message| Error::contents(id, message))?;
        self.fetch(RepoKind::Model, id, revision, &files, &wanted, watch)?;
        held::keep_only(&folder, &wanted);
        Ok(folder)
    }

    fn listing(&self, id: &str, source: &HubSource, split: &str) -> Result<Listing> {
        let what = format!("dataset {id}");
        let folder = self.folder(RepoKind::Dataset, id);
        let (files, local) = match self.offline {
            Some(offline) if !folder.exists() => return Err(Error::Offline { what, offline }),
            Some(_) => (local_files(&folder), true),
            None => match self.dataset_files(id, DEFAULT, &what) {
                Err(error) if error.is_passing() && folder.exists() => (local_files(&folder), true),
                other => (other?, false),
            },
        };
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let wrong = |message: String| Error::contents(id, message);
        let wanted = select::data_files(&names, &Value::Null, source, split).map_err(wrong)?;
        let wanted = wanted.ok_or_else(|| {
            wrong("holds no files of a kind that is read (json, jsonl, csv, txt, parquet, arrow)".into())
        })?;
        let places = wanted.iter().map(|path| folder.join(path)).collect();
        if local {
            select::check_whole(&wanted).map_err(wrong)?;
            return Ok(Listing::here(places));
        }
        let (hub, id) = (self.clone(), id.to_owned());
        Ok(Listing::remote(places, move |place, watch| {
            hub.fetch(RepoKind::Dataset, &id, DEFAULT, &files, &wanted[place..=place], watch)
        }))
    }
}

impl ModelScope {
    /// As the environment says, with the token that is there.
    pub fn from_env() -> Self {
        let domain = variable("MODELSCOPE_DOMAIN").unwrap_or_else(|| DOMAIN.to_owned());
        let endpoint = if domain.contains("://") { domain } else { format!("https://{domain}") };
        let cache =
            variable("MODELSCOPE_CACHE").map_or_else(|| cache_home().join("modelscope/hub"), PathBuf::from);
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| is_set(name));
        Self::new(&endpoint, &cache, variable("MODELSCOPE_API_TOKEN").as_deref(), offline)
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

    /// The folder of a repository; dots in names become `___`, as the hub's tools have it.
    fn folder(&self, kind: RepoKind, id: &str) -> PathBuf {
        self.cache.join(kind.plural()).join(id.replace('.', "___"))
    }

    fn dataset_files(&self, id: &str, revision: &str, what: &str) -> Result<Vec<RemoteFile>> {
        // Lists of files go by the data set's number, not by its name.
        let about = self.client.json(&format!("{}/api/v1/datasets/{id}", self.endpoint), what)?;
        let number = match &about["Data"]["Id"] {
            Value::Number(number) => number.to_string(),
            Value::String(text) => escape_value(text),
            _ => return Err(Error::contents(what, "ModelScope gives it no number (\"Id\")")),
        };
        let mut files = Vec::new();
        for page in 1.. {
            let url = format!(
                "{}/api/v1/datasets/{number}/repo/tree?Revision={}&Root=%2F&Recursive=True&PageNumber={page}&PageSize={PAGE}",
                self.endpoint,
                escape_value(revision)
            );
            let (found, listed) = self.files(&url, what)?;
            files.extend(found);
            if listed < PAGE {
                break;
            }
        }
        Ok(files)
    }

    /// The files of a list, and how many entries it had.
    fn files(&self, url: &str, what: &str) -> Result<(Vec<RemoteFile>, usize)> {
        let value = self.client.json(url, what)?;
        let files = value["Data"]["Files"].as_array().ok_or_else(|| {
            let said = value["Message"].as_str().unwrap_or("the answer has no \"Data\".\"Files\"");
            Error::contents(what, format!("ModelScope says: {said}"))
        })?;
        let file = |entry: &Value| {
            let path = entry["Path"].as_str().filter(|path| select::is_inside(path))?;
            let is_file = entry["Type"].as_str() != Some("tree");
            let etag = entry["Sha256"].as_str().filter(|hash| hash.len() == 64).map(str::to_owned);
            is_file.then(|| RemoteFile { path: path.to_owned(), size: entry["Size"].as_u64(), etag })
        };
        Ok((files.iter().filter_map(file).collect(), files.len()))
    }

    fn fetch(
        &self,
        kind: RepoKind,
        id: &str,
        revision: &str,
        files: &[RemoteFile],
        paths: &[String],
        watch: Watch,
    ) -> Result<()> {
        let folder = self.folder(kind, id);
        for path in paths {
            let target = folder.join(path);
            let unlisted = || RemoteFile { path: path.clone(), size: None, etag: None };
            let file = files.iter().find(|file| file.path == *path).cloned().unwrap_or_else(unlisted);
            let query = format!("Revision={}&FilePath={}", escape_value(revision), escape_value(path));
            let source = if kind == RepoKind::Dataset { "Source=SDK&" } else { "" };
            let url = format!("{}/api/v1/{}/{id}/repo?{source}{query}", self.endpoint, kind.plural());
            let lock = self.cache.join(".lock").join(format!("{}--{}", kind.plural(), id.replace('/', "--")));
            let name = format!("{id}/{path}");
            let wanted = Wanted { url: &url, name: &name, size: file.size, etag: file.etag.as_deref() };
            let is_there = || held::is_there(&folder, revision, &file);
            blob::fetch(&self.client, &wanted, &target, &lock, is_there, watch)?;
            held::remember(&folder, revision, &file);
        }
        Ok(())
    }
}

fn client(token: Option<&str>) -> Client {
    let token = token.map(str::trim).filter(|token| !token.is_empty());
    let headers = token.map(|token| {
        [("Authorization", format!("Bearer {token}")), ("Cookie", format!("m_session_id={token}"))]
    });
    Client::new(HUB, LOGIN, headers.into_iter().flatten().collect())
}

fn is_default(revision: &str) -> bool {
    ["main", DEFAULT].contains(&revision)
}

/// Whether the folder holds a model, and that of the revision where one is asked for.
fn is_model_of(folder: &Path, revision: Option<&str>) -> bool {
    const CONFIG: &str = "config.json";
    let same =
        |held: &str| revision.is_none_or(|asked| asked == held || is_default(asked) && is_default(held));
    folder.join(CONFIG).exists() && held::revision(folder, CONFIG).is_none_or(|held| same(&held))
}

/// What an earlier fetch left.
fn local_files(folder: &Path) -> Vec<RemoteFile> {
    let files = super::files_below(folder).unwrap_or_default().into_iter();
    let complete = files.filter(|path| !path.ends_with(".incomplete"));
    complete.map(|path| RemoteFile { path, size: None, etag: None }).collect()
}
