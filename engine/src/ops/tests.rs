//! Every operation against plain candle operations (values and gradients) and finite differences.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var as CandleVar};

use super::attention as attention_op;
use super::*;
use crate::Result;
use crate::autograd::{Param, ParamGradients, Tape, Var};
use crate::kernel::activation::Activation;
use crate::kernel::attention::{AttentionShape, Span};
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
                    Prologue::Gated(Activation::Silu)
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
        for prologue in [Prologue::Gated(activation), Prologue::Plain(activation)] {
            let (down, params) = linear("down", 6, 20, 30, true);
            let width = if matches!(prologue, Prologue::Gated(_)) { 40 } else { 20 };
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

#[test]
fn attention_agrees_with_candle() {
    for (interleaved, rotary_dim) in [(false, 16), (true, 16), (false, 8), (false, 0)] {
        let shape = AttentionShape { heads: 6, kv_heads: 2, head_dim: 16, scale: 0.25 };
        let spec = AttentionSpec { shape, rotary_dim, interleaved };
        let spans = Arc::new(vec![
            Span { start: 0, len: 70 },
            Span { start: 70, len: 1 },
            Span { start: 71, len: 130 },
        ]);
        let rows = 201;
        let angles: Vec<f32> = (0..rows * rotary_dim / 2).map(|i| (i as f32 * 0.37).sin() * 3.0).collect();
        let rotation = Rotation {
            cos: Arc::new(angles.iter().map(|x| x.cos()).collect()),
            sin: Arc::new(angles.iter().map(|x| x.sin()).collect()),
        };
        let qkv = CandleVar::from_tensor(&random(&[rows, spec.width()], 5, 1.0)).unwrap();
        compare(
            &[&qkv],
            &[],
            |tape, vars| attention(tape, &spec, vars[0].clone(), &rotation, &spans),
            |inputs| attention_op::plain(&spec, &inputs[0], &rotation, &spans),
        );
    }
}

#[test]
fn head_agrees_with_candle() {
    let (dim, vocab, rows) = (24, 301, 90);
    let norm = param("norm", &[dim], 1, 1.0);
    let weight = param("head", &[vocab, dim], 2, 0.5);
    let head = Head {
        norm: Some(Norm {
            weight: Some(norm.0.clone()),
            bias: None,
            one_plus: false,
            center: false,
            eps: 1e-6,
        }),
        weight: weight.0.clone(),
        bf16: false,
    };
    let x = CandleVar::from_tensor(&random(&[rows, dim], 3, 1.0)).unwrap();
    let labels: Vec<Label> = (0..rows as u32)
        .filter(|i| i % 3 != 0)
        .map(|row| Label { row, token: (row * 7) % vocab as u32 })
        .collect();
    let want = (head.plain(x.as_tensor(), &labels).unwrap() * 0.25).unwrap();
    let grads = want.backward().unwrap();
    let mut param_grads = ParamGradients::default();
    let got = head.loss_and_gradient(x.as_tensor(), &labels, 0.25, &mut param_grads).unwrap();
    let want = want.to_scalar::<f32>().unwrap() as f64;
    assert!((got.total() * 0.25 - want).abs() < 1e-4 * want);
    assert!((head.loss(x.as_tensor(), &labels).unwrap().total() * 0.25 - want).abs() < 1e-4 * want);
    assert_close("hidden", &got.d_hidden.unwrap(), grads.get(&x).unwrap());
    assert_close("norm", param_grads.get(norm.0.id).unwrap(), grads.get(&norm.1).unwrap());
    assert_close("weight", param_grads.get(weight.0.id).unwrap(), grads.get(&weight.1).unwrap());
}

#[test]
fn embedding_scatters_its_gradient() {
    let table = param("table", &[10, 4], 1, 1.0);
    let tape = Tape::new();
    let x = embedding(&tape, &table.0, &[3, 7, 3]).unwrap();
    let seed = random(&[3, 4], 2, 1.0);
    let mut grads = ParamGradients::default();
    tape.backward(&x, seed.copy().unwrap(), &mut grads, None).unwrap();
    let want =
        table.1.as_tensor().index_select(&Tensor::new(&[3u32, 7, 3], &Device::Cpu).unwrap(), 0).unwrap();
    let want = (want * seed).unwrap().sum_all().unwrap().backward().unwrap();
    assert_close("table", grads.get(table.0.id).unwrap(), want.get(&table.1).unwrap());
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
