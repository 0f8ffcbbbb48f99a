//! GGUF files as llama.cpp's own converter and quantiser write them (`benches/gguf_goldens.py`): configuration and
//! weights are those of the folder that a file was made of, logits those of llama.cpp (`benches/gguf_logits.py`) or,
//! where a case has them, of that folder.

#[path = "../common/mod.rs"]
mod common;
mod tokens;

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use engine::autograd::Tape;
use engine::families::{self, Config, DecoderSpec};
use engine::kernel::activation::Activation;
use engine::model::{Batch, Decoder, Pass, Tuning, WeightSource};
use engine::tensor::from_vec;
use engine::weights;

type Check<T = ()> = Result<T, String>;

/// Largest error of logits by the file's name, beside a golden model's own: what the type of its weights loses where
/// logits are of about size one; a mixture may choose another expert.
const LOGITS: &[(&str, f64)] = &[("f16", 0.02), ("q8_0", 0.5)];
/// The same beside llama.cpp's, of the same weights as f32 and in parts of the logits' own size: forty layers magnify
/// what is rounded, and it has one GELU, the approximate one.
const SAME_WEIGHTS: [(Activation, f64); 3] =
    [(Activation::Silu, 3e-4), (Activation::GeluTanh, 3e-4), (Activation::Gelu, 1e-3)];
/// Files with drawn weights.
const DRAWN: &[&str] = &["model", "fused"];

fn main() {
    let mut cases: Vec<common::Case> = Vec::new();
    for folder in common::cases(&common::goldens("gguf"), "config.json") {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in files(&folder) {
            let kind = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (golden, own) = (folder.join("golden.safetensors"), file.with_extension("safetensors"));
            let tolerance = LOGITS.iter().find(|(known, _)| *known == kind).map(|(_, tolerance)| *tolerance);
            let mut add = |what: &str, check: Box<dyn Fn() -> Check>| {
                cases.push((format!("{name}/{kind}/{what}"), check));
            };
            if DRAWN.contains(&kind.as_str()) {
                let (folder, file) = (folder.clone(), file.clone());
                add("weights", Box::new(move || weights_of(&folder, &file)));
            }
            if own.exists() {
                let file = file.clone();
                add("llama.cpp", Box::new(move || beside_llama_cpp(&own, &file)));
            }
            if let Some(tolerance) = tolerance.filter(|_| golden.exists()) {
                add("golden", Box::new(move || beside_golden(&golden, &file, tolerance)));
            }
        }
    }
    cases.extend(tokens::cases());
    common::run(cases);
}

/// The GGUF files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "gguf")).collect();
    files.sort();
    files
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The weights that the script draws: multiples of 1/256 by the name's FNV-1a hash and the place.
struct Drawn;

impl WeightSource for Drawn {
    fn tensor(&self, name: &str, shape: &[usize]) -> engine::Result<Tensor> {
        let hash = name
            .bytes()
            .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let value = |place: usize| {
            let mixed = (place as u32).wrapping_mul(2_654_435_761).wrapping_add(hash);
            ((mixed >> 24) as f32 - 128.0) / 256.0
        };
        from_vec((0..shape.iter().product()).map(value).collect(), shape)
    }

    fn check_read(&self, _spec: &DecoderSpec, _names: &[String]) -> engine::Result<()> {
        Ok(())
    }
}

/// The file's specification is that of the configuration, and its weights are those that were drawn, bit for bit.
fn weights_of(folder: &Path, file: &Path) -> Check {
    let file = weights::open(file, None).map_err(say)?;
    let config = Config::read(&folder.join("config.json")).map_err(say)?;
    let spec = families::read(&config).map_err(say)?;
    same_spec(&file.spec, &spec)?;
    let tuning = Tuning::default();
    let params = |decoder: engine::Result<Decoder>| decoder.map(|decoder| decoder.params()).map_err(say);
    let (ours, wanted) = (params(file.build(&tuning))?, params(Decoder::build(spec, &Drawn, &tuning))?);
    for (ours, wanted) in ours.iter().zip(&wanted) {
        let (got, want) = (ours.to_f32().map_err(say)?, wanted.to_f32().map_err(say)?);
        if ours.name != wanted.name || got != want {
            let place = got.iter().zip(&want).position(|(got, want)| got != want);
            return Err(format!("`{}` differs from the drawn `{}` at {place:?}", ours.name, wanted.name));
        }
    }
    if ours.len() == wanted.len() { Ok(()) } else { Err("another number of parameters".to_owned()) }
}

