//! Every operation against plain candle operations (values and gradients) and finite differences.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var as CandleVar};

use super::dispatch::{Answers, combine, gather_rows};
use super::elementwise::{add_scaled, clamp, columns, join, normalise, sigmoid_gate};
use super::latent::{LatentHeads, assemble};
use super::projection::Adaptable;
use super::routing::route;
use super::shift::with_previous;
use super::*;
use crate::Result;
use crate::autograd::{Param, ParamGradients, Tape, Var};
use crate::kernel::activation::{Activation, GateOrder};
use crate::kernel::attention::{AttentionShape, Columns, Span};
use crate::tensor::{from_vec, view};

fn random(shape: &[usize], seed: u64, scale: f32) -> Tensor {
    let n: usize = shape.iter().product();
    let values = (0..n as u64).map(|i| {
        let x = (i + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9));
        let x = (x ^ (x >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        scale * ((x >> 40) as f32 / 8_388_608.0 - 1.0)
    });
    Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// A trainable parameter whose tensor candle can differentiate by, too.
fn param(name: &str, shape: &[usize], seed: u64, scale: f32) -> (Arc<Param>, CandleVar) {
    let var = CandleVar::from_tensor(&random(shape, seed, scale)).unwrap();
    let mut param = Param::new(name, var.as_tensor().clone(), true).unwrap();
    param.tensor = var.as_tensor().clone();
    (Arc::new(param), var)
}

fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.elem_count(), want.elem_count(), "{what}");
    let (got, want) = (got.contiguous().unwrap(), want.contiguous().unwrap());
    let (got, want) = (view(&got).unwrap(), view(&want).unwrap());
    let (got, want) = (got.f32().unwrap(), want.f32().unwrap());
    let largest = want.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= 2e-5 * largest, "{what}[{i}]: {g}, want {w} (largest {largest})");
    }
}

/// Compares an operation's output and all its gradients with candle's, for Σ seed · output.
fn compare(
    inputs: &[&CandleVar],
    params: &[(Arc<Param>, CandleVar)],
    run: impl Fn(&Tape, &[Var]) -> Result<Var>,
    plain: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let reference: Vec<Tensor> = inputs.iter().map(|input| input.as_tensor().clone()).collect();
    let want = plain(&reference).unwrap();
    let seed = random(want.dims(), 99, 1.0);
    let grads = (&want * &seed).unwrap().sum_all().unwrap().backward().unwrap();

    for (index, input) in inputs.iter().enumerate() {
        let tape = Tape::new();
        let vars: Vec<Var> =
            inputs.iter().map(|input| tape.leaf(input.as_tensor().copy().unwrap().detach())).collect();
        let got = run(&tape, &vars).unwrap();
        assert_close("output", &got.tensor, &want);
        let mut param_grads = ParamGradients::default();
        let dx =
            tape.backward(&got, seed.copy().unwrap(), &mut param_grads, vars[index].node).unwrap().unwrap();
        assert_close(&format!("gradient of input {index}"), &dx, grads.get(input).unwrap());
        for (param, var) in params {
            assert_close(&param.name, param_grads.get(param.id).unwrap(), grads.get(var).unwrap());
        }
    }
}

fn linear(
    name: &str,
    out: usize,
    dim: usize,
    seed: u64,
    full: bool,
) -> (Linear, Vec<(Arc<Param>, CandleVar)>) {
    let weight = param(&format!("{name}.weight"), &[out, dim], seed, 0.3);
    let bias = param(&format!("{name}.bias"), &[out], seed + 1, 0.3);
    let a = param(&format!("{name}.a"), &[5, dim], seed + 2, 0.3);
    let b = param(&format!("{name}.b"), &[out, 5], seed + 3, 0.3);
    let frozen = Arc::new(Param::new("w", weight.0.tensor.copy().unwrap(), false).unwrap());
    let lora = Lora { a: a.0.clone(), b: b.0.clone(), scale: 0.7, dropout: 0.0, key: seed };
    let linear = Linear {
        name: name.to_owned(),
        weight: if full { weight.0.clone() } else { frozen },
        bias: Some(bias.0.clone()),
        lora: Some(lora),
        transposed: false,
        adaptable: Adaptable::Always,
    };
    let mut params = vec![bias, a, b];
    if full {
        params.push(weight);
    }
    (linear, params)
}

