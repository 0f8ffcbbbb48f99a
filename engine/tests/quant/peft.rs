//! Adapters beside a base model and merged into it.

use std::path::Path;

use candle_core::Tensor;
use engine::adapter::Adapter;
use engine::autograd::Tape;
use engine::model::{Batch, Decoder, Pass, Selection, Tuning};
use engine::tensor::from_vec;
use engine::weights;

use crate::{Check, close, common, load, say};

const LOGITS: f64 = 1e-4;
const MERGED: f64 = 1e-6;

pub fn check(folder: &Path) -> Check {
    let golden = load(&folder.join("expected.safetensors"))?;
    let get = |name: &str| golden.get(name).ok_or(format!("the golden file has no `{name}`"));
    let ids = get("input_ids")?.to_vec2::<i64>().map_err(say)?;
    let adapter = Adapter::open(folder).map_err(say)?;
    let base = weights::open(&common::goldens("data").join("base"), None).map_err(say)?;
    let plain = base.build(&Tuning::default()).map_err(say)?;
    close("logits of the base", &logits(&plain, &ids)?, get("logits_base")?, LOGITS)?;

    let tuning =
        Tuning { selection: Selection::Modules(adapter.config.saved_modules.clone()), ..Tuning::default() };
    let adapters = [adapter];
    let [adapter] = &adapters;
    let mut beside = base.build_with(&tuning, &adapters).map_err(say)?;
    beside.attach(|linear| adapter.update(linear), 0.0).map_err(say)?;
    adapter.check_against(&beside).map_err(say)?;
    close("logits with the adapter", &logits(&beside, &ids)?, get("logits_adapter")?, LOGITS)?;

    let mut merged = base.build_with(&tuning, &adapters).map_err(say)?;
    merged.merge(|linear| adapter.update(linear)).map_err(say)?;
    close("logits of the merged model", &logits(&merged, &ids)?, get("logits_merged")?, LOGITS)?;
    let params = merged.params();
    for (name, want) in &golden {
        let Some(name) = name.strip_prefix("merged.") else { continue };
        let param = params.iter().find(|param| param.name == name).ok_or(format!("no parameter `{name}`"))?;
        close(name, &param.tensor, want, MERGED)?;
    }
    Ok(())
}

/// Logits [rows, tokens, vocabulary].
fn logits(decoder: &Decoder, rows: &[Vec<i64>]) -> Check<Tensor> {
    let mut batch = Batch::default();
    for row in rows {
        let ids: Vec<u32> = row.iter().map(|id| *id as u32).collect();
        batch.push(&ids, row);
    }
    let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).map_err(say)?.tensor;
    let all: Vec<u32> = (0..batch.tokens() as u32).collect();
    let logits = decoder.logits(&hidden, &all).map_err(say)?;
    from_vec(logits, (rows.len(), rows[0].len(), decoder.head.vocab())).map_err(say)
}
