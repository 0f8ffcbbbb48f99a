//! Packed layouts: what they dequantise to, what they multiply to, and what quantising gives.

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use engine::autograd::{Tape, Var};
use engine::families::Config;
use engine::ops::linear::Adaptable;
use engine::ops::{Linear, Mode, Projection, Prologue, Weight};
use engine::quant::bnb::{FourBit, FourBitSettings, Int8, Kind, Precision, Statistics};
use engine::quant::{Parts, QuantizedWeight, Scheme};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

use crate::{Check, close, description, load, numbers, say};

/// Products are sums in another order than the reference's.
const PRODUCT: f64 = 1e-4;

pub fn gptq(path: &Path) -> Check {
    layout(path, "gptq", &["bits", "group_size"], str::to_owned)
}

pub fn awq(path: &Path) -> Check {
    layout(path, "awq", &["bits", "group_size", "version"], str::to_owned)
}

pub fn aqlm(path: &Path) -> Check {
    let keys = ["num_codebooks", "nbits_per_codebook", "in_group_size", "out_group_size"];
    layout(path, "aqlm", &keys, str::to_owned)
}

pub fn bnb(path: &Path) -> Check {
    // The reference keeps what a checkpoint holds beside the weight under this name.
    let name = |suffix: &str| match suffix {
        "weight" => "packed".to_owned(),
        _ => format!("state_dict.{suffix}"),
    };
    if load(path)?.contains_key("SCB") {
        layout(path, "bitsandbytes", &[], |suffix| format!("state_dict.{suffix}"))?;
        quantize_int8(path)
    } else {
        layout(path, "bitsandbytes", &[], name)?;
        quantize_four_bit(path)
    }
}

/// Reads a weight as a checkpoint holds it, and compares it and a product with it.
fn layout(path: &Path, method: &str, keys: &[&str], name: impl Fn(&str) -> String) -> Check {
    let golden = load(path)?;
    let get = |name: &str| golden.get(name).ok_or(format!("the golden file has no `{name}`"));
    let want = get("dequantized")?;
    let (out, dim) = want.dims2().map_err(say)?;
    let file = std::fs::read(path).map_err(say)?;
    let tensors = SafeTensors::deserialize(&file).map_err(say)?;
    let find = |suffix: &str| tensors.tensor(&name(suffix)).ok();
    let parts = Parts { module: "weight", origin: path, find: &find };
    let scheme = scheme(path, method, keys, golden.contains_key("SCB"))?;
    if !scheme.packs(&parts) {
        return Err("the weight is not recognised as packed".to_owned());
    }
    let weight: Arc<dyn QuantizedWeight> = scheme.load(&parts, out, dim).map_err(say)?.into();
    close("the weight", &weight.dequantize().map_err(say)?, want, 0.0)?;
    let bias = golden.get("bias");
    // LLM.int8's products: without a bias, and one whose inputs have outliers.
    let products = match golden.get("y_linear8bitlt") {
        Some(y) => vec![("x", get("y_dequantized")?, None), ("x_outlier", y, bias)],
        None => vec![("x", get("y")?, bias)],
    };
    for (x, y, bias) in products {
        let mut got = product(&weight, get(x)?)?;
        if let Some(bias) = bias {
            let bias = bias.to_dtype(candle_core::DType::F32).map_err(say)?;
            got = got.broadcast_add(&bias).map_err(say)?;
        }
        close("the product", &got, y, PRODUCT)?;
    }
    Ok(())
}

/// x·Wᵀ as a model computes it.
fn product(weight: &Arc<dyn QuantizedWeight>, x: &Tensor) -> Check<Tensor> {
    let linear = Linear {
        name: "weight".to_owned(),
        weight: Weight::Quantised(weight.clone()),
        bias: None,
        transposed: false,
        adaptable: Adaptable::Always,
    };
    let map = Projection { prologue: Prologue::Identity, linears: vec![linear], bf16: false };
    let y = Arc::new(map).forward(&Tape::off(), Var::constant(x.clone()), None, &Mode::default());
    Ok(y.map_err(say)?.tensor)
}