#[test]
fn projections_agree_with_candle() {
    for full in [false, true] {
        for kind in 0..6 {
            let dim = 24;
            let (q, mut params) = linear("q", 40, dim, 10, full);
            let mut linears = vec![q];
            if kind < 3 {
                let (k, more) = linear("k", 17, dim, 20, full);
                linears.push(k);
                params.extend(more);
            }
            let mut width = dim;
            let prologue = match kind {
                0 | 3 => {
                    let weight = param("norm.weight", &[dim], 3, 1.0);
                    params.push(weight.clone());
                    let one_plus = kind == 3;
                    Prologue::Norm(Norm {
                        weight: Some(weight.0),
                        bias: None,
                        one_plus,
                        center: false,
                        eps: 1e-5,
                    })
                }
                1 => {
                    let (weight, bias) =
                        (param("norm.weight", &[dim], 3, 1.0), param("norm.bias", &[dim], 4, 1.0));
                    params.extend([weight.clone(), bias.clone()]);
                    let (weight, bias) = (Some(weight.0), Some(bias.0));
                    Prologue::Norm(Norm { weight, bias, one_plus: false, center: true, eps: 1e-5 })
                }
                2 => Prologue::Identity,
                4 => {
                    width = 2 * dim;
                    Prologue::Gated(Activation::Silu, GateOrder::GateUp)
                }
                _ => Prologue::Plain(Activation::GeluTanh),
            };
            let projection = Arc::new(Projection { prologue, linears, bf16: false });
            let x = CandleVar::from_tensor(&random(&[37, width], 1, 1.0)).unwrap();
            let residual = CandleVar::from_tensor(&random(&[37, projection.out_dim()], 2, 1.0)).unwrap();
            if kind < 3 {
                compare(
                    &[&x],
                    &params,
                    |tape, vars| projection.forward(tape, vars[0].clone(), None, None),
                    |inputs| projection.plain(&inputs[0], None),
                );
            } else {
                compare(
                    &[&x, &residual],
                    &params,
                    |tape, vars| projection.forward(tape, vars[0].clone(), Some(&vars[1]), None),
                    |inputs| projection.plain(&inputs[0], Some(&inputs[1])),
                );
            }
        }
    }
}

#[test]
fn activations_agree_with_candle() {
    let activations = [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];
    for activation in activations {
        let gated = [GateOrder::GateUp, GateOrder::UpGate].map(|order| Prologue::Gated(activation, order));
        for prologue in gated.into_iter().chain([Prologue::Plain(activation)]) {
            let (down, params) = linear("down", 6, 20, 30, true);
            let width = if matches!(prologue, Prologue::Gated(..)) { 40 } else { 20 };
            let projection = Arc::new(Projection { prologue, linears: vec![down], bf16: false });
            let x = CandleVar::from_tensor(&random(&[11, width], 1, 3.0)).unwrap();
            compare(
                &[&x],
                &params,
                |tape, vars| projection.forward(tape, vars[0].clone(), None, None),
                |inputs| projection.plain(&inputs[0], None),
            );
        }
    }
}

/// A GPT-2 map, stored the other way round.
#[test]
fn transposed_weights_agree_with_candle() {
    let (mut map, mut params) = linear("map", 9, 12, 50, false);
    let weight = param("map.weight", &[12, 9], 60, 0.3);
    (map.weight, map.transposed) = (weight.0.clone(), true);
    params.push(weight);
    let projection = Arc::new(Projection { prologue: Prologue::Identity, linears: vec![map], bf16: false });
    let x = variable(&[13, 12], 1);
    compare(
        &[&x],
        &params,
        |tape, vars| projection.forward(tape, vars[0].clone(), None, None),
        |inputs| projection.plain(&inputs[0], None),
    );
}

fn variable(shape: &[usize], seed: u64) -> CandleVar {
    CandleVar::from_tensor(&random(shape, seed, 1.0)).unwrap()
}

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
    let slopes = Some(Arc::new(alibi_slopes(6)));
    check_attention(&AttentionSpec { slopes: slopes.clone(), ..spec(SHAPE, 0, 0, false) }, &none, spans());
    check_attention(&AttentionSpec { slopes, ..spec(capped, 0, 0, false) }, &none, spans());
    let factors = Some(Arc::new((0..201).map(|i| 1.0 + (i % 5) as f32 * 0.2).collect()));
    check_attention(
        &spec(SHAPE, 0, 16, false),
        &Rotation { query_factors: factors, ..rotation(201, 16) },
        spans(),
    );
    let trailing = Span { trailing: 9, ..Span::new(70, 131) };
    check_attention(&spec(SHAPE, 0, 0, false), &none, vec![Span::new(0, 70), trailing]);
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

