//! Quantised layouts and adapters against the libraries that write them.

#[path = "../common/backends.rs"]
mod backends;
#[path = "../common/mod.rs"]
mod common;
mod gguf;
mod layouts;
mod models;
mod peft;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

type Check<T = ()> = Result<T, String>;

/// The check of one case's file or folder.
type Checker = fn(&Path) -> Check;

fn main() {
    let layouts: [(&str, Checker); 5] = [
        ("gguf", gguf::check),
        ("bnb", layouts::bnb),
        ("gptq", layouts::gptq),
        ("awq", layouts::awq),
        ("aqlm", layouts::aqlm),
    ];
    let root = common::goldens("quant");
    let mut cases: Vec<common::Case> = Vec::new();
    let mut add = |kind: &str, path: PathBuf, check: Checker| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.push((format!("{kind}/{name}"), Box::new(move || check(&path))));
    };
    for (kind, check) in layouts {
        for path in files(&root.join(kind)) {
            add(kind, path, check);
        }
    }
    for folder in common::cases(&root.join("peft"), "adapter_config.json") {
        add("peft", folder, peft::check);
    }
    cases.extend(backends::both(common::cases(&root.join("models"), "golden.safetensors"), models::check));
    common::run(cases);
}

/// The safetensors files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")).collect();
    files.sort();
    files
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The tensors of a file, but for the types that candle has none of.
fn load(path: &Path) -> Check<HashMap<String, Tensor>> {
    let file = std::fs::read(path).map_err(say)?;
    let tensors = SafeTensors::deserialize(&file).map_err(say)?.tensors();
    let known = tensors.into_iter().filter(|(_, view)| view.dtype() != Dtype::I8);
    known.map(|(name, view)| Ok((name, view.load(&Device::Cpu).map_err(say)?))).collect()
}

fn description(path: &Path) -> Check<Value> {
    let text = std::fs::read_to_string(path.with_extension("json")).map_err(say)?;
    serde_json::from_str(&text).map_err(say)
}

fn numbers(tensor: &Tensor) -> Check<Vec<f32>> {
    tensor.flatten_all().and_then(|t| t.to_dtype(DType::F32)).and_then(|t| t.to_vec1()).map_err(say)
}

/// Compares tensors entry by entry; a tolerance of zero wants them equal.
fn close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) -> Check {
    if got.dims() != want.dims() {
        return Err(format!("{what} has shape {:?}, expected {:?}", got.dims(), want.dims()));
    }
    for (i, (got, want)) in numbers(got)?.into_iter().zip(numbers(want)?).enumerate() {
        if !common::within(f64::from(got), f64::from(want), tolerance) {
            return Err(format!("{what}, entry {i}: {got}, expected {want}"));
        }
    }
    Ok(())
}
