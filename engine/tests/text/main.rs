//! Prompts, tool texts, chat templates and token ids against the reference data in `text/` and `data/`.

#[allow(dead_code)] // One of its helpers is for targets with a folder per case.
#[path = "../common/mod.rs"]
mod common;

mod chat_templates;
mod datasets;
mod early;
mod exports;
mod labels;
mod schedules;
mod templates;
mod tool_formats;
mod tool_turns;

use std::path::Path;

use serde_json::Value;

/// Why a case failed.
type Outcome = Result<(), String>;

/// The cases found so far.
#[derive(Default)]
struct Cases(Vec<common::Case>);

impl Cases {
    fn add(&mut self, name: impl Into<String>, run: impl Fn() -> Outcome + 'static) {
        self.0.push((name.into(), Box::new(run)));
    }

    fn fail(&mut self, name: impl Into<String>, why: impl Into<String>) {
        let why = why.into();
        self.add(name, move || Err(why.clone()));
    }
}

fn main() {
    let folder = common::goldens("text");
    let mut cases = Cases::default();
    let mut names: Vec<String> = match std::fs::read_dir(&folder) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        }
        Err(e) => {
            cases.fail("text", format!("{}: {e}", folder.display()));
            Vec::new()
        }
    };
    names.sort();
    for name in names {
        let path = folder.join(&name);
        match name.as_str() {
            "templates.json" => find(&mut cases, &path, templates::find),
            "template_exports.json" => find(&mut cases, &path, exports::find),
            "tool_formats.json" => find(&mut cases, &path, tool_formats::find),
            "chat_templates.json" | "jinja.json" => find(&mut cases, &path, chat_templates::find),
            // The crate of texts measures these.
            "metrics.json" | "similarity.json" => {}
            "lr_schedules.json" => find(&mut cases, &path, schedules::find),
            "measured_schedules.json" => find(&mut cases, &path, schedules::measured),
            "early_templates.json" => find(&mut cases, &path, early::find),
            "tool_turns.json" => find(&mut cases, &path, tool_turns::find),
            "tool_edges.json" => find(&mut cases, &path, tool_formats::edges),
            "datasets" => find(&mut cases, &path.join("index.json"), datasets::find),
            other if other.ends_with(".md") => {}
            other => cases.fail(other, "not supported"),
        }
    }
    labels::add(&mut cases);
    common::run(cases.0)
}

/// Adds the cases of a JSON file.
fn find(cases: &mut Cases, path: &Path, add: fn(&mut Cases, &Value)) {
    let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
    match read.and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string())) {
        Ok(value) => add(cases, &value),
        Err(why) => cases.fail(path.display().to_string(), why),
    }
}

/// Equal, or what was got and what was expected.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}")) }
}

/// The text of a field, empty if it is missing or null.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The entries of an object.
fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The items of a list.
fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
