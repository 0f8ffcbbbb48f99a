//! One entry of `dataset_info.json`: where the rows are and what their columns mean.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::wrong;

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
    pub prompt: Option<String>,
    pub query: Option<String>,
    pub response: Option<String>,
    pub history: Option<String>,
    pub messages: Option<String>,
    pub system: Option<String>,
    pub tools: Option<String>,
    pub images: Option<String>,
    pub videos: Option<String>,
    pub audios: Option<String>,
    pub chosen: Option<String>,
    pub rejected: Option<String>,
    pub kto_tag: Option<String>,
}

/// What the fields and roles of messages are called; `None`: there is no such role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    pub role: Option<String>,
    pub content: Option<String>,
    pub user: Option<String>,
    pub assistant: Option<String>,
    pub observation: Option<String>,
    pub function: Option<String>,
    pub system: Option<String>,
}

/// A data set's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    pub name: String,
    /// File or folder.
    pub path: PathBuf,
    pub format: Format,
    /// The rows are pairs of a chosen and a rejected answer.
    pub ranking: bool,
    pub columns: Columns,
    pub tags: Tags,
    /// Draws so many rows at random.
    pub num_samples: Option<usize>,
    /// What in the entry has no effect.
    pub notes: Vec<String>,
}

/// Keys of an entry that mean something here or in LLaMA-Factory.
const KNOWN: [&str; 14] = [
    "hf_hub_url",
    "ms_hub_url",
    "om_hub_url",
    "script_url",
    "cloud_file_name",
    "file_name",
    "file_sha1",
    "subset",
    "split",
    "folder",
    "num_samples",
    "ranking",
    "formatting",
    "columns",
];
const REMOTE: [&str; 5] = ["hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"];

/// Why an entry is wrong.
type Parsed<T> = std::result::Result<T, String>;

impl DatasetInfo {
    pub(super) fn parse(folder: &Path, name: &str, entry: &Map<String, Value>) -> Parsed<Self> {
        if let Some(key) = REMOTE.iter().find(|key| entry.contains_key(**key)) {
            return Err(format!(
                "\"{key}\" names data outside this machine, which is not loaded; download it and name it with \"file_name\""
            ));
        }
        let file = string(entry, "file_name")?.ok_or("has no \"file_name\"")?;
        if Path::new(file).components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(format!("\"file_name\" is \"{file}\", which leaves the data folder"));
        }
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
                let number =
                    value.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|n| *n > 0);
                Some(number.ok_or_else(|| format!("\"num_samples\" {}", wrong("a number above 0", value)))?)
            }
        };
        let known = |key: &&String| key.as_str() == "tags" || KNOWN.contains(&key.as_str());
        let notes = entry.keys().filter(|key| !known(key) && !key.starts_with('_'));
        let notes = notes.map(|key| format!("key \"{key}\" is unknown and has no effect")).collect();
        Ok(Self {
            name: name.to_owned(),
            path: folder.join(file),
            format,
            ranking,
            columns: columns(entry.get("columns"))?,
            tags: tags(entry.get("tags"))?,
            num_samples,
            notes,
        })
    }
}

fn string<'a>(entry: &'a Map<String, Value>, key: &str) -> Parsed<Option<&'a str>> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("\"{key}\" {}", wrong("a text", other))),
    }
}

/// The texts of a map whose keys are all in `allowed`; `None` if there is no map.
fn names<'a>(
    value: Option<&'a Value>,
    what: &str,
    allowed: &[&str],
) -> Parsed<Option<&'a Map<String, Value>>> {
    let map = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(format!("\"{what}\" {}", wrong("an object", other))),
    };
    for (key, value) in map {
        if !allowed.contains(&key.as_str()) {
            return Err(format!(
                "\"{what}\" has an unknown key \"{key}\"; allowed are {}",
                allowed.join(", ")
            ));
        }
        if !value.is_string() && !value.is_null() {
            return Err(format!("\"{what}\".\"{key}\" {}", wrong("a text", value)));
        }
    }
    Ok(Some(map))
}

fn name(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Once `columns` is there, what it does not name does not exist.
fn columns(value: Option<&Value>) -> Parsed<Columns> {
    const ALLOWED: [&str; 13] = [
        "prompt", "query", "response", "history", "messages", "system", "tools", "images", "videos",
        "audios", "chosen", "rejected", "kto_tag",
    ];
    let Some(map) = names(value, "columns", &ALLOWED)? else {
        let default = |name: &str| Some(name.to_owned());
        return Ok(Columns {
            prompt: default("instruction"),
            query: default("input"),
            response: default("output"),
            messages: default("conversations"),
            ..Columns::default()
        });
    };
    Ok(Columns {
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
    })
}

/// As with columns: once `tags` is there, what it does not name does not exist.
fn tags(value: Option<&Value>) -> Parsed<Tags> {
    const ALLOWED: [&str; 7] = [
        "role_tag",
        "content_tag",
        "user_tag",
        "assistant_tag",
        "observation_tag",
        "function_tag",
        "system_tag",
    ];
    let Some(map) = names(value, "tags", &ALLOWED)? else {
        let default = |name: &str| Some(name.to_owned());
        return Ok(Tags {
            role: default("from"),
            content: default("value"),
            user: default("human"),
            assistant: default("gpt"),
            observation: default("observation"),
            function: default("function_call"),
            system: default("system"),
        });
    };
    Ok(Tags {
        role: name(map, "role_tag"),
        content: name(map, "content_tag"),
        user: name(map, "user_tag"),
        assistant: name(map, "assistant_tag"),
        observation: name(map, "observation_tag"),
        function: name(map, "function_tag"),
        system: name(map, "system_tag"),
    })
}
