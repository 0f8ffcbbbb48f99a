//! Whole models in each layout (`benches/quant_goldens.py`): packed, beside their peer's logits; beside the same model
//! dequantised, which their gradients and tokens one by one have to agree with; and what they take of memory.

use std::path::Path;

use candle_core::Tensor;
use engine::autograd::{ParamGradients, Tape};
use engine::model::{Batch, Decoder, LoraSettings, Objective, Pass, Tuning};
use engine::tensor::from_vec;
use engine::weights::{self, ModelFiles};

use crate::{Check, close, load, say};

const LOGITS: f64 = 1e-4;
const SAME: f64 = 1e-5;

/// Linear maps of a block that are packed.
const MAPS: usize = 7;

pub fn check(folder: &Path) -> Check {
    let file = folder.join("model.gguf");
    let is_gguf = file.exists();
    let files = weights::open(if is_gguf { &file } else { folder }, None).map_err(say)?;
    let golden = load(&folder.join("golden.safetensors"))?;
    let get = |name: &str| golden.get(name).ok_or(format!("the golden file has no `{name}`"));
    let ids = get("input_ids")?.to_vec2::<i64>().map_err(say)?.concat();
    let dequantised = Tuning { dequantised: true, ..Tuning::default() };
    let [packed, dense] = [Tuning::default(), dequantised].map(|tuning| files.build(&tuning).map_err(say));
    let (packed, dense) = (packed?, dense?);

    let got = logits(&packed, &ids)?;
    close("the logits", &got, get("logits")?, LOGITS)?;
    close("the logits beside dense ones", &got, &logits(&dense, &ids)?, SAME)?;
    for count in [1, 3] {
        let few = [&packed, &dense].map(|decoder| logits(decoder, &ids[..count]));
        let [packed, dense] = few;
        close("logits of few rows", &packed?, &dense?, SAME)?;
    }
    memory(&packed, &dense, is_gguf)?;
    gradients(&files, &ids)?;
    match files.check_dense() {
        Err(error) if !is_gguf && error.to_string().contains("must be lora: the weights of") => Ok(()),
        Ok(()) if is_gguf => Ok(()),
        other => Err(format!("whether it may train in full is {other:?}")),
    }
}

/// Logits [1, tokens, vocabulary].
fn logits(decoder: &Decoder, ids: &[i64]) -> Check<Tensor> {
    let hidden = decoder.hidden(&Tape::off(), &batch(ids), Pass::default()).map_err(say)?.tensor;
    let all: Vec<u32> = (0..ids.len() as u32).collect();
    let logits = decoder.logits(&hidden, &all).map_err(say)?;
    from_vec(logits, (1, ids.len(), decoder.head.vocab())).map_err(say)
}

fn batch(ids: &[i64]) -> Batch {
    let mut batch = Batch::default();
    batch.push(&ids.iter().map(|id| *id as u32).collect::<Vec<_>>(), ids);
    batch
}

/// What is packed takes a third of what it is dense, at most; and the model has as many elements as before.
fn memory(packed: &Decoder, dense: &Decoder, is_gguf: bool) -> Check {
    let quantised = packed.quantised();
    // In the GGUF file token table and output matrix have blocks, too.
    let wanted = MAPS * packed.blocks.len() + if is_gguf { 2 } else { 0 };
    if quantised.len() != wanted || !dense.quantised().is_empty() {
        return Err(format!("{} weights are packed; {wanted} should be", quantised.len()));
    }
    let bytes: usize = quantised.iter().map(|(_, weight)| weight.bytes()).sum();
    let elements: usize = quantised.iter().map(|(_, weight)| weight.len()).sum();
    if bytes > 4 * elements / 3 {
        return Err(format!("{bytes} bytes hold {elements} elements"));
    }
    let (before, now) = (dense.bytes(), packed.bytes());
    if before - now != 4 * elements - bytes {
        return Err(format!("{now} bytes instead of {before}, with {elements} elements in {bytes}"));
    }
    match (packed.elements(), dense.elements()) {
        (packed, dense) if packed == dense => Ok(()),
        (packed, dense) => Err(format!("{packed} elements; {dense} when dense")),
    }
}

/// A LoRA's gradients, which went back through the packed weights.
fn gradients(files: &ModelFiles, ids: &[i64]) -> Check {
    let of = |dequantised: bool| -> Check<Vec<(String, Tensor)>> {
        let mut decoder = files.build(&Tuning { dequantised, ..Tuning::default() }).map_err(say)?;
        let settings = LoraSettings {
            rank: 2,
            scale: 1.0,
            dropout: 0.0,
            targets: vec!["all".to_owned()],
            ..LoraSettings::default()
        };
        decoder.add_lora(&settings, 3).map_err(say)?;
        let mut grads = ParamGradients::default();
        let pass = Pass { training: true, checkpointing: true, ..Pass::default() };
        decoder.accumulate(&batch(ids), &pass, Objective::Sum(1.0), &mut grads).map_err(say)?;
        let named = decoder.trainable().into_iter().filter_map(|param| {
            let gradient = grads.get(param.id)?.clone();
            Some((param.name.clone(), gradient))
        });
        Ok(named.collect())
    };
    let (packed, dense) = (of(false)?, of(true)?);
    if packed.len() != dense.len() || packed.is_empty() {
        return Err(format!("{} gradients; {} when dense", packed.len(), dense.len()));
    }
    for ((name, packed), (_, dense)) in packed.iter().zip(&dense) {
        close(name, packed, dense, 10.0 * LOGITS)?;
    }
    Ok(())
}
