//! Changes to `dataset_info.json`: one at a time, checked before they are written, written beside and renamed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use engine::text::data::{
    Catalog, Columns, DatasetInfo, Tags,
    files::{Rows, files_of},
};
use serde_json::{Map, Value};
use wire::{ALPACA_COLUMNS, BoardError, EntryDraft, EntryForm, MESSAGE_COLUMNS, SHARED_COLUMNS, TAGS};

use super::{files, guess};
use crate::security::paths;

const FILE: &str = "dataset_info.json";
const LONGEST_NAME: usize = 100;

type Entries = Map<String, Value>;

/// The form of the entry `name`; without a name, of a new one for `file`.
pub(super) fn form(dir: &Path, name: &str, file: &str) -> Result<EntryForm, BoardError> {
    let entries = read(dir)?;
    if name.is_empty() {
        let mut draft =
            EntryDraft { formatting: "alpaca".into(), file_name: file.to_owned(), ..EntryDraft::default() };
        draft.name = file.split('.').next().unwrap_or_default().replace(',', "_");
        if !file.is_empty() {
            let path = paths::resolve(&dir.join(file).display().to_string(), &[dir]);
            let path = path.map_err(|e| refused(e.to_string()))?;
            let files = files_of(&path).map_err(|e| refused(e.to_string()))?;
            super::source::inside(dir, &files)?;
            guess::fill_in(&mut draft, Rows::of(files));
        }
        return Ok(EntryForm { original: None, draft, own_file: None });
    }
    let raw = entries.get(name).ok_or_else(|| BoardError::NotFound(name.to_owned()))?;
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut draft = EntryDraft {
        name: name.to_owned(),
        file_name: text("file_name"),
        hf_hub_url: text("hf_hub_url"),
        ms_hub_url: text("ms_hub_url"),
        subset: text("subset"),
        split: text("split"),
        folder: text("folder"),
        num_samples: raw
            .get("num_samples")
            .filter(|n| !n.is_null())
            .map(Value::to_string)
            .unwrap_or_default(),
        formatting: Some(text("formatting"))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "alpaca".into()),
        ranking: raw.get("ranking").and_then(Value::as_bool).unwrap_or_default(),
        ..EntryDraft::default()
    };
    match Catalog::of(dir, entries.clone()).get(name) {
        // What an entry does not say has defaults, which the form shows.
        Ok(DatasetInfo { columns, tags, .. }) => {
            draft.columns = column_names(columns);
            draft.tags = tag_names(tags);
        }
        Err(_) => {
            draft.columns = raw_names(raw.get("columns"));
            draft.tags = raw_names(raw.get("tags"));
        }
    }
    Ok(EntryForm { original: Some(name.to_owned()), own_file: own_file(dir, &entries, name), draft })
}

fn raw_names(table: Option<&Value>) -> BTreeMap<String, String> {
    let named = table.and_then(Value::as_object).into_iter().flatten();
    named.filter_map(|(key, name)| Some((key.clone(), name.as_str()?.to_owned()))).collect()
}

fn column_names(columns: Columns) -> BTreeMap<String, String> {
    let Columns {
        prompt,
        query,
        response,
        history,
        messages,
        system,
        tools,
        images,
        videos,
        audios,
        chosen,
        rejected,
        kto_tag,
    } = columns;
    let shared = [system, tools, images, videos, audios, chosen, rejected, kto_tag];
    let alpaca = ALPACA_COLUMNS.into_iter().zip([prompt, query, response, history]);
    named(
        alpaca
            .chain(MESSAGE_COLUMNS.into_iter().zip([messages]))
            .chain(SHARED_COLUMNS.into_iter().zip(shared)),
    )
}

fn tag_names(tags: Tags) -> BTreeMap<String, String> {
    let Tags { role, content, user, assistant, observation, function, system } = tags;
    named(TAGS.into_iter().zip([role, content, user, assistant, observation, function, system]))
}

