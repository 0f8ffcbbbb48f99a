//! Every operation, by kernels and by plain candle operations, against what candle makes of it (values and
//! gradients) and finite differences.

mod adapter;
mod attention;
mod elementwise;
mod experts;
mod head;
mod projection;

use std::sync::Arc;

use candle_core::{Device, Tensor, Var as CandleVar};

use super::linear::Adaptable;
use super::{Linear, Lora, Mode};
use crate::Result;
use crate::autograd::{Param, ParamGradients, Tape, Var};
use crate::device::with_plain_operations;

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

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.elem_count(), want.elem_count(), "{what}");
    let (got, want) = (values(got), values(want));
    let largest = want.iter().fold(1e-3f32, |m, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        assert!((g - w).abs() <= 2e-5 * largest, "{what}[{i}]: {g}, want {w} (largest {largest})");
    }
}

/// Runs a check with kernels, then with plain operations.
fn with_both(check: impl Fn()) {
    check();
    with_plain_operations(check);
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

    with_both(|| {
        for (index, input) in inputs.iter().enumerate() {
            let tape = Tape::new();
            let vars: Vec<Var> =
                inputs.iter().map(|input| tape.leaf(input.as_tensor().copy().unwrap().detach())).collect();
            let got = run(&tape, &vars).unwrap();
            assert_close("output", &got.tensor, &want);
            let mut param_grads = ParamGradients::default();
            let dx = tape
                .backward(&got, seed.copy().unwrap(), &mut param_grads, vars[index].node)
                .unwrap()
                .unwrap();
            assert_close(&format!("gradient of input {index}"), &dx, grads.get(input).unwrap());
            for (param, var) in params {
                assert_close(&param.name, param_grads.get(param.id).unwrap(), grads.get(var).unwrap());
            }
        }
    });
}

/// A map with a low-rank update in `mode`, and everything of both that trains.
fn linear(
    mode: &mut Mode,
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
    let (a_param, b_param) = (a.0.clone(), b.0.clone());
    let lora = Lora { a: a_param, b: b_param, scale: 0.7, dropout: 0.4, key: seed, magnitude: None };
    Arc::make_mut(&mut mode.updates).insert(name, lora);
    let linear = Linear {
        name: name.to_owned(),
        weight: if full { weight.0.clone() } else { frozen }.into(),
        bias: Some(bias.0.clone()),
        transposed: false,
        adaptable: Adaptable::Always,
    };
    let mut params = vec![bias, a, b];
    if full {
        params.push(weight);
    }
    (linear, params)
}

fn variable(shape: &[usize], seed: u64) -> CandleVar {
    CandleVar::from_tensor(&random(shape, seed, 1.0)).unwrap()
}
