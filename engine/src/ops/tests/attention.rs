//! Attention: rotations, windows, caps, biases, padding and layouts.

use std::sync::Arc;

use candle_core::Tensor;

use super::{assert_close, compare, random, variable, with_both};
use crate::autograd::{ParamGradients, Tape, Var};
use crate::kernel::attention::{AttentionShape, Columns, PAGE, Slope, Span};
use crate::ops::attention::extend;
use crate::ops::{AttentionSpec, Extension, Pages, Rotary, Rotation, alibi_slopes, attention, plain};

fn rotation(rows: usize, dim: usize) -> Rotation {
    let angles: Vec<f32> = (0..rows * dim / 2).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
    Rotation {
        cos: Arc::new(angles.iter().map(|x| x.cos()).collect()),
        sin: Arc::new(angles.iter().map(|x| x.sin()).collect()),
        query_factors: None,
    }
}

fn check_attention(spec: &AttentionSpec, rotation: &Rotation, spans: Vec<Span>) {
    let rows = spans.iter().map(|span| span.len).sum::<usize>();
    let spans = Arc::new(spans);
    let qkv = variable(&[rows, spec.width()], 5);
    compare(
        &[&qkv],
        &[],
        |tape, vars| attention(tape, spec, vars[0].clone(), rotation, &spans),
        |inputs| plain::attention(spec, &inputs[0], rotation, &spans),
    );
}

fn spans() -> Vec<Span> {
    vec![Span::new(0, 70), Span::new(70, 1), Span::new(71, 130)]
}

const SHAPE: AttentionShape = AttentionShape {
    heads: 6,
    kv_heads: 2,
    head_dim: 16,
    value_dim: 16,
    scale: 0.25,
    cap: None,
    window: None,
    bf16: false,
};

fn spec(shape: AttentionShape, start: usize, dim: usize, interleaved: bool) -> AttentionSpec {
    let columns = AttentionSpec::adjacent(shape);
    AttentionSpec { shape, columns, rotary: Rotary { start, dim, interleaved }, slopes: None }
}

#[test]
fn attention_agrees_with_candle() {
    for (start, dim, interleaved) in
        [(0, 16, false), (0, 16, true), (0, 8, false), (8, 8, true), (0, 0, false)]
    {
        check_attention(&spec(SHAPE, start, dim, interleaved), &rotation(201, dim), spans());
    }
}

#[test]
fn attention_with_windows_caps_and_slopes_agrees_with_candle() {
    let none = Rotation::default();
    for window in [1, 7, 64, 100] {
        check_attention(&spec(AttentionShape { window: Some(window), ..SHAPE }, 0, 0, false), &none, spans());
    }
    let capped = AttentionShape { cap: Some(1.5), window: Some(40), ..SHAPE };
    check_attention(&spec(capped, 0, 0, false), &none, spans());
    let slopes = |slope: fn(f32) -> Slope| Some(Arc::new(alibi_slopes(6).into_iter().map(slope).collect()));
    for slope in [Slope::new as fn(f32) -> Slope, |slope| Slope::rounded(slope, 0.25)] {
        check_attention(&AttentionSpec { slopes: slopes(slope), ..spec(SHAPE, 0, 0, false) }, &none, spans());
        check_attention(
            &AttentionSpec { slopes: slopes(slope), ..spec(capped, 0, 0, false) },
            &none,
            spans(),
        );
    }
    let factors = Some(Arc::new((0..201).map(|i| 1.0 + (i % 5) as f32 * 0.2).collect()));
    check_attention(
        &spec(SHAPE, 0, 16, false),
        &Rotation { query_factors: factors, ..rotation(201, 16) },
        spans(),
    );
    let trailing = Span { trailing: 9, ..Span::new(70, 131) };
    check_attention(&spec(SHAPE, 0, 0, false), &none, vec![Span::new(0, 70), trailing]);
}

/// Products of bf16 have eight bits; everything between them is f32.
#[test]
fn attention_by_bf16_products_is_near() {
    let spans = Arc::new(spans());
    let run = |bf16: bool| {
        let spec = spec(AttentionShape { bf16, ..SHAPE }, 0, 0, false);
        let (qkv, seed) = (random(&[201, spec.width()], 5, 1.0), random(&[201, 96], 6, 1.0));
        let tape = Tape::new();
        let leaf = tape.leaf(qkv);
        let y = attention(&tape, &spec, leaf.clone(), &Rotation::default(), &spans).unwrap();
        let dx = tape.backward(&y, seed, &mut ParamGradients::default(), leaf.node).unwrap().unwrap();
        (y.tensor, dx)
    };
    let ((y, dx), (rough_y, rough_dx)) = (run(false), run(true));
    for (exact, rough) in [(y, rough_y), (dx, rough_dx)] {
        let off = (rough - exact).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        // Without such products, the same ones in f32 may come in another order.
        let range = if crate::kernel::gemm::has_bf16() { 1e-4..0.05 } else { 0.0..1e-5 };
        assert!(range.contains(&off), "{off} is not in {range:?}");
    }
}