fn named(names: impl Iterator<Item = (&'static str, Option<String>)>) -> BTreeMap<String, String> {
    names.filter_map(|(key, name)| Some((key.to_owned(), name?))).collect()
}

/// Adds the entry of a draft, or changes the one called `original`.
pub(super) fn save(dir: &Path, original: Option<&str>, draft: &EntryDraft) -> Result<(), BoardError> {
    let name = draft.name.trim();
    let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !is_name || name.contains(',') || name.chars().any(char::is_control) {
        return Err(refused(format!(
            "`{name}` cannot be a dataset's name: it needs 1 to {LONGEST_NAME} characters, and no comma"
        )));
    }
    let mut entries = read(dir)?;
    if original != Some(name) && entries.contains_key(name) {
        return Err(refused(format!("there is a dataset `{name}` already; choose another name")));
    }
    let before = match original {
        Some(original) => {
            let entry = entries.get(original).ok_or_else(|| BoardError::NotFound(original.to_owned()))?;
            entry.as_object().cloned().unwrap_or_default()
        }
        None => Entries::new(),
    };
    let samples = match draft.num_samples.trim() {
        "" => None,
        typed => Some(typed.parse::<u64>().map_err(|_| {
            refused(format!("`num_samples` is `{typed}`; it needs a number above 0, or nothing for all rows"))
        })?),
    };
    let entry = Value::Object(merged(before, draft, samples));
    // A new name takes the old one's place in the order.
    match original {
        Some(original) if original != name => {
            let renamed =
                |(key, value)| if key == original { (name.to_owned(), entry.clone()) } else { (key, value) };
            entries = entries.into_iter().map(renamed).collect();
        }
        _ => drop(entries.insert(name.to_owned(), entry)),
    }
    let catalog = Catalog::of(dir, entries.clone());
    let info = catalog.get(name).map_err(|e| refused(e.to_string()))?;
    if info.file().is_some() {
        files::find(&catalog, dir, name).map_err(refused)?;
        catalog.look(name).map_err(|e| refused(e.to_string()))?;
    }
    write(dir, &entries)
}

/// Removes an entry, and its file if that is one of the data folder's that no other entry names.
pub(super) fn delete(dir: &Path, name: &str) -> Result<(), BoardError> {
    let mut entries = read(dir)?;
    let file = own_file(dir, &entries, name);
    entries.shift_remove(name).ok_or_else(|| BoardError::NotFound(name.to_owned()))?;
    write(dir, &entries)?;
    match file {
        Some(file) => fs::remove_file(dir.join(&file)).map_err(|e| {
            BoardError::Internal(format!("the entry is removed, but {file} cannot be deleted: {e}"))
        }),
        None => Ok(()),
    }
}

/// The file that goes with an entry when it is deleted, as the entry names it.
pub(super) fn own_file(dir: &Path, entries: &Entries, name: &str) -> Option<String> {
    let file_of = |entry: &Value| entry.get("file_name").and_then(Value::as_str).map(str::to_owned);
    let entry = entries.get(name)?;
    let file = file_of(entry).filter(|_| entry.get("hf_hub_url").or(entry.get("ms_hub_url")).is_none())?;
    let path = paths::resolve(&dir.join(&file).display().to_string(), &[dir]).ok()?;
    let is_shared = entries.iter().any(|(other, entry)| {
        let same = |file: String| {
            dir.join(file).canonicalize().is_ok_and(|other| other == path || path.starts_with(other))
        };
        other != name && file_of(entry).is_some_and(same)
    });
    let is_own = path.is_file() && path != dir.join(FILE) && !is_shared;
    is_own.then_some(file)
}

/// The raw entries; none where there is no file yet. A file that does not say one thing alone is not changed.
pub(super) fn read(dir: &Path) -> Result<Entries, BoardError> {
    if !dir.join(FILE).exists() {
        return Ok(Entries::new());
    }
    Catalog::open(dir).and_then(Catalog::into_entries).map_err(|e| refused(e.to_string()))
}

/// What the form knows, laid over what the entry had.
fn merged(mut entry: Entries, draft: &EntryDraft, samples: Option<u64>) -> Entries {
    let mut set = |key: &str, value: Option<Value>| match value {
        Some(value) => drop(entry.insert(key.to_owned(), value)),
        None => drop(entry.shift_remove(key)),
    };
    let text = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(Value::from);
    let table = |names: &BTreeMap<String, String>, order: &[&str]| {
        let named = order.iter().filter_map(|key| Some(((*key).to_owned(), text(names.get(*key)?)?)));
        let table: Entries = named.collect();
        (!table.is_empty()).then_some(Value::Object(table))
    };
    set("file_name", text(&draft.file_name));
    set("hf_hub_url", text(&draft.hf_hub_url));
    set("ms_hub_url", text(&draft.ms_hub_url));
    set("subset", text(&draft.subset));
    set("split", text(&draft.split));
    set("folder", text(&draft.folder));
    set("num_samples", samples.map(Value::from));
    set("formatting", text(&draft.formatting).filter(|format| format != "alpaca"));
    set("ranking", draft.ranking.then_some(Value::Bool(true)));
    let has_messages = draft.formatting != "alpaca";
    let layout: &[&str] = if has_messages { &MESSAGE_COLUMNS } else { &ALPACA_COLUMNS };
    set("columns", table(&draft.columns, &[layout, &SHARED_COLUMNS].concat()));
    set("tags", table(&draft.tags, &TAGS).filter(|_| has_messages));
    entry
}

fn write(dir: &Path, entries: &Entries) -> Result<(), BoardError> {
    let store = || -> io::Result<()> {
        let beside = dir.join(format!(".{FILE}.new"));
        let mut file = File::create(&beside)?;
        file.write_all(serde_json::to_string_pretty(entries)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, dir.join(FILE))
    };
    let stored = store();
    if stored.is_err() {
        let _ = fs::remove_file(dir.join(format!(".{FILE}.new")));
    }
    stored.map_err(|e| BoardError::Internal(format!("cannot write {}: {e}", dir.join(FILE).display())))
}

fn refused(why: impl Into<String>) -> BoardError {
    BoardError::Refused(why.into())
}
