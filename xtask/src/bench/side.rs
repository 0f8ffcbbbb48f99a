//! One side of a comparison: a process that does the work and prints what it measured.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use serde_json::Value;

use crate::process::{cargo, output, probe, run, say, timed};

/// Runs a process to its end; answers with the JSON in the last line it printed.
pub fn measurements(process: &mut Command) -> anyhow::Result<Value> {
    let text = output(process)?;
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| format!("instead of its measurements it printed: {line}"))
}

/// A number of what [`measurements`] answered with.
pub fn number(value: &Value, key: &str) -> anyhow::Result<f64> {
    value[key].as_f64().with_context(|| format!("no number {key} in {value}"))
}

/// Builds an example of the engine, optimised; answers with its path.
pub fn example(name: &str) -> anyhow::Result<PathBuf> {
    let mut build = cargo(["build", "--release", "--package", "engine", "--example", name]);
    timed("engine, cargo", || run(&mut build))?;
    Ok(Path::new("target/release/examples").join(name).canonicalize()?)
}

/// The named Python if it has these modules; says so where there is none to compare with.
pub fn peer<'a>(python: Option<&'a Path>, modules: &str) -> Option<&'a Path> {
    let Some(python) = python else {
        say("no --python named: measuring Chandler alone");
        return None;
    };
    let mut import = Command::new(python);
    let found = probe(import.args(["-c", &format!("import {modules}")])).is_some();
    if !found {
        say(format!("{} cannot import {modules}: measuring Chandler alone", python.display()));
    }
    found.then_some(python)
}