fn plain_head(norm: Option<Norm>, linear: Linear) -> Head {
    let tokens = linear.out_dim();
    Head { norm, linear, scale: 1.0, cap: None, unit_rows: false, tokens, bf16: false }
}

fn check_head(head: &Head, params: &[(Arc<Param>, CandleVar)]) {
    let (rows, vocab) = (90, head.vocab());
    let x = variable(&[rows, head.linear.in_dim()], 3);
    let labels: Vec<Label> = (0..rows as u32)
        .filter(|i| i % 3 != 0)
        .map(|row| Label { row, token: (row * 7) % vocab as u32 })
        .collect();
    let want = (head.plain(x.as_tensor(), &labels).unwrap() * 0.25).unwrap();
    let grads = want.backward().unwrap();
    let mut param_grads = ParamGradients::default();
    let got = head.loss_and_gradient(x.as_tensor(), &labels, 0.25, &mut param_grads, None).unwrap();
    let want = want.to_scalar::<f32>().unwrap() as f64;
    assert!((got.total() * 0.25 - want).abs() < 1e-4 * want);
    assert!((head.loss(x.as_tensor(), &labels).unwrap().total() * 0.25 - want).abs() < 1e-4 * want);
    assert_close("hidden", &got.d_hidden.unwrap(), grads.get(&x).unwrap());
    for (param, var) in params {
        assert_close(&param.name, param_grads.get(param.id).unwrap(), grads.get(var).unwrap());
    }
}

#[test]
fn heads_agree_with_candle() {
    let (dim, vocab) = (24, 301);
    let weight = param("norm", &[dim], 1, 1.0);
    let norm = Norm { weight: Some(weight.0.clone()), bias: None, one_plus: false, center: false, eps: 1e-6 };
    for full in [false, true] {
        let (linear, mut params) = linear("head", vocab, dim, 2, full);
        params.push(weight.clone());
        let head = plain_head(Some(norm.clone()), linear);
        check_head(&head, &params);
        check_head(&Head { scale: 0.3, cap: Some(0.8), ..head }, &params);
    }
    let weight = param("head", &[vocab, dim], 2, 0.5);
    let (mut linear, _) = linear("head", vocab, dim, 2, true);
    (linear.weight, linear.bias, linear.lora) = (weight.0.clone(), None, None);
    let unit = Head { unit_rows: true, scale: 2.0, ..plain_head(None, linear) };
    check_head(&unit, &[weight]);
}

#[test]
fn embedding_scatters_its_gradient() {
    let (tokens, positions) = (param("tokens", &[10, 4], 1, 1.0), param("positions", &[6, 4], 2, 1.0));
    let tables = Embedding { tokens: tokens.0.clone(), positions: Some(positions.0.clone()), scale: 1.5 };
    let tape = Tape::new();
    let x = tables.forward(&tape, &[3, 7, 3], &[0, 1, 0]).unwrap();
    let seed = random(&[3, 4], 2, 1.0);
    let mut grads = ParamGradients::default();
    tape.backward(&x, seed.copy().unwrap(), &mut grads, None).unwrap();
    let rows = |table: &CandleVar, rows: &[u32; 3]| {
        table.as_tensor().index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap()
    };
    let want = (rows(&tokens.1, &[3, 7, 3]) * 1.5).unwrap();
    let want = (want + rows(&positions.1, &[0, 1, 0])).unwrap();
    assert_close("x", &x.tensor, &want);
    let want = (want * seed).unwrap().sum_all().unwrap().backward().unwrap();
    for (param, var) in [tokens, positions] {
        assert_close(&param.name, grads.get(param.id).unwrap(), want.get(&var).unwrap());
    }
}

