//! AQLM (Egiazarian et al. 2024): groups of weights are sums of code-book vectors.
//!
//! `codes` [out/og, in/ig, books] are whole numbers of `nbits` bits in two's complement, `codebooks`
//! [books, 2^nbits, og, ig], `scales` [out/og, 1, 1, 1]. A group of og × ig weights is
//! scale · Σ_k codebooks[k][codes[.., k]].

use std::ops::Range;

use super::{Parts, QuantizedWeight};
use crate::Result;
use crate::families::Config;

/// What `quantization_config` says about the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub books: usize,
    pub bits: usize,
    pub out_group: usize,
    pub in_group: usize,
}

impl Settings {
    pub(super) fn read(config: &Config) -> Result<Settings> {
        let bits = config.size("nbits_per_codebook")?;
        if bits > 16 {
            return Err(config.error("nbits_per_codebook", format!("is {bits}; at most 16 can be read")));
        }
        Ok(Settings {
            books: config.size("num_codebooks")?,
            bits,
            out_group: config.size_or("out_group_size", 1)?,
            in_group: config.size("in_group_size")?,
        })
    }
}

/// A weight packed by AQLM.
#[derive(Debug)]
pub struct Aqlm {
    settings: Settings,
    out: usize,
    dim: usize,
    codes: Vec<u16>,
    books: Vec<f32>,
    scales: Vec<f32>,
}

impl Aqlm {
    /// # Errors
    /// If a tensor is missing or of the wrong shape.
    pub fn load(settings: &Settings, parts: &Parts<'_>, out: usize, dim: usize) -> Result<Aqlm> {
        let &Settings { books, bits, out_group, in_group } = settings;
        if !out.is_multiple_of(out_group) || !dim.is_multiple_of(in_group) {
            let message =
                format!("has groups of {out_group} × {in_group}, which do not divide [{out}, {dim}]");
            return Err(parts.error("codes", message));
        }
        let mask = (1i32 << bits) - 1;
        let codes = parts.integers("codes", &[out / out_group, dim / in_group, books])?;
        Ok(Aqlm {
            settings: settings.clone(),
            out,
            dim,
            codes: codes.into_iter().map(|code| (code & mask) as u16).collect(),
            books: parts.floats_of("codebooks", &[books, 1 << bits, out_group, in_group])?,
            scales: parts.floats_of("scales", &[out / out_group, 1, 1, 1])?,
        })
    }
}

impl QuantizedWeight for Aqlm {
    fn dims(&self) -> (usize, usize) {
        (self.out, self.dim)
    }

    fn bytes(&self) -> usize {
        2 * self.codes.len() + 4 * (self.books.len() + self.scales.len())
    }

    fn dequantize_rows(&self, rows: Range<usize>, out: &mut [f32]) {
        let &Settings { books, bits, out_group, in_group } = &self.settings;
        let per_row = self.dim / in_group;
        for (o, row) in rows.zip(out.chunks_exact_mut(self.dim)) {
            let (band, line) = (o / out_group, o % out_group);
            let codes = &self.codes[band * per_row * books..][..per_row * books];
            for (group, codes) in row.chunks_exact_mut(in_group).zip(codes.chunks_exact(books)) {
                group.fill(0.0);
                for (book, code) in codes.iter().enumerate() {
                    let entry = (book << bits) + usize::from(*code);
                    let vector = &self.books[(entry * out_group + line) * in_group..][..in_group];
                    group.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
                }
                group.iter_mut().for_each(|x| *x *= self.scales[band]);
            }
        }
    }
}
