//! NF4 and FP4: two codes a byte, blocks of the flattened matrix with a scale each.

use std::ops::Range;

use half::{bf16, f16};
use serde_json::{Map, Value};

use super::{Kind, Statistics};
use crate::Result;
use crate::quant::{Parts, QuantizedWeight};

pub(super) const KINDS: [(&str, Kind); 2] = [("nf4", Kind::Nf4), ("fp4", Kind::Fp4)];

/// The tensor whose bytes are a JSON description of the packed weight.
pub(super) fn state_name(kind: &str) -> String {
    format!("weight.quant_state.bitsandbytes__{kind}")
}

/// What a weight was stored in before; dequantised values are rounded to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl Precision {
    fn round(self, x: f32) -> f32 {
        match self {
            Precision::F32 => x,
            Precision::F16 => f16::from_f32(x).to_f32(),
            Precision::Bf16 => bf16::from_f32(x).to_f32(),
        }
    }
}

/// How a weight is quantised.
#[derive(Clone, Copy, Debug)]
pub struct FourBitSettings {
    /// Which numbers the codes mean.
    pub kind: Kind,
    /// Weights that share a scale.
    pub block: usize,
    /// Quantise the scales as well.
    pub nested: bool,
    /// What the weight was stored in before.
    pub precision: Precision,
}

/// A weight in NF4 or FP4.
#[derive(Debug)]
pub struct FourBit {
    out: usize,
    dim: usize,
    table: Vec<f32>,
    block: usize,
    precision: Precision,
    packed: Vec<u8>,
    statistics: Statistics,
}

impl FourBit {
    /// Quantises a weight [out, dim], row-major.
    ///
    /// # Panics
    /// If `weight` has another length or the block is empty.
    pub fn quantize(weight: &[f32], out: usize, dim: usize, settings: &FourBitSettings) -> FourBit {
        assert_eq!(weight.len(), out * dim, "a weight of [{out}, {dim}]");
        let encode = settings.kind.encoder();
        let (mut absmax, mut codes) = (Vec::new(), Vec::with_capacity(weight.len()));
        for block in weight.chunks(settings.block) {
            let largest = block.iter().fold(0f32, |max, x| max.max(x.abs()));
            let inverse = if largest > 0.0 { 1.0 / largest } else { 0.0 };
            codes.extend(block.iter().map(|x| encode(x * inverse)));
            absmax.push(largest);
        }
        let pair = |pair: &[u8]| pair[0] << 4 | pair.get(1).copied().unwrap_or(0);
        FourBit {
            out,
            dim,
            table: settings.kind.table().to_vec(),
            block: settings.block,
            precision: settings.precision,
            packed: codes.chunks(2).map(pair).collect(),
            statistics: if settings.nested { Statistics::nest(&absmax) } else { Statistics::Plain(absmax) },
        }
    }

    /// # Errors
    /// If a tensor is missing, of the wrong size, or the description does not fit [out, dim].
    pub fn load(parts: &Parts<'_>, out: usize, dim: usize) -> Result<FourBit> {
        let state = State::load(parts)?;
        if state.shape != [out, dim] {
            let message = format!("describes a weight of {:?}; it should be [{out}, {dim}]", state.shape);
            return Err(parts.error(&state.name, message));
        }
        let packed = parts.bytes("weight")?;
        if packed.len() != (out * dim).div_ceil(2) {
            let message =
                format!("has {} bytes; {} hold [{out}, {dim}]", packed.len(), (out * dim).div_ceil(2));
            return Err(parts.error("weight", message));
        }
        let statistics = state.statistics(parts)?;
        let blocks = (out * dim).div_ceil(state.block);
        if statistics.len() != blocks {
            let message = format!("has {} entries for {blocks} blocks", statistics.len());
            return Err(parts.error("weight.absmax", message));
        }
        let table = parts.floats_of("weight.quant_map", &[16])?;
        Ok(FourBit { out, dim, table, block: state.block, precision: state.precision, packed, statistics })
    }

    /// Two codes a byte, the first in the high half, over the flattened matrix.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// What the blocks' codes are multiplied with.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    fn code(&self, index: usize) -> u8 {
        let byte = self.packed[index / 2];
        if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
    }
}

impl QuantizedWeight for FourBit {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        self.packed.len() + self.statistics.bytes() + 4 * self.table.len()
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let (mut index, end) = (rows.start * self.dim, rows.end * self.dim);
        let mut rest = out;
        while index < end {
            let count = (self.block - index % self.block).min(end - index);
            let scale = self.statistics.get(index / self.block);
            let (block, after) = rest.split_at_mut(count);
            // What the codes stand for in this block.
            let values: [f32; 16] =
                std::array::from_fn(|code| self.precision.round(self.table[code] * scale));
            match block.as_chunks_mut::<2>() {
                (pairs, []) if index.is_multiple_of(2) => {
                    for (pair, byte) in pairs.iter_mut().zip(&self.packed[index / 2..]) {
                        *pair = [values[usize::from(byte >> 4)], values[usize::from(byte & 15)]];
                    }
                }
                _ => {
                    for (offset, x) in block.iter_mut().enumerate() {
                        *x = values[usize::from(self.code(index + offset))];
                    }
                }
            }
            rest = after;
            index += count;
        }
    }
}

/// The description beside a packed weight.
struct State {
    name: String,
    values: Map<String, Value>,
    shape: Vec<usize>,
    block: usize,
    precision: Precision,
}

impl State {
    fn load(parts: &Parts<'_>) -> Result<State> {
        let kind = KINDS.iter().map(|(kind, _)| *kind).find(|kind| parts.has(&state_name(kind)));
        let name = state_name(kind.unwrap_or("nf4"));
        let text = parts.bytes(&name)?;
        let values: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|error| parts.error(&name, format!("is not a JSON description: {error}")))?;
        let missing = |key: &str| parts.error(&name, format!("has no usable `{key}`"));
        let sizes = |key: &str| {
            let list = values.get(key)?.as_array()?;
            list.iter().map(|size| size.as_u64().map(|size| size as usize)).collect::<Option<Vec<_>>>()
        };
        let shape = sizes("shape").ok_or_else(|| missing("shape"))?;
        let block = values.get("blocksize").and_then(Value::as_u64).filter(|block| *block > 0);
        let block = block.ok_or_else(|| missing("blocksize"))? as usize;
        let precision = match values.get("dtype").and_then(Value::as_str) {
            Some("float32") => Precision::F32,
            Some("float16") => Precision::F16,
            Some("bfloat16") => Precision::Bf16,
            _ => return Err(missing("dtype")),
        };
        Ok(State { name, values, shape, block, precision })
    }

    fn statistics(&self, parts: &Parts<'_>) -> Result<Statistics> {
        if !parts.has("weight.nested_absmax") {
            return Ok(Statistics::Plain(parts.floats("weight.absmax")?));
        }
        let missing = |key: &str| parts.error(&self.name, format!("has no usable `{key}`"));
        let block = self.values.get("nested_blocksize").and_then(Value::as_u64).filter(|block| *block > 0);
        let block = block.ok_or_else(|| missing("nested_blocksize"))? as usize;
        let offset = self.values.get("nested_offset").and_then(Value::as_f64);
        let offset = offset.ok_or_else(|| missing("nested_offset"))? as f32;
        let codes = parts.bytes("weight.absmax")?;
        let map = parts.floats_of("weight.nested_quant_map", &[256])?;
        let scales = parts.floats_of("weight.nested_absmax", &[codes.len().div_ceil(block)])?;
        Ok(Statistics::Nested { codes, map, scales, block, offset })
    }
}