#[test]
fn attention_over_other_layouts_agrees_with_candle() {
    let (rotation, dim) = (rotation(201, 16), 16);
    let grouped = [(0, 3), (3 * dim, 1), (4 * dim, 1)];
    let columns = grouped.map(|(start, group)| Columns { start, group, step: 5 * dim, dim });
    check_attention(&AttentionSpec { columns, ..spec(SHAPE, 0, 16, false) }, &rotation, spans());
    let narrow = AttentionShape { heads: 3, kv_heads: 3, value_dim: 12, ..SHAPE };
    check_attention(&spec(narrow, 0, 16, true), &rotation, spans());
}

/// Rows of a rotation.
fn rows_of(rotation: &Rotation, start: usize, count: usize) -> [Vec<f32>; 2] {
    [&rotation.cos, &rotation.sin].map(|all| all[start * 8..(start + count) * 8].to_vec())
}

/// Sequences that come in parts and together, as in generation, are mixed as if each had come at once.
#[test]
fn attention_over_pages_agrees_with_attention_over_all() {
    let rotation = rotation(150, 16);
    let slopes = |slope: fn(f32) -> Slope| Some(Arc::new(alibi_slopes(6).into_iter().map(slope).collect()));
    let windowed = AttentionShape { window: Some(70), ..SHAPE };
    let narrow = AttentionShape { heads: 3, kv_heads: 3, value_dim: 83, ..SHAPE };
    for spec in [
        spec(SHAPE, 0, 16, true),
        spec(AttentionShape { window: Some(7), cap: Some(1.5), ..SHAPE }, 0, 16, false),
        AttentionSpec { slopes: slopes(Slope::new), ..spec(windowed, 0, 16, false) },
        AttentionSpec { slopes: slopes(|slope| Slope::rounded(slope, 0.25)), ..spec(SHAPE, 0, 16, false) },
        spec(narrow, 0, 16, false),
    ] {
        let qkv = [1, 2].map(|seed| random(&[150, spec.width()], seed, 1.0));
        with_both(|| {
            let whole = |qkv: &Tensor| {
                let spans = Arc::new(vec![Span::new(0, 150)]);
                let all = Var::constant(qkv.copy().unwrap());
                attention(&Tape::off(), &spec, all, &rotation, &spans).unwrap().tensor
            };
            let want = qkv.each_ref().map(whole);
            let mut pages = Pages::default();
            let (mut past, mut got) = ([0, 0], [vec![], vec![]]);
            // The first sequence has the odd pages, the second the even ones, in another order.
            let lists = [[1, 5, 3], [4, 0, 2]];
            for counts in [[70, 0], [1, 1], [1, 20], [18, 64], [1, 1], [14, 15], [45, 49]] {
                let (mut rows, mut angles, mut extensions) = (Vec::new(), [vec![], vec![]], Vec::new());
                let mut start = 0;
                for (i, len) in counts.into_iter().enumerate().filter(|(_, len)| *len > 0) {
                    rows.push(qkv[i].narrow(0, past[i], len).unwrap());
                    let more = rows_of(&rotation, past[i], len);
                    angles.iter_mut().zip(more).for_each(|(all, more)| all.extend(more));
                    let pages = lists[i][..(past[i] + len).div_ceil(PAGE)].to_vec();
                    extensions.push(Extension { start, len, past: past[i], pages, slot: i });
                    start += len;
                }
                let [cos, sin] = angles.map(Arc::new);
                let part = Rotation { cos, sin, query_factors: None };
                let rows = Tensor::cat(&rows, 0).unwrap().force_contiguous().unwrap();
                let mixed = extend(&spec, rows, &part, &mut pages, &extensions).unwrap();
                for extension in &extensions {
                    let i = extension.slot;
                    got[i].push(mixed.narrow(0, extension.start, extension.len).unwrap());
                    past[i] += extension.len;
                }
            }
            assert_eq!(past, [150, 150]);
            for (got, want) in got.iter().zip(&want) {
                assert_close("mixed values", &Tensor::cat(got, 0).unwrap(), want);
            }
        });
    }
}

/// Slopes for 12 heads, as the paper's code gives them.
#[test]
fn slopes_of_other_head_counts_come_from_the_next_powers() {
    let slopes = alibi_slopes(12);
    let want = [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625];
    assert_eq!(slopes[..8], want);
    for (i, slope) in slopes[8..].iter().enumerate() {
        assert!((slope - 0.5f32.powf(0.5 + i as f32)).abs() < 1e-6, "{slopes:?}");
    }
}