/// The `quantization_config` that a model with such a layer has.
fn scheme(path: &Path, method: &str, keys: &[&str], eight_bit: bool) -> Check<Scheme> {
    let description = description(path)?;
    let mut values = Map::new();
    values.insert("quant_method".to_owned(), json!(method));
    if method == "bitsandbytes" {
        let key = if eight_bit { "load_in_8bit" } else { "load_in_4bit" };
        values.insert(key.to_owned(), json!(true));
    }
    for key in keys {
        let value = description.get(*key).ok_or(format!("the description has no `{key}`"))?;
        values.insert((*key).to_owned(), value.clone());
    }
    Scheme::read(&Config { path: path.to_owned(), values }).map_err(say)
}

fn quantize_int8(path: &Path) -> Check {
    let golden = load(path)?;
    let weight = &golden["weight"];
    let (out, dim) = weight.dims2().map_err(say)?;
    let got = Int8::quantize(&numbers(weight)?, out, dim);
    let file = std::fs::read(path).map_err(say)?;
    let tensors = SafeTensors::deserialize(&file).map_err(say)?;
    let want = tensors.tensor("CB").map_err(say)?;
    let bytes: Vec<u8> = got.codes().iter().map(|code| *code as u8).collect();
    equal("the codes", &bytes, want.data())?;
    equal("the rows' scales", got.absmax(), &numbers(&golden["SCB"])?)
}

fn quantize_four_bit(path: &Path) -> Check {
    let golden = load(path)?;
    let description = description(path)?;
    let weight = &golden["weight"];
    let (out, dim) = weight.dims2().map_err(say)?;
    let settings = FourBitSettings {
        kind: if description["quant_type"] == "fp4" { Kind::Fp4 } else { Kind::Nf4 },
        block: description["blocksize"].as_u64().ok_or("no `blocksize`")? as usize,
        nested: description["nested"] == Value::Bool(true),
        precision: match description["dtype"].as_str() {
            Some("bfloat16") => Precision::Bf16,
            Some("float16") => Precision::F16,
            _ => Precision::F32,
        },
    };
    let got = FourBit::quantize(&numbers(weight)?, out, dim, &settings);
    let want = golden["packed"].flatten_all().and_then(|t| t.to_vec1::<u8>()).map_err(say)?;
    equal("the packed codes", got.packed(), &want)?;
    match got.statistics() {
        Statistics::Plain(absmax) => equal("the blocks' scales", absmax, &numbers(&golden["absmax"])?)?,
        Statistics::Nested { codes, map, scales, offset, .. } => {
            let bytes = golden["absmax_u8"].to_vec1::<u8>().map_err(say)?;
            equal("the codes of the blocks' scales", codes, &bytes)?;
            equal("the map of the blocks' scales", map, &numbers(&golden["nested_quant_map"])?)?;
            equal("the scales of the blocks' scales", scales, &numbers(&golden["nested_absmax"])?)?;
            equal("the mean of the blocks' scales", &[*offset], &numbers(&golden["nested_offset"])?)?;
        }
    }
    close("the quantised weight", &got.dequantize().map_err(say)?, &golden["dequantized"], 0.0)
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: &[T], want: &[T]) -> Check {
    if got.len() != want.len() {
        return Err(format!("{what}: {} entries, expected {}", got.len(), want.len()));
    }
    match got.iter().zip(want).position(|(got, want)| got != want) {
        None => Ok(()),
        Some(i) => {
            let wrong = got.iter().zip(want).filter(|(got, want)| got != want).count();
            Err(format!("{what}, entry {i}: {:?}, expected {:?} ({wrong} differ)", got[i], want[i]))
        }
    }
}
