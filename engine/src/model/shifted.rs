//! Shifted sparse attention (LongLoRA, Chen et al. 2023, section 3.2): while training, a head sees groups of a quarter of a
//! sequence, and half of the heads groups that begin half a group later, so that what one group knows reaches the next.
//!
//! What is before the first shifted group, and behind the last one, are groups of their own. Rolling the rows, as the paper's
//! code does, joins these two: then the first tokens see the last ones as their past.

use std::sync::Arc;

use crate::Result;
use crate::autograd::{Tape, Var};
use crate::kernel::attention::{AttentionShape, Span};
use crate::ops::attention::attention;
use crate::ops::elementwise::{columns, join};
use crate::ops::{AttentionSpec, Rotation};

/// Groups of a sequence.
const GROUPS: usize = 4;

/// The groups of the first half of the heads, and of the second.
#[derive(Clone, Debug)]
pub struct ShiftedSpans([Arc<Vec<Span>>; 2]);

impl ShiftedSpans {
    /// The groups of whole sequences.
    pub fn of(spans: &[Span]) -> ShiftedSpans {
        ShiftedSpans(
            [false, true]
                .map(|shifts| Arc::new(spans.iter().flat_map(|span| groups(*span, shifts)).collect())),
        )
    }
}

fn groups(span: Span, shifts: bool) -> Vec<Span> {
    let size = span.len.div_ceil(GROUPS).max(1);
    let first = if shifts { size / 2 } else { size };
    let mut cuts: Vec<usize> = std::iter::once(0).chain((first..span.len).step_by(size)).collect();
    cuts.push(span.len);
    cuts.dedup();
    cuts.windows(2).map(|cut| Span::new(span.start + cut[0], cut[1] - cut[0])).collect()
}

/// Mixed values [rows, heads · value dim] of queries, keys and values that are side by side, each half of the heads within
/// its groups. A single head of keys and values serves both halves.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub(super) fn shifted_attention(
    tape: &Tape,
    spec: &AttentionSpec,
    qkv: &Var,
    rotation: &Rotation,
    spans: &ShiftedSpans,
) -> Result<Var> {
    let whole = spec.shape;
    let is_shared = whole.kv_heads == 1;
    let kv_heads = if is_shared { 1 } else { whole.kv_heads / 2 };
    let half = AttentionShape { heads: whole.heads / 2, kv_heads, ..whole };
    let part = |side: usize| -> Result<Var> {
        let kv_side = if is_shared { 0 } else { side };
        let (keys, values) = (whole.query_width(), whole.query_width() + whole.key_width());
        let q = columns(tape, qkv, side * half.query_width(), half.query_width())?;
        let k = columns(tape, qkv, keys + kv_side * half.key_width(), half.key_width())?;
        let v = columns(tape, qkv, values + kv_side * half.value_width(), half.value_width())?;
        let rows = join(tape, join(tape, q, k)?, v)?;
        let spec = AttentionSpec { shape: half, columns: AttentionSpec::adjacent(half), ..spec.clone() };
        attention(tape, &spec, rows, rotation, &spans.0[side])
    };
    let (first, second) = (part(0)?, part(1)?);
    join(tape, first, second)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::device::with_plain_operations;
    use crate::ops::attention::Rotary;
    use crate::rng::Rng;

    fn bounds(spans: &[Span]) -> Vec<(usize, usize)> {
        spans.iter().map(|span| (span.start, span.len)).collect()
    }

    #[test]
    fn groups_cover_each_sequence_and_never_wrap_around() {
        let ShiftedSpans([first, second]) =
            ShiftedSpans::of(&[Span::new(0, 8), Span::new(8, 1), Span::new(9, 10)]);
        assert_eq!(
            bounds(&first),
            [(0, 2), (2, 2), (4, 2), (6, 2), (8, 1), (9, 3), (12, 3), (15, 3), (18, 1)]
        );
        let shifted = [(0, 1), (1, 2), (3, 2), (5, 2), (7, 1), (8, 1), (9, 1), (10, 3), (13, 3), (16, 3)];
        assert_eq!(bounds(&second), shifted);
    }

    /// Each head's values by the definition, in double precision: softmax over what is in the query's group, up to itself.
    fn expected(rows: &[Vec<f64>], shape: AttentionShape, length: usize) -> Vec<f64> {
        let size = length.div_ceil(GROUPS);
        let (dim, group) = (shape.head_dim, shape.heads / shape.kv_heads);
        let (keys, values) = (shape.heads * dim, (shape.heads + shape.kv_heads) * dim);
        let mut out = Vec::new();
        for query in 0..length {
            for head in 0..shape.heads {
                let shift = if head < shape.heads / 2 { 0 } else { size - size / 2 };
                let kv = head / group * dim;
                let seen: Vec<usize> =
                    (0..=query).filter(|key| (key + shift) / size == (query + shift) / size).collect();
                let score = |key: &usize| -> f64 {
                    let products = (0..dim).map(|d| rows[query][head * dim + d] * rows[*key][keys + kv + d]);
                    (products.sum::<f64>() * f64::from(shape.scale)).exp()
                };
                let scores: Vec<f64> = seen.iter().map(score).collect();
                let total: f64 = scores.iter().sum();
                out.extend((0..dim).map(|d| {
                    let parts =
                        seen.iter().zip(&scores).map(|(key, score)| score * rows[*key][values + kv + d]);
                    parts.sum::<f64>() / total
                }));
            }
        }
        out
    }

    #[test]
    fn heads_see_their_groups_alone() {
        for (heads, kv_heads, length) in [(4, 2, 12), (4, 4, 13), (2, 1, 7), (2, 2, 3)] {
            let dim = 8;
            let shape = AttentionShape {
                heads,
                kv_heads,
                head_dim: dim,
                value_dim: dim,
                scale: 0.35,
                cap: None,
                window: None,
                bf16: false,
            };
            let width = (heads + 2 * kv_heads) * dim;
            let mut rng = Rng::new(5);
            let rows: Vec<Vec<f64>> =
                (0..length).map(|_| (0..width).map(|_| f64::from(rng.normal() as f32)).collect()).collect();
            let flat: Vec<f32> = rows.iter().flatten().map(|x| *x as f32).collect();
            let qkv = Tensor::from_vec(flat, (length, width), &Device::Cpu).unwrap();
            let spec = AttentionSpec {
                shape,
                columns: AttentionSpec::adjacent(shape),
                rotary: Rotary::default(),
                slopes: None,
            };
            let spans = ShiftedSpans::of(&[Span::new(0, length)]);
            let run = || {
                let tape = Tape::off();
                let qkv = Var::constant(qkv.clone());
                let mixed = shifted_attention(&tape, &spec, &qkv, &Rotation::default(), &spans).unwrap();
                mixed.tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            let expected = expected(&rows, shape, length);
            for got in [run(), with_plain_operations(run)] {
                assert_eq!(got.len(), expected.len());
                for (got, expected) in got.iter().zip(&expected) {
                    assert!(
                        (f64::from(*got) - expected).abs() < 1e-5,
                        "{heads} {kv_heads}: {got}, {expected}"
                    );
                }
            }
        }
    }
}
