//! One entry of `dataset_info.json`: where the rows are and what their columns mean.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::split::Split;
use super::wrong;

/// Rows that an entry may ask for.
const MOST_SAMPLES: usize = 100_000_000;

/// How the rows of a data set are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Instruction, input, output, history.
    Alpaca,
    /// A list of messages with a role each.
    Sharegpt,
    /// As sharegpt, with OpenAI's tool calls.
    OpenAi,
}

/// Which column holds what; `None`: nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The first part of what the user says.
    pub prompt: Option<String>,
    /// Its second part, put on a line of its own.
    pub query: Option<String>,
    /// The answer.
    pub response: Option<String>,
    /// Earlier turns, pairs of a question and an answer.
    pub history: Option<String>,
    /// The list of messages, in sharegpt's layouts.
    pub messages: Option<String>,
    /// The system text.
    pub system: Option<String>,
    /// Descriptions of tools, as JSON.
    pub tools: Option<String>,
    /// Files of images, which this crate refuses.
    pub images: Option<String>,
    /// Files of videos, which this crate refuses.
    pub videos: Option<String>,
    /// Files of sound, which this crate refuses.
    pub audios: Option<String>,
    /// The better of two answers.
    pub chosen: Option<String>,
    /// The worse of two answers.
    pub rejected: Option<String>,
    /// Whether the answer was found good.
    pub kto_tag: Option<String>,
}

/// What the fields and roles of messages are called; `None`: there is no such role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// The field with who speaks.
    pub role: Option<String>,
    /// The field with what is said.
    pub content: Option<String>,
    /// The role of the user.
    pub user: Option<String>,
    /// The role of the model.
    pub assistant: Option<String>,
    /// The role of a tool that answers.
    pub observation: Option<String>,
    /// The role of the model when it calls a tool.
    pub function: Option<String>,
    /// The role of the system text.
    pub system: Option<String>,
}

/// A data set's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// The key of the entry, by which recipes name the data set.
    pub name: String,
    /// Where the rows are.
    pub source: Source,
    /// Part of the data: the split of a hub's data set, and which of its rows.
    pub split: Split,
    /// SHA-1 that the file should have.
    pub sha1: Option<String>,
    /// How the rows are laid out.
    pub format: Format,
    /// The rows are pairs of a chosen and a rejected answer.
    pub ranking: bool,
    /// Which column holds what.
    pub columns: Columns,
    /// What fields and roles of messages are called.
    pub tags: Tags,
    /// Draws so many rows at random.
    pub num_samples: Option<usize>,
    /// What in the entry has no effect.
    pub notes: Vec<String>,
}

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder of files of one kind.
    File(PathBuf),
    /// A repository of data on a hub.
    Hub(HubSource),
}

/// A data set's names on the hubs, one of which is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubSource {
    /// `owner/name` on the Hugging Face hub.
    pub hugging_face: Option<String>,
    /// `owner/name` on ModelScope.
    pub model_scope: Option<String>,
    /// One of the data sets that a repository holds.
    pub subset: Option<String>,
    /// Folder inside the repository.
    pub folder: Option<String>,
}

/// Keys of an entry that mean something.
const KNOWN: [&str; 13] = [
    "hf_hub_url",
    "ms_hub_url",
    "om_hub_url",
    "file_name",
    "file_sha1",
    "subset",
    "split",
    "folder",
    "num_samples",
    "ranking",
    "formatting",
    "columns",
    "tags",
];

/// Keys of `columns`.
const COLUMNS: [&str; 13] = [
    "prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos", "audios",
    "chosen", "rejected", "kto_tag",
];

/// Keys of `tags`.
const TAGS: [&str; 7] =
    ["role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag"];

/// What the column of `query` is called where nothing else is said; many data sets do without it.
pub(super) const USUAL_QUERY: &str = "input";

/// Why an entry is wrong.
type Parsed<T> = std::result::Result<T, String>;

impl DatasetInfo {
    /// `usual_split` is that of data on a hub, where the entry names none.
    pub(super) fn parse(
        folder: &Path,
        name: &str,
        entry: &Map<String, Value>,
        usual_split: Option<&str>,
    ) -> Parsed<Self> {
        let source = source(folder, entry)?;
        let format = match string(entry, "formatting")? {
            None | Some("alpaca") => Format::Alpaca,
            Some("sharegpt") => Format::Sharegpt,
            Some("openai") => Format::OpenAi,
            Some(other) => {
                return Err(format!("\"formatting\" is \"{other}\"; allowed are alpaca, sharegpt, openai"));
            }
        };
        let ranking = match entry.get("ranking") {
            None | Some(Value::Null) => false,
            Some(value) => {
                value.as_bool().ok_or_else(|| format!("\"ranking\" {}", wrong("true or false", value)))?
            }
        };
        let num_samples = match entry.get("num_samples") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
                let number = number.filter(|number| (1..=MOST_SAMPLES).contains(number));
                let wanted = format!("a number above 0 and at most {MOST_SAMPLES}");
                Some(number.ok_or_else(|| format!("\"num_samples\" {}", wrong(&wanted, value)))?)
            }
        };
        let unknown = entry.keys().filter(|key| !KNOWN.contains(&key.as_str()) && !key.starts_with('_'));
        let mut notes: Vec<String> =
            unknown.map(|key| format!("key \"{key}\" is unknown and has no effect")).collect();
        let columns = columns(format, names(entry, "columns", &COLUMNS, &mut notes)?);
        let tags = tags(format, names(entry, "tags", &TAGS, &mut notes)?);
        let usual_split = usual_split.filter(|_| matches!(source, Source::Hub(_)));
        let split = Split::parse(string(entry, "split")?.or(usual_split))?;
        if matches!(source, Source::File(_)) && split.name != "train" {
            return Err(format!("\"split\" is \"{}\", but a file has the split train alone", split.name));
        }
        Ok(Self {
            name: name.to_owned(),
            source,
            split,
            sha1: string(entry, "file_sha1")?.map(str::to_lowercase),
            format,
            ranking,
            columns,
            tags,
            num_samples,
            notes,
        })
    }
}

