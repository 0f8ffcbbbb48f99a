//! Prompts, tool texts, chat templates and token ids against the reference data in `text/` and `data/`.

#[path = "../report/mod.rs"]
mod report;

mod chat_templates;
mod datasets;
mod templates;
mod tool_formats;

use std::path::Path;
use std::process::ExitCode;

use report::{Report, goldens, read_json};
use serde_json::Value;

fn main() -> ExitCode {
    let root = goldens();
    let mut report = Report::default();
    let mut names: Vec<String> = match std::fs::read_dir(root.join("text")) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        }
        Err(e) => {
            report.case("text", || Err(format!("{}: {e}", root.join("text").display())));
            Vec::new()
        }
    };
    names.sort();
    for name in names {
        let path = root.join("text").join(&name);
        match name.as_str() {
            "templates.json" => run(&mut report, &path, templates::run),
            "tool_formats.json" => run(&mut report, &path, tool_formats::run),
            "chat_templates.json" => run(&mut report, &path, chat_templates::run),
            "datasets" => run(&mut report, &path.join("index.json"), |report, index| {
                datasets::run(report, index, &root);
            }),
            other if other.ends_with(".md") => {}
            other => report.case(other, || Err("not supported".into())),
        }
    }
    report.finish()
}

fn run(report: &mut Report, path: &Path, cases: impl FnOnce(&mut Report, &Value)) {
    match read_json(path) {
        Ok(value) => cases(report, &value),
        Err(why) => report.case(&path.display().to_string(), || Err(why)),
    }
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
