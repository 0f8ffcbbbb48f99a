//! Logits, losses, gradients and greedy continuations of whole models against transformers, by kernels and by plain
//! operations.

#[path = "common/backends.rs"]
mod backends;
mod common;
#[path = "common/continued.rs"]
mod continued;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use backends::both;
use candle_core::{DType, Device, Tensor};
use continued::greedy;
use engine::autograd::{GradientGuard, ParamGradients, Tape};
use engine::kernel::cross_entropy::RowWeights;
use engine::model::{
    Batch, BlockSelection, Decoder, LoraSettings, Objective, Pass, RouterLogits, Selection, Tuning,
    linear_names,
};
use engine::ops::linear::Adaptable;
use engine::ops::{Balance, Mode};
use engine::weights::{self, ModelFiles};
use serde_json::Value;

type Check<T = ()> = Result<T, String>;

const LOGITS: f32 = 1e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f32 = 1e-4;

fn main() {
    let cases = common::cases(&common::goldens("models"), "golden.safetensors");
    common::run(both(cases, check));
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

/// A padded batch as ragged sequences, with the place of each real row in the padded one.
struct Rows {
    batch: Batch,
    places: Vec<(usize, usize)>,
    /// Rows of the ragged batch that are not padding.
    real: Vec<u32>,
    /// The padding token, if padding is part of the batch: torch gives its embedding no gradient.
    ignored: Option<usize>,
}

/// Padding on the left stays, hidden from attention; padding on the right is left out unless it is to be
/// kept, hidden alike.
fn rows(golden: &Golden, prefix: &str, keep_right: bool) -> Check<Rows> {
    let ids = golden.rows(&format!("{prefix}input_ids"))?;
    let mask = golden.rows(&format!("{prefix}attention_mask"))?;
    let mut rows = Rows { batch: Batch::default(), places: Vec::new(), real: Vec::new(), ignored: None };
    for (r, (ids, mask)) in ids.iter().zip(&mask).enumerate() {
        let end = mask.iter().rposition(|m| *m == 1).map_or(0, |last| last + 1);
        let padding = mask.iter().position(|m| *m == 1).unwrap_or(0);
        let kept = if keep_right { ids.len() } else { end };
        let tokens: Vec<u32> = ids[..kept].iter().map(|id| *id as u32).collect();
        let labels: Vec<i64> = (0..end).map(|i| if i > padding { ids[i] } else { -100 }).collect();
        if kept > end {
            rows.ignored = Some(ids[end] as usize);
        }
        let start = rows.batch.tokens();
        rows.batch.push_padded(&tokens, &labels, (padding, kept - end));
        rows.places.extend((padding..end).map(|i| (r, i)));
        rows.real.extend((padding..end).map(|i| (start + i) as u32));
    }
    Ok(rows)
}

fn check(case: &Path) -> Check {
    let golden =
        Golden(candle_core::safetensors::load(case.join("golden.safetensors"), &Device::Cpu).map_err(say)?);
    let files = weights::open(case, None).map_err(say)?;
    let decoder = files.build(&Tuning { selection: Selection::All, ..Tuning::default() }).map_err(say)?;
    for prefix in ["", "left_"] {
        forward(&decoder, &golden, prefix)?;
    }
    for checkpointing in [false, true] {
        gradients(&decoder, &golden, checkpointing)?;
    }
    router_losses(&decoder, &golden)?;
    router_logits(&decoder, &golden)?;
    guarded(&decoder, &golden)?;
    selection(&files, &decoder, case)?;
    sizes(&files, &decoder)?;
    let mut adapted = files.build(&Tuning::default()).map_err(say)?;
    add_adapters(&mut adapted)?;
    guarded(&adapted, &golden)?;
    greedy(&decoder, &golden)
}

fn forward(decoder: &Decoder, golden: &Golden, prefix: &str) -> Check {
    let rows = rows(golden, prefix, false)?;
    let hidden = decoder.hidden(&Tape::off(), &rows.batch, Pass::default()).map_err(say)?.tensor;
    let logits = decoder.logits(&hidden, &rows.real).map_err(say)?;
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
    let output = decoder.losses(&hidden, &rows.batch.labels).map_err(say)?;
    let loss = output.total() / rows.batch.labels.len() as f64;
    // The left-padded reference also predicts the first real token from padding; that loss is left out.
    let mut expected = 0.0;
    for label in &rows.batch.labels {
        let place = rows.real.iter().position(|row| *row == label.row).ok_or("a label in padding")?;
        let (r, i) = rows.places[place];
        let total: f64 = want[r][i].iter().map(|x| f64::from(*x).exp()).sum();
        expected += total.ln() - f64::from(want[r][i][label.token as usize]);
    }
    near(&format!("{prefix}loss"), loss, expected / rows.batch.labels.len() as f64)?;
    if prefix.is_empty() { close("loss", loss, golden.get("loss")?) } else { Ok(()) }
}

fn close(what: &str, got: f64, want: &Tensor) -> Check {
    near(what, got, want.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(say)?[0] as f64)
}

fn near(what: &str, got: f64, want: f64) -> Check {
    if (got - want).abs() <= LOSS * want.abs().max(1.0) {
        Ok(())
    } else {
        Err(format!("{what} is {got}, expected {want}"))
    }
}

fn gradients(decoder: &Decoder, golden: &Golden, checkpointing: bool) -> Check {
    let rows = rows(golden, "", false)?;
    let pass = Pass { checkpointing, ..Pass::default() };
    compare_gradients(decoder, golden, &rows, pass, "grad.")
}

fn compare_gradients(decoder: &Decoder, golden: &Golden, rows: &Rows, pass: Pass, prefix: &str) -> Check {
    let tape = Tape::new();
    let hidden = decoder.hidden(&tape, &rows.batch, pass).map_err(say)?;
    let mut grads = ParamGradients::default();
    let scale = 1.0 / rows.batch.labels.len() as f32;
    let output = decoder
        .head
        .loss_and_gradient(
            &hidden.tensor,
            &rows.batch.labels,
            RowWeights::Same(scale),
            &mut grads,
            &Mode::default(),
        )
        .map_err(say)?;
    close("training loss", output.total() * scale as f64, golden.get("loss")?)?;
    let seed = output.d_hidden.ok_or("no gradient of the hidden states")?;
    tape.backward(&hidden, seed, &mut grads, None).map_err(say)?;
    let params = decoder.params();
    let mut compared = 0;
    for (name, want) in &golden.0 {
        let Some(name) = name.strip_prefix(prefix) else { continue };
        let param = params.iter().find(|param| param.name == name).ok_or(format!("no parameter `{name}`"))?;
        let got = grads.get(param.id).ok_or(format!("no gradient of `{name}`"))?;
        let flat = |t: &Tensor| {
            t.flatten_all().and_then(|t| t.to_dtype(DType::F32)).and_then(|t| t.to_vec1::<f32>())
        };
        let (mut got, want) = (flat(got).map_err(say)?, flat(want).map_err(say)?);
        if let Some(row) = rows
            .ignored
            .filter(|_| decoder.embedding.tokens.param().is_some_and(|table| table.id == param.id))
        {
            got[row * decoder.spec.hidden..][..decoder.spec.hidden].fill(0.0);
        }
        let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
        for (got, want) in got.iter().zip(&want) {
            if !common::within(f64::from(*got), f64::from(*want), f64::from(GRADIENT * largest)) {
                return Err(format!("{prefix}{name}: {got}, expected {want} (largest {largest})"));
            }
        }
        compared += 1;
    }
    if compared == 0 { Err("the golden file has no gradients".to_owned()) } else { Ok(()) }
}

/// The auxiliary losses of mixtures of experts, and gradients through them where the reference has some.
fn router_losses(decoder: &Decoder, golden: &Golden) -> Check {
    let Some(experts) = &decoder.spec.experts else { return Ok(()) };
    let rows = rows(golden, "", false)?;
    let balance = |rows: &Rows| {
        let spans = rows.batch.spans.clone();
        Arc::new(Balance::new(experts.balance, experts.balance_coefficient, spans))
    };
    if golden.0.contains_key("aux_loss") {
        let balance = balance(&rows);
        let pass = Pass { balance: Some(balance.clone()), ..Pass::default() };
        decoder.hidden(&Tape::off(), &rows.batch, pass).map_err(say)?;
        close("auxiliary loss", balance.loss(), golden.get("aux_loss")?)?;
        let loss = golden.get("loss")?.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(say)?[0];
        let total = f64::from(loss) + f64::from(balance.coefficient()) * balance.loss();
        close("loss with the auxiliary one", total, golden.get("loss_with_aux")?)?;
    }
    if golden.0.keys().any(|name| name.starts_with("grad_aux.")) {
        // The published model counts padding among the tokens that use experts.
        let rows = self::rows(golden, "", true)?;
        for checkpointing in [false, true] {
            let pass = Pass { checkpointing, balance: Some(balance(&rows)), ..Pass::default() };
            compare_gradients(decoder, golden, &rows, pass, "grad_aux.")?;
        }
    }
    Ok(())
}

/// The logits of each router at every real token.
fn router_logits(decoder: &Decoder, golden: &Golden) -> Check {
    if !golden.0.keys().any(|name| name.starts_with("router_logits.")) {
        return Ok(());
    }
    let rows = rows(golden, "", false)?;
    let all = Arc::new(RouterLogits::default());
    let pass = Pass { router_logits: Some(all.clone()), ..Pass::default() };
    decoder.hidden(&Tape::off(), &rows.batch, pass).map_err(say)?;
    let width = golden.get("input_ids")?.dims()[1];
    for (index, got) in all.lock().values().enumerate() {
        let got = got.to_vec2::<f32>().map_err(say)?;
        let want = golden.get(&format!("router_logits.{index}"))?.to_vec2::<f32>().map_err(say)?;
        for (row, (r, i)) in rows.real.iter().zip(&rows.places) {
            for (got, want) in got[*row as usize].iter().zip(&want[r * width + i]) {
                if !common::within(f64::from(*got), f64::from(*want), f64::from(LOGITS)) {
                    return Err(format!("router_logits.{index}: {got}, expected {want}"));
                }
            }
        }
    }
    Ok(())
}

/// What `lora_target: all` means and how many parameters there are, where the reference says so.
fn selection(files: &ModelFiles, decoder: &Decoder, case: &Path) -> Check {
    let path = common::goldens("train").join("param_selection.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let all: serde_json::Value = serde_json::from_str(&text).map_err(say)?;
    let Some(want) = case.file_name().and_then(|name| all.get(name.to_string_lossy().as_ref())) else {
        return Ok(());
    };
    let names: Vec<String> = linear_names(decoder).into_iter().collect();
    if serde_json::json!(names) != want["lora_target_all"] {
        return Err(format!("all linear maps are {names:?}, expected {}", want["lora_target_all"]));
    }
    let count: usize = decoder.params().iter().map(|param| param.len()).sum();
    if serde_json::json!(count) != want["total_parameters"] {
        return Err(format!("{count} parameters, expected {}", want["total_parameters"]));
    }
    let layers = decoder.spec.layers.len();
    let last = layers - 1..layers;
    let (mlp, embed) = (["mlp".to_owned()], ["embed_tokens".to_owned()]);
    let selections: [(&str, _, &[String], &[String]); 4] = [
        ("freeze_last_1", last.clone(), &[], &[]),
        ("freeze_first_1", 0..1, &[], &[]),
        ("freeze_last_1_mlp", last.clone(), &mlp, &[]),
        ("freeze_last_1_extra_embed", last, &[], &embed),
    ];
    for (key, layers, modules, beside) in selections {
        let blocks = BlockSelection::new(&decoder.spec, layers, modules, beside);
        let tuning = Tuning { selection: Selection::Blocks(blocks), ..Tuning::default() };
        let trained = files.build(&tuning).map_err(say)?.trainable();
        let names: BTreeSet<&str> = trained.iter().map(|param| param.name.as_str()).collect();
        // Where a family has no module of that name, the reference refuses it, and so does the method.
        let Some(want) = want[key].as_array() else { continue };
        let want: BTreeSet<&str> = want.iter().filter_map(Value::as_str).collect();
        // The reference holds all experts of a layer as one parameter.
        let fused = want.iter().any(|name| name.contains(".experts."));
        if !fused && names != want {
            return Err(format!("{key}: {names:?} are trained, expected {want:?}"));
        }
    }
    Ok(())
}

/// Low-rank updates of everything that `all` means, or of every map where it means nothing (GPT-2).
/// What the estimate of memory reads of a configuration, beside the model that it describes.
fn sizes(files: &ModelFiles, decoder: &Decoder) -> Check {
    let shape = files.spec.memory_shape();
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let adaptable = decoder.linears().filter(|linear| {
        linear.adaptable != Adaptable::Never && !linear.name.starts_with(files.spec.head.name)
    });
    let mut there: Vec<_> = adaptable
        .map(|linear| (last(&linear.name), linear.in_dim() as u64, linear.out_dim() as u64))
        .collect();
    let mut said = shape.linears.clone();
    there.sort();
    said.sort();
    if there != said {
        return Err(format!("linear layers are {there:?}; the configuration is read as {said:?}"));
    }
    // In models as small as these, biases and norms of heads are a share that they nowhere else are.
    near_share("parameters", shape.parameters as f64, decoder.elements() as f64, 0.1)
}

fn near_share(what: &str, got: f64, want: f64, share: f64) -> Check {
    if (got - want).abs() <= share * want { Ok(()) } else { Err(format!("{what}: {got}, there are {want}")) }
}

fn add_adapters(decoder: &mut Decoder) -> Check {
    let mut targets: Vec<String> = linear_names(decoder).into_iter().collect();
    if targets.is_empty() {
        let names = decoder.linears().map(|linear| linear.name.rsplit('.').next().unwrap_or("").to_owned());
        targets = names.collect();
    }
    let settings = LoraSettings { rank: 4, scale: 2.0, dropout: 0.0, targets, ..LoraSettings::default() };
    decoder.add_lora(&settings, 1).map_err(say)
}

/// Everything that trains gets a gradient.
fn guarded(decoder: &Decoder, golden: &Golden) -> Check {
    let rows = rows(golden, "", false)?;
    let mut grads = ParamGradients::default();
    decoder.accumulate(&rows.batch, &Pass::default(), Objective::Sum(1.0), &mut grads).map_err(say)?;
    // B is zero at first, so A has no gradient yet.
    let first = decoder.without_effect();
    let sparse = decoder.sparse_params().into_iter().map(|param| param.id);
    let guard = GradientGuard::default().allow_zero(first).allow_none(sparse);
    let trainable = decoder.trainable();
    if trainable.is_empty() {
        return Err("nothing is trained".to_owned());
    }
    guard.check(&trainable, &grads).map_err(say)
}