#[test]
fn elementwise_operations_agree_with_candle() {
    let (a, b) = (variable(&[40, 12], 1), variable(&[40, 12], 2));
    compare(
        &[&a, &b],
        &[],
        |tape, vars| add_scaled(tape, &vars[0], &vars[1], 0.3),
        |inputs| Ok((&inputs[0] + (&inputs[1] * f64::from(0.3f32))?)?),
    );
    compare(
        &[&a, &b],
        &[],
        |tape, vars| join(tape, vars[0].clone(), vars[1].clone()),
        |inputs| Ok(Tensor::cat(inputs, 1)?),
    );
    compare(&[&a], &[], |tape, vars| columns(tape, &vars[0], 3, 5), |inputs| Ok(inputs[0].narrow(1, 3, 5)?));
    compare(
        &[&a],
        &[],
        |tape, vars| clamp(tape, vars[0].clone(), 0.4),
        |inputs| Ok(inputs[0].clamp(-0.4f32, 0.4f32)?),
    );
    let gate = variable(&[40, 1], 3);
    compare(
        &[&a, &gate],
        &[],
        |tape, vars| sigmoid_gate(tape, vars[0].clone(), vars[1].clone()),
        |inputs| {
            let sigmoid = ((inputs[1].neg()?.exp()? + 1.0)?.recip())?;
            Ok(inputs[0].broadcast_mul(&sigmoid)?)
        },
    );
    let (weight, bias) = (param("weight", &[12], 3, 1.0), param("bias", &[12], 4, 1.0));
    let norm = Arc::new(Norm {
        weight: Some(weight.0.clone()),
        bias: Some(bias.0.clone()),
        one_plus: false,
        center: true,
        eps: 1e-5,
    });
    compare(
        &[&a],
        &[weight, bias],
        |tape, vars| normalise(tape, &norm, &vars[0]),
        |inputs| norm.plain(&inputs[0]),
    );
    // Rows beside the ones before them, in sequences of 15 and 25 rows.
    compare(
        &[&a],
        &[],
        |tape, vars| with_previous(tape, &vars[0], vec![0, 15], None),
        |inputs| {
            let zero = Tensor::zeros((1, 12), DType::F32, &Device::Cpu)?;
            let part = |start: usize, len: usize| inputs[0].narrow(0, start, len);
            let before = Tensor::cat(&[&zero, &part(0, 14)?, &zero, &part(15, 24)?], 0)?;
            Ok(Tensor::stack(&[before, inputs[0].clone()], 2)?.reshape((40, 24))?)
        },
    );
}

#[test]
fn head_norms_agree_with_candle() {
    for (own_weights, center) in [(false, false), (true, true)] {
        let count = if own_weights { 3 * 8 } else { 8 };
        let (weight, bias) = (param("weight", &[count], 3, 1.0), param("bias", &[count], 4, 1.0));
        let norm = Norm {
            weight: Some(weight.0.clone()),
            bias: Some(bias.0.clone()),
            one_plus: !own_weights,
            center,
            eps: 1e-5,
        };
        let starts = vec![0, 16, 8];
        let part = ColumnNorm { norm: norm.clone(), starts: starts.clone(), len: 8, own_weights };
        let op = Arc::new(HeadNorm { parts: vec![part] });
        let x = variable(&[50, 30], 1);
        let inner = |stretch: usize| {
            Norm { weight: None, bias: None, ..norm.clone() }
                .plain_with((&weight.1, &bias.1), if own_weights { stretch * 8 } else { 0 })
        };
        compare(
            &[&x],
            &[weight.clone(), bias.clone()],
            |tape, vars| op.forward(tape, vars[0].clone()),
            |inputs| {
                let part = |stretch: usize| inner(stretch)(&inputs[0].narrow(1, starts[stretch], 8)?);
                // Stretches 0, 2, 1 lie side by side, and the last columns stay.
                Ok(Tensor::cat(&[part(0)?, part(2)?, part(1)?, inputs[0].narrow(1, 24, 6)?], 1)?)
            },
        );
    }
}

impl Norm {
    /// This norm with eight of the given weights and biases, from `start` on.
    fn plain_with(
        self,
        (weight, bias): (&CandleVar, &CandleVar),
        start: usize,
    ) -> impl Fn(&Tensor) -> Result<Tensor> {
        let (weight, bias) = (weight.as_tensor().clone(), bias.as_tensor().clone());
        move |x| {
            let weight = weight.narrow(0, start, 8)?;
            let weight = if self.one_plus { (weight + 1.0)? } else { weight };
            Ok(self.plain(x)?.broadcast_mul(&weight)?.broadcast_add(&bias.narrow(0, start, 8)?)?)
        }
    }
}

