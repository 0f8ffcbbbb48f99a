//! AWQ (Lin et al. 2023) in AutoAWQ's GEMM layout.
//!
//! `qweight` [in, out/8] and `qzeros` [in/group, out/8] hold eight 4-bit numbers a word, in the order 0 2 4 6 1 3 5 7;
//! `scales` [in/group, out]. w[o, i] = scales[i/group, o] · (q[i, o] − zero[i/group, o]).

use std::ops::Range;

use super::gptq::group;
use super::{Parts, QuantizedWeight};
use crate::Result;
use crate::families::Config;
use crate::kernel::simd;

/// Where in its word the number of output 8c + k lies, in nibbles: the inverse of 0 2 4 6 1 3 5 7.
const NIBBLE: [u32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// What `quantization_config` says about the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Inputs that share a scale; none where all do.
    pub group: Option<usize>,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Settings> {
        let bits = config.size("bits")?;
        if bits != 4 {
            return Err(config.error("bits", format!("is {bits}; AWQ packs 4")));
        }
        let version = config.get("version").and_then(|version| version.as_str()).unwrap_or("gemm");
        if !version.eq_ignore_ascii_case("gemm") {
            return Err(config.error("version", format!("is \"{version}\"; the gemm layout can be read")));
        }
        Ok(Settings { group: group(config)? })
    }
}

/// A weight packed by AWQ.
#[derive(Debug)]
pub struct Awq {
    out: usize,
    dim: usize,
    group: usize,
    weight: Vec<u32>,
    zeros: Vec<u32>,
    scales: Vec<f32>,
}

impl Awq {
    /// # Errors
    /// If a tensor is missing or of the wrong shape.
    pub fn load(settings: &Settings, parts: &Parts<'_>, out: usize, dim: usize) -> Result<Awq> {
        let group = settings.group.unwrap_or(dim);
        if !out.is_multiple_of(8) || !dim.is_multiple_of(group) {
            let message =
                format!("packs 8 outputs a word and {group} inputs a group, which [{out}, {dim}] is not");
            return Err(parts.error("qweight", message));
        }
        let groups = dim / group;
        Ok(Awq {
            out,
            dim,
            group,
            weight: parts.words("qweight", &[dim, out / 8])?,
            zeros: parts.words("qzeros", &[groups, out / 8])?,
            scales: parts.floats_of("scales", &[groups, out])?,
        })
    }
}

impl QuantizedWeight for Awq {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        4 * (self.weight.len() + self.zeros.len() + self.scales.len())
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let words = self.out / 8;
        simd(
            #[inline(always)]
            || {
                for (o, out) in rows.zip(out.chunks_exact_mut(self.dim)) {
                    let (word, shift) = (o / 8, 4 * NIBBLE[o % 8]);
                    let groups = out.chunks_mut(self.group).zip(self.weight.chunks(self.group * words));
                    for (group, (out, weight)) in groups.enumerate() {
                        let zero = (self.zeros[group * words + word] >> shift & 15) as f32;
                        let scale = self.scales[group * self.out + o];
                        for (x, weight) in out.iter_mut().zip(weight[word..].iter().step_by(words)) {
                            *x = scale * ((weight >> shift & 15) as f32 - zero);
                        }
                    }
                }
            },
        );
    }
}