impl DatasetInfo {
    /// The file or folder; `None` for data on a hub.
    pub fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Hub(_) => None,
        }
    }
}

/// Where the rows are: on a hub if one is named, else in a file.
fn source(folder: &Path, entry: &Map<String, Value>) -> Parsed<Source> {
    let id = |key: &str| -> Parsed<Option<String>> {
        let id = string(entry, key)?.map(str::trim);
        match id.filter(|id| !crate::hub::is_repository_id(id)) {
            Some(wrong) => Err(format!("\"{key}\" is \"{wrong}\", which is not a name like owner/name")),
            None => Ok(id.map(str::to_owned)),
        }
    };
    let (hugging_face, model_scope) = (id("hf_hub_url")?, id("ms_hub_url")?);
    if hugging_face.is_some() || model_scope.is_some() {
        let owned = |key| -> Parsed<Option<String>> { Ok(string(entry, key)?.map(str::to_owned)) };
        let (subset, folder) = (owned("subset")?, owned("folder")?);
        return Ok(Source::Hub(HubSource { hugging_face, model_scope, subset, folder }));
    }
    for (key, what) in [
        (
            "om_hub_url",
            "data on the Modelers hub, which is not read; give its \"hf_hub_url\" or \"ms_hub_url\"",
        ),
        (
            "script_url",
            "a Python script, which is not run; load it there and name the rows with \"file_name\"",
        ),
        (
            "cloud_file_name",
            "data in a cloud store, which is not read; download it and name it with \"file_name\"",
        ),
    ] {
        if entry.contains_key(key) {
            return Err(format!("\"{key}\" names {what}"));
        }
    }
    let file = string(entry, "file_name")?.ok_or("has no \"file_name\", \"hf_hub_url\" or \"ms_hub_url\"")?;
    if file.is_empty() {
        return Err("\"file_name\" is empty".into());
    }
    if Path::new(file).components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(format!("\"file_name\" is \"{file}\", which leaves the data folder"));
    }
    Ok(Source::File(folder.join(file)))
}

fn string<'a>(entry: &'a Map<String, Value>, key: &str) -> Parsed<Option<&'a str>> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("\"{key}\" {}", wrong("a text", other))),
    }
}

/// The map `what` of an entry, whose known keys name texts; `None` if there is none. What is unknown goes into `notes`.
fn names<'a>(
    entry: &'a Map<String, Value>,
    what: &str,
    known: &[&str],
    notes: &mut Vec<String>,
) -> Parsed<Option<&'a Map<String, Value>>> {
    let map = match entry.get(what) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(format!("\"{what}\" {}", wrong("an object", other))),
    };
    for (key, value) in map {
        if !known.contains(&key.as_str()) {
            notes.push(format!("key \"{key}\" of \"{what}\" is unknown and has no effect"));
        } else if !value.is_string() && !value.is_null() {
            return Err(format!("\"{what}\".\"{key}\" {}", wrong("a text", value)));
        }
    }
    Ok(Some(map))
}

fn name(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Once `columns` is there, what it does not name does not exist.
fn columns(format: Format, map: Option<&Map<String, Value>>) -> Columns {
    let Some(map) = map else {
        let default = |name: &str| Some(name.to_owned());
        if format == Format::OpenAi {
            return Columns { messages: default("messages"), tools: default("tools"), ..Columns::default() };
        }
        return Columns {
            prompt: default("instruction"),
            query: default(USUAL_QUERY),
            response: default("output"),
            messages: default("conversations"),
            ..Columns::default()
        };
    };
    Columns {
        prompt: name(map, "prompt"),
        query: name(map, "query"),
        response: name(map, "response"),
        history: name(map, "history"),
        messages: name(map, "messages"),
        system: name(map, "system"),
        tools: name(map, "tools"),
        images: name(map, "images"),
        videos: name(map, "videos"),
        audios: name(map, "audios"),
        chosen: name(map, "chosen"),
        rejected: name(map, "rejected"),
        kto_tag: name(map, "kto_tag"),
    }
}

/// As with columns: once `tags` is there, what it does not name has no name of its own.
fn tags(format: Format, map: Option<&Map<String, Value>>) -> Tags {
    let Some(map) = map else {
        let default = |name: &str| Some(name.to_owned());
        if format == Format::OpenAi {
            return Tags {
                role: default("role"),
                content: default("content"),
                user: default("user"),
                assistant: default("assistant"),
                observation: default("tool"),
                function: None,
                system: default("system"),
            };
        }
        return Tags {
            role: default("from"),
            content: default("value"),
            user: default("human"),
            assistant: default("gpt"),
            observation: default("observation"),
            function: default("function_call"),
            system: default("system"),
        };
    };
    Tags {
        role: name(map, "role_tag"),
        content: name(map, "content_tag"),
        user: name(map, "user_tag"),
        assistant: name(map, "assistant_tag"),
        observation: name(map, "observation_tag"),
        function: name(map, "function_tag"),
        system: name(map, "system_tag"),
    }
}