#[test]
fn latent_heads_agree_with_candle() {
    let sizes = LatentHeads { heads: 3, plain: 4, rotary: 2, value: 5 };
    let (q, expanded, shared) = (variable(&[20, 18], 1), variable(&[20, 27], 2), variable(&[20, 2], 3));
    compare(
        &[&q, &expanded, &shared],
        &[],
        |tape, vars| assemble(tape, sizes, vars[0].clone(), vars[1].clone(), vars[2].clone()),
        |inputs| {
            let mut parts = vec![inputs[0].clone()];
            for head in 0..3 {
                parts.push(inputs[1].narrow(1, head * 9, 4)?);
                parts.push(inputs[2].clone());
            }
            for head in 0..3 {
                parts.push(inputs[1].narrow(1, head * 9 + 4, 5)?);
            }
            Ok(Tensor::cat(&parts, 1)?)
        },
    );
}

#[test]
fn dispatch_agrees_with_candle() {
    let x = variable(&[6, 5], 1);
    compare(
        &[&x],
        &[],
        |tape, vars| gather_rows(tape, &vars[0], vec![4, 1, 4]),
        |inputs| Ok(inputs[0].index_select(&Tensor::new(&[4u32, 1, 4], &Device::Cpu)?, 0)?),
    );
    let (weights, first, second) = (variable(&[3, 2], 2), variable(&[4, 5], 3), variable(&[2, 5], 4));
    let residual = variable(&[3, 5], 5);
    let slots = [vec![0, 2, 3, 4], vec![1, 5]];
    compare(
        &[&residual, &weights, &first, &second],
        &[],
        |tape, vars| {
            let answers = [2, 3].map(|i| Answers { y: vars[i].clone(), slots: slots[i - 2].clone() });
            combine(tape, vars[0].clone(), vars[1].clone(), answers.into())
        },
        |inputs| {
            let all = Tensor::cat(&[&inputs[2], &inputs[3]], 0)?;
            // Rows of `all` in the order of the slots.
            let order = Tensor::new(&[0u32, 4, 1, 2, 3, 5], &Device::Cpu)?;
            let weighted = all.index_select(&order, 0)?.broadcast_mul(&inputs[1].reshape((6, 1))?)?;
            Ok((weighted.reshape((3, 2, 5))?.sum(1)? + &inputs[0])?)
        },
    );
}

#[test]
fn routing_agrees_with_candle() {
    for (scoring, normalise) in
        [(Scoring::Softmax, false), (Scoring::Softmax, true), (Scoring::Sigmoid, true)]
    {
        let routing = Routing { experts: 6, top_k: 2, scoring, normalise, scale: 1.7, groups: None };
        let logits = variable(&[9, 6], 1);
        let tape = Tape::off();
        let input = Var::constant(logits.as_tensor().clone());
        let chosen = route(&tape, routing, &input, None, None).unwrap().experts;
        let index = Tensor::from_slice(&chosen, (9, 2), &Device::Cpu).unwrap();
        compare(
            &[&logits],
            &[],
            |tape, vars| Ok(route(tape, routing, &vars[0], None, None)?.weights),
            |inputs| {
                let x = inputs[0].exp()?;
                let scores = match scoring {
                    Scoring::Softmax => x.broadcast_div(&x.sum_keepdim(1)?)?,
                    Scoring::Sigmoid => (&x / (&x + 1.0)?)?,
                };
                let kept = scores.gather(&index, 1)?;
                let kept = if normalise { kept.broadcast_div(&kept.sum_keepdim(1)?)? } else { kept };
                Ok((kept * f64::from(1.7f32))?)
            },
        );
    }
}

#[test]
fn groups_and_corrections_limit_the_choice() {
    let logits = from_vec(vec![3.0, 0.0, 2.0, 1.9, 0.1, 0.2, 2.5, -5.0], (1, 8)).unwrap();
    let choose = |groups: Option<Groups>, correction: Option<&[f32]>| {
        let routing =
            Routing { experts: 8, top_k: 2, scoring: Scoring::Sigmoid, normalise: false, scale: 1.0, groups };
        let logits = Var::constant(logits.clone());
        route(&Tape::off(), routing, &logits, correction, None).unwrap().experts.to_vec()
    };
    assert_eq!(choose(None, None), [0, 6]);
    let group = |score| Some(Groups { count: 4, top: 1, score });
    assert_eq!(choose(group(GroupScore::Best), None), [0, 1]);
    assert_eq!(choose(group(GroupScore::TwoBest), None), [2, 3]);
    assert_eq!(choose(None, Some(&[0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0])), [4, 0]);
}

