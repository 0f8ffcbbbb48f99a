//! GGUF files as llama.cpp's own converter writes them (`benches/gguf_goldens.py`): the configuration, every weight and,
//! where a case has them, the logits are those of the folder that a file was made of.

#[path = "../common/mod.rs"]
mod common;
mod tokens;

use std::path::Path;

use candle_core::{Device, Tensor};
use engine::autograd::Tape;
use engine::families::{self, Config, DecoderSpec};
use engine::model::{Batch, Decoder, Pass, Tuning, WeightSource};
use engine::tensor::from_vec;
use engine::weights;

type Check<T = ()> = Result<T, String>;

/// Largest error of logits by the file's name: what the type of its weights loses where logits are of about size one;
/// a mixture may choose another expert.
const LOGITS: &[(&str, f64)] = &[("f32", 1e-4), ("f16", 0.02), ("q8_0", 0.5)];

fn main() {
    let mut cases: Vec<common::Case> = Vec::new();
    for folder in common::cases(&common::goldens("gguf"), "config.json") {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (kind, tolerance) in LOGITS {
            let (folder, file) = (folder.clone(), folder.join(format!("{kind}.gguf")));
            if file.exists() {
                let check = move || logits(&folder, &file, *tolerance);
                cases.push((format!("{name}/{kind}"), Box::new(check)));
            }
        }
        for kind in ["model", "fused"] {
            let (folder, file) = (folder.clone(), folder.join(format!("{kind}.gguf")));
            if file.exists() {
                cases.push((format!("{name}/{kind}"), Box::new(move || weights_of(&folder, &file))));
            }
        }
    }
    cases.extend(tokens::cases());
    common::run(cases);
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

    fn check_read(&self, _decoder: &Decoder) -> engine::Result<()> {
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

/// Logits of the first row of a golden case.
fn logits(folder: &Path, file: &Path, tolerance: f64) -> Check {
    let golden =
        candle_core::safetensors::load(folder.join("golden.safetensors"), &Device::Cpu).map_err(say)?;
    let rows = golden["input_ids"].to_vec2::<i64>().map_err(say)?;
    let want = golden["logits"].to_vec3::<f32>().map_err(say)?;
    let decoder = weights::open(file, None).and_then(|files| files.build(&Tuning::default())).map_err(say)?;
    let ids: Vec<u32> = rows[0].iter().map(|id| *id as u32).collect();
    let mut batch = Batch::default();
    batch.push(&ids, &rows[0]);
    let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).map_err(say)?.tensor;
    let all: Vec<u32> = (0..batch.tokens() as u32).collect();
    let got = decoder.head.logits(&hidden, &all).map_err(say)?;
    let (got, want) = (got.chunks(decoder.head.vocab()), &want[0]);
    for (place, (got, want)) in got.zip(want).flat_map(|(got, want)| got.iter().zip(want)).enumerate() {
        if !common::within(f64::from(*got), f64::from(*want), tolerance) {
            return Err(format!("logit {place} is {got}; {want} ± {tolerance} is right"));
        }
    }
    Ok(())
}