/// Compares all that a specification says, numbers to six digits: a file has those of a configuration as f32.
fn same_spec(got: &DecoderSpec, want: &DecoderSpec) -> Check {
    // What fresh weights would be drawn with is not in a file.
    let written =
        [got, want].map(|spec| format!("{:#?}", DecoderSpec { initializer_range: 0.0, ..spec.clone() }));
    for (got, want) in written[0].lines().zip(written[1].lines()) {
        let numbers =
            [got, want].map(|line| line.trim_end_matches(',').rsplit(' ').next()?.parse::<f64>().ok());
        let near = match numbers {
            [Some(got), Some(want)] => (got - want).abs() <= 1e-6 * want.abs(),
            _ => false,
        };
        if got != want && !near {
            return Err(format!("the file says `{}`, the configuration `{}`", got.trim(), want.trim()));
        }
    }
    if written[0].lines().count() == written[1].lines().count() { Ok(()) } else { Err(written.concat()) }
}

fn beside_golden(golden: &Path, file: &Path, tolerance: f64) -> Check {
    let (_, off, _) = logits(golden, file)?;
    println!("{off:.1e} off: {}", file.display());
    if common::within(off, 0.0, tolerance) {
        Ok(())
    } else {
        Err(format!("{off:.1e} off; {tolerance} is allowed"))
    }
}

fn beside_llama_cpp(golden: &Path, file: &Path) -> Check {
    let (spec, off, size) = logits(golden, file)?;
    let activation = spec.feed_forward.activation;
    let known = SAME_WEIGHTS.iter().find(|(known, _)| *known == activation);
    let tolerance = known.map(|(_, tolerance)| *tolerance).ok_or("another activation")?;
    let part = off / size;
    println!("{part:.1e} of {size:.2} off: {}", file.display());
    if common::within(part, 0.0, tolerance) {
        Ok(())
    } else {
        Err(format!("{part:.1e} off; {tolerance} is allowed"))
    }
}

/// The specification of a file, the largest difference of the logits of its first row from golden ones, and the size
/// of those as the root of their mean square.
fn logits(golden: &Path, file: &Path) -> Check<(DecoderSpec, f64, f64)> {
    let golden = candle_core::safetensors::load(golden, &Device::Cpu).map_err(say)?;
    let rows = golden["input_ids"].to_vec2::<i64>().map_err(say)?;
    let want = golden["logits"].to_vec3::<f32>().map_err(say)?[0].concat();
    let files = weights::open(file, None).map_err(say)?;
    let decoder = files.build(&Tuning::default()).map_err(say)?;
    let ids: Vec<u32> = rows[0].iter().map(|id| *id as u32).collect();
    let mut batch = Batch::default();
    batch.push(&ids, &rows[0]);
    let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).map_err(say)?.tensor;
    let all: Vec<u32> = (0..batch.tokens() as u32).collect();
    let got = decoder.logits(&hidden, &all).map_err(say)?;
    if got.len() != want.len() {
        return Err(format!("{} logits; {} are right", got.len(), want.len()));
    }
    if let Some(place) = got.iter().position(|logit| !logit.is_finite()) {
        return Err(format!("logit {place} is {}", got[place]));
    }
    let off = got.iter().zip(&want).map(|(got, want)| f64::from((got - want).abs())).fold(0.0, f64::max);
    let squares: f64 = want.iter().map(|want| f64::from(want * want)).sum();
    Ok((files.spec, off, (squares / want.len() as f64).sqrt()))
}
