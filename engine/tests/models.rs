//! Logits, losses, gradients and greedy continuations of whole models against transformers.

mod common;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use engine::autograd::{ParamGradients, Tape};
use engine::model::{Batch, Cache, Decoder, Pass, Tuning};
use engine::weights;

type Check<T = ()> = Result<T, String>;

const LOGITS: f32 = 1e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f32 = 1e-4;

fn main() {
    let cases = common::cases(&common::goldens("models"), "golden.safetensors");
    let named = cases.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let case: Box<dyn Fn() -> Check> = Box::new(move || check(&path));
        (name, case)
    });
    common::run(named.collect());
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn get(&self, name: &str) -> Check<&Tensor> {
        self.0.get(name).ok_or_else(|| format!("the golden file has no `{name}`"))
    }

    fn rows(&self, name: &str) -> Check<Vec<Vec<i64>>> {
        self.get(name)?.to_vec2::<i64>().map_err(say)
    }
}

/// A padded batch as ragged sequences, with the place of each row in the padded one.
struct Rows {
    batch: Batch,
    places: Vec<(usize, usize)>,
}

fn rows(golden: &Golden, prefix: &str) -> Check<Rows> {
    let ids = golden.rows(&format!("{prefix}input_ids"))?;
    let mask = golden.rows(&format!("{prefix}attention_mask"))?;
    let mut rows = Rows { batch: Batch::default(), places: Vec::new() };
    for (r, (ids, mask)) in ids.iter().zip(&mask).enumerate() {
        let kept: Vec<usize> = (0..ids.len()).filter(|i| mask[*i] == 1).collect();
        let tokens: Vec<u32> = kept.iter().map(|i| ids[*i] as u32).collect();
        let labels: Vec<i64> = kept.iter().map(|i| ids[*i]).collect();
        rows.batch.push(&tokens, &labels);
        rows.places.extend(kept.into_iter().map(|i| (r, i)));
    }
    Ok(rows)
}

fn check(case: &Path) -> Check {
    let golden =
        Golden(candle_core::safetensors::load(case.join("golden.safetensors"), &Device::Cpu).map_err(say)?);
    let files = weights::open(case, None).map_err(say)?;
    let decoder = files.build(&Tuning { full: true, ..Tuning::default() }).map_err(say)?;
    for prefix in ["", "left_"] {
        forward(&decoder, &golden, prefix)?;
    }
    for checkpointing in [false, true] {
        gradients(&decoder, &golden, checkpointing)?;
    }
    greedy(&decoder, &golden)
}

fn forward(decoder: &Decoder, golden: &Golden, prefix: &str) -> Check {
    let rows = rows(golden, prefix)?;
    let hidden = decoder.hidden(&Tape::off(), &rows.batch, Pass::default()).map_err(say)?.tensor;
    let all: Vec<u32> = (0..rows.batch.tokens() as u32).collect();
    let logits = decoder.head.logits(&hidden, &all).map_err(say)?;
    let want = golden.get(&format!("{prefix}logits"))?.to_vec3::<f32>().map_err(say)?;
    let mut worst = 0f32;
    for (row, (r, i)) in logits.chunks_exact(decoder.head.vocab()).zip(&rows.places) {
        let want = &want[*r][*i];
        let difference = row
            .iter()
            .zip(want)
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, |m, x| if x > m || x.is_nan() { x } else { m });
        if difference.is_nan() || difference > worst {
            worst = difference;
        }
    }
    if worst.is_nan() || worst > LOGITS {
        return Err(format!("{prefix}logits differ by {worst:e}"));
    }
    let output = decoder.head.loss(&hidden, &rows.batch.labels).map_err(say)?;
    let loss = output.total() / rows.batch.labels.len() as f64;
    // The left-padded reference also predicts the first real token from padding, which a ragged batch has
    // none of: its loss is that of the right-padded one.
    close(&format!("{prefix}loss"), loss, golden.get("loss")?)
}

fn close(what: &str, got: f64, want: &Tensor) -> Check {
    let want = want.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(say)?[0] as f64;
    if (got - want).abs() <= LOSS * want.abs().max(1.0) {
        Ok(())
    } else {
        Err(format!("{what} is {got}, expected {want}"))
    }
}

fn gradients(decoder: &Decoder, golden: &Golden, checkpointing: bool) -> Check {
    let rows = rows(golden, "")?;
    let tape = Tape::new();
    let hidden = decoder.hidden(&tape, &rows.batch, Pass { checkpointing, dropout: None }).map_err(say)?;
    let mut grads = ParamGradients::default();
    let scale = 1.0 / rows.batch.labels.len() as f32;
    let output =
        decoder.head.loss_and_gradient(&hidden.tensor, &rows.batch.labels, scale, &mut grads).map_err(say)?;
    close("training loss", output.total() * scale as f64, golden.get("loss")?)?;
    let seed = output.d_hidden.ok_or("no gradient of the hidden states")?;
    tape.backward(&hidden, seed, &mut grads, None).map_err(say)?;
    let params = decoder.params();
    let mut compared = 0;
    for (name, want) in &golden.0 {
        let Some(name) = name.strip_prefix("grad.") else { continue };
        let param = params.iter().find(|param| param.name == name).ok_or(format!("no parameter `{name}`"))?;
        let got = grads.get(param.id).ok_or(format!("no gradient of `{name}`"))?;
        let flat = |t: &Tensor| {
            t.flatten_all().and_then(|t| t.to_dtype(DType::F32)).and_then(|t| t.to_vec1::<f32>())
        };
        let (got, want) = (flat(got).map_err(say)?, flat(want).map_err(say)?);
        let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
        for (got, want) in got.iter().zip(&want) {
            if !common::within(f64::from(*got), f64::from(*want), f64::from(GRADIENT * largest)) {
                return Err(format!("gradient of {name}: {got}, expected {want} (largest {largest})"));
            }
        }
        compared += 1;
    }
    if compared == 0 { Err("the golden file has no gradients".to_owned()) } else { Ok(()) }
}

/// Continues the first row with the cache.
fn greedy(decoder: &Decoder, golden: &Golden) -> Check {
    let want = golden.get("generate_ids")?.to_vec1::<i64>().map_err(say)?;
    let prompt: Vec<u32> = golden.rows("input_ids")?[0].iter().map(|id| *id as u32).collect();
    let mut cache = Cache::default();
    let mut next = prompt;
    let mut got = Vec::new();
    for _ in 0..want.len() {
        let hidden = decoder.extend(&mut cache, &next).map_err(say)?;
        let logits = decoder.head.logits(&hidden, &[next.len() as u32 - 1]).map_err(say)?;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).ok_or("no logits")?;
        got.push(best as i64);
        next = vec![best as u32];
    }
    if got == want { Ok(()) } else { Err(format!("greedy ids are {got:?}, expected {want:?}")) }
}
