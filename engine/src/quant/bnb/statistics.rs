//! The largest magnitude of each block, plain or quantised once more.

use super::codes::dynamic_map;

/// Blocks of statistics that share a scale when they are quantised.
const NESTED_BLOCK: usize = 256;

/// What a block's codes are multiplied with.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// A number for each block.
    Plain(Vec<f32>),
    /// "Double quantisation": map[code] · scale of 256 blocks + offset.
    Nested {
        /// A code for each block.
        codes: Vec<u8>,
        /// The number that a code means.
        map: Vec<f32>,
        /// A scale for each group of blocks.
        scales: Vec<f32>,
        /// Blocks of a group.
        block: usize,
        /// Added to all.
        offset: f32,
    },
}

impl Statistics {
    pub(super) fn get(&self, index: usize) -> f32 {
        match self {
            Statistics::Plain(values) => values[index],
            Statistics::Nested { codes, map, scales, block, offset } => {
                map[usize::from(codes[index])] * scales[index / block] + offset
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Statistics::Plain(values) => values.len(),
            Statistics::Nested { codes, .. } => codes.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Statistics::Plain(values) => 4 * values.len(),
            Statistics::Nested { codes, map, scales, .. } => codes.len() + 4 * (map.len() + scales.len()),
        }
    }

    /// Quantises the statistics, less their mean.
    pub(super) fn nest(values: &[f32]) -> Statistics {
        let map = dynamic_map();
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len().max(1) as f64;
        let offset = mean as f32;
        let borders: Vec<f32> = map.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
        let (mut codes, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
        for block in values.chunks(NESTED_BLOCK) {
            let scale = block.iter().fold(0f32, |max, x| max.max((x - offset).abs()));
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            codes.extend(block.iter().map(|x| {
                let x = on_grid((x - offset) * inverse);
                borders.partition_point(|border| *border < x) as u8
            }));
            scales.push(scale);
        }
        Statistics::Nested { codes, map, scales, block: NESTED_BLOCK, offset }
    }
}

/// The library's CPU code looks a value between −1 and 1 up in a table of 2¹⁶ evenly spaced places.
fn on_grid(x: f32) -> f32 {
    const HALF: f32 = 65_535.0 / 2.0;
    ((x + 1.0) * HALF + 0.5).floor() / HALF - 1.0
}