/// The balance loss by central differences of the router's logits.
#[test]
fn balance_passes_finite_differences() {
    let spans = Arc::new(vec![Span::new(0, 5), Span::new(5, 7)]);
    for kind in [BalanceKind::Batch, BalanceKind::Sequence, BalanceKind::Layer] {
        let routing = Routing {
            experts: 4,
            top_k: 2,
            scoring: Scoring::Softmax,
            normalise: true,
            scale: 1.0,
            groups: None,
        };
        let logits = random(&[12, 4], 1, 2.0);
        let loss = |logits: &Tensor| {
            let balance = Arc::new(Balance::new(kind, 1.0, spans.clone()));
            let place = BalanceInLayer { balance: balance.clone(), layer: 0 };
            let tape = Tape::new();
            let leaf = tape.leaf(logits.clone());
            let weights = route(&tape, routing, &leaf, None, Some(place)).unwrap().weights;
            let zero = weights.tensor.zeros_like().unwrap();
            let mut grads = ParamGradients::default();
            let gradient = tape.backward(&weights, zero, &mut grads, leaf.node).unwrap().unwrap();
            (balance.loss(), view(&gradient).unwrap().f32().unwrap().to_vec())
        };
        let (_, gradient) = loss(&logits);
        let values = view(&logits).unwrap().f32().unwrap().to_vec();
        for i in (0..values.len()).step_by(5) {
            let at = |delta: f32| {
                let mut values = values.clone();
                values[i] += delta;
                loss(&from_vec(values, (12, 4)).unwrap()).0
            };
            let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!((slope - gradient[i] as f64).abs() < 1e-4, "{kind:?}[{i}]: {} != {slope}", gradient[i]);
        }
    }
}

/// A dropped-out LoRA has no plain counterpart: its gradient is checked by central differences.
#[test]
fn lora_dropout_passes_finite_differences() {
    let (mut q, params) = linear("q", 9, 12, 40, true);
    if let Some(lora) = &mut q.lora {
        lora.dropout = 0.4;
    }
    let norm = param("norm", &[12], 3, 1.0);
    let prologue = Prologue::Norm(Norm {
        weight: Some(norm.0.clone()),
        bias: None,
        one_plus: false,
        center: false,
        eps: 1e-5,
    });
    let projection = Arc::new(Projection { prologue, linears: vec![q], bf16: false });
    let x = random(&[7, 12], 1, 1.0);
    let seed = random(&[7, 9], 2, 1.0);
    let value = |x: &Tensor| -> f64 {
        let y = projection.forward(&Tape::off(), Var::constant(x.clone()), None, Some(11)).unwrap();
        let product = (y.tensor * &seed).unwrap().to_dtype(DType::F64).unwrap();
        product.sum_all().unwrap().to_scalar::<f64>().unwrap()
    };
    let tape = Tape::new();
    let leaf = tape.leaf(x.clone());
    let y = projection.forward(&tape, leaf.clone(), None, Some(11)).unwrap();
    let mut grads = ParamGradients::default();
    let dx = tape.backward(&y, seed.copy().unwrap(), &mut grads, leaf.node).unwrap().unwrap();
    let check = |what: &str, tensor: &Tensor, gradient: &Tensor, value: &dyn Fn(&Tensor) -> f64| {
        let values = view(tensor).unwrap().f32().unwrap().to_vec();
        let gradient = view(gradient).unwrap().f32().unwrap().to_vec();
        for i in (0..values.len()).step_by(5) {
            let moved = |delta: f32| {
                let mut values = values.clone();
                values[i] += delta;
                value(&from_vec(values, tensor.shape()).unwrap())
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (slope - gradient[i] as f64).abs() < 2e-3 * (1.0 + slope.abs()),
                "{what}[{i}]: {} != {slope}",
                gradient[i]
            );
        }
    };
    check("x", &x, &dx, &value);
    for (param, _) in params.iter().chain([&norm]) {
        let at = |moved: &Tensor| {
            let values = view(moved).unwrap().f32().unwrap().to_vec();
            let old = view(&param.tensor).unwrap().f32().unwrap().to_vec();
            crate::tensor::mutate(&param.tensor, |data| data.copy_from_slice(&values)).unwrap();
            let result = value(&x);
            crate::tensor::mutate(&param.tensor, |data| data.copy_from_slice(&old)).unwrap();
            result
        };
        check(&param.name, &param.tensor.copy().unwrap(), grads.get(param.id).unwrap(), &at);
    }
}
