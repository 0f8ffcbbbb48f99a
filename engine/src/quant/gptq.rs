//! GPTQ (Frantar et al. 2022) as AutoGPTQ and GPTQModel store it.
//!
//! `qweight` [in·bits/32, out] packs the numbers of a column down the rows, `qzeros` [groups, out·bits/32] the
//! zero points along a row; `scales` [groups, out]; `g_idx` [in] names the group of each input where the inputs
//! were quantised in order of their activations. w[o, i] = scales[g, o] · (q[o, i] − zero[g, o]).

use std::ops::Range;

use super::bits::unpack;
use super::{Parts, QuantizedWeight};
use crate::Result;
use crate::families::Config;
use crate::kernel::simd;

/// What `quantization_config` says about the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub bits: usize,
    /// Inputs that share a scale; none where all do.
    pub group: Option<usize>,
    /// The first format stores zero points less one.
    pub zeros_less_one: bool,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Settings> {
        let bits = config.size("bits")?;
        if ![2, 3, 4, 8].contains(&bits) {
            return Err(config.error("bits", format!("is {bits}; 2, 3, 4 and 8 can be read")));
        }
        let format = config.get("checkpoint_format").and_then(|format| format.as_str()).unwrap_or("gptq");
        let zeros_less_one = match format {
            "gptq" => true,
            "gptq_v2" => false,
            other => {
                let message = format!("is \"{other}\"; gptq and gptq_v2 can be read");
                return Err(config.error("checkpoint_format", message));
            }
        };
        Ok(Settings { bits, group: group(config)?, zeros_less_one })
    }
}

/// `group_size`, where −1 and absence mean one group.
pub(super) fn group(config: &Config) -> Result<Option<usize>> {
    match config.get("group_size").and_then(serde_json::Value::as_i64) {
        Some(-1) | None => Ok(None),
        Some(_) => config.size("group_size").map(Some),
    }
}

/// A weight packed by GPTQ.
#[derive(Debug)]
pub struct Gptq {
    out: usize,
    dim: usize,
    bits: usize,
    weight: Vec<u32>,
    zeros: Vec<u32>,
    zero_offset: u32,
    scales: Vec<f32>,
    /// The group of each input.
    groups: Vec<u32>,
}

impl Gptq {
    /// # Errors
    /// If a tensor is missing, of the wrong shape, or names a group that there is no scale for.
    pub fn load(settings: &Settings, parts: &Parts<'_>, out: usize, dim: usize) -> Result<Gptq> {
        let (bits, group) = (settings.bits, settings.group.unwrap_or(dim));
        if !(dim * bits).is_multiple_of(32) || !(out * bits).is_multiple_of(32) {
            let message = format!("packs {bits} bits, but [{out}, {dim}] does not fill whole 32-bit words");
            return Err(parts.error("qweight", message));
        }
        let count = dim.div_ceil(group);
        let groups: Vec<u32> = if parts.has("g_idx") {
            parts.words("g_idx", &[dim])?
        } else {
            (0..dim).map(|i| (i / group) as u32).collect()
        };
        if let Some(wrong) = groups.iter().find(|g| **g as usize >= count) {
            return Err(parts.error("g_idx", format!("names group {wrong}; there are {count}")));
        }
        Ok(Gptq {
            out,
            dim,
            bits,
            weight: parts.words("qweight", &[dim * bits / 32, out])?,
            zeros: parts.words("qzeros", &[count, out * bits / 32])?,
            zero_offset: u32::from(settings.zeros_less_one),
            scales: parts.floats_of("scales", &[count, out])?,
            groups,
        })
    }
}

impl Gptq {
    /// The packed numbers of a row.
    #[inline(always)]
    fn numbers(&self, o: usize, out: &mut [f32]) {
        let column = |word: usize| self.weight[word * self.out + o];
        if !32usize.is_multiple_of(self.bits) {
            for (i, x) in out.iter_mut().enumerate() {
                *x = unpack(i, self.bits, column) as f32;
            }
            return;
        }
        let mask = (1 << self.bits) - 1;
        for (word, out) in out.chunks_exact_mut(32 / self.bits).enumerate() {
            let word = column(word);
            for (k, x) in out.iter_mut().enumerate() {
                *x = (word >> (k * self.bits) & mask) as f32;
            }
        }
    }

    /// Makes a row's numbers weights: those of neighbours that share a group together.
    #[inline(always)]
    fn scale(&self, o: usize, out: &mut [f32]) {
        let words = self.out * self.bits / 32;
        let mut rest = out;
        for groups in self.groups.chunk_by(|one, next| one == next) {
            let (numbers, behind) = rest.split_at_mut(groups.len());
            let group = groups[0] as usize;
            let zero = unpack(o, self.bits, |word| self.zeros[group * words + word]) + self.zero_offset;
            let (zero, scale) = (zero as f32, self.scales[group * self.out + o]);
            numbers.iter_mut().for_each(|x| *x = scale * (*x - zero));
            rest = behind;
        }
    }
}

impl QuantizedWeight for Gptq {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        4 * (self.weight.len() + self.zeros.len() + self.scales.len() + self.groups.len())
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        simd(
            #[inline(always)]
            || {
                for (o, out) in rows.zip(out.chunks_exact_mut(self.dim)) {
                    self.numbers(o, out);
                    self.scale(o, out);
                }
            },
        );
    }
}
