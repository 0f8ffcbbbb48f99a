//! The head's loss and its gradients.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var as CandleVar};

use super::{assert_close, linear, param, variable, with_both};
use crate::autograd::{Param, ParamGradients, Weights};
use crate::kernel::cross_entropy::RowWeights;
use crate::ops::{Head, Label, Linear, Mode, Norm, Targets, plain};

fn plain_head(norm: Option<Norm>, linear: Linear) -> Head {
    let tokens = linear.out_dim();
    Head { norm, linear, scale: 1.0, cap: None, unit_rows: false, tokens, bf16: false }
}

fn check_head(head: &Head, mode: &Mode, params: &[(Arc<Param>, CandleVar)]) {
    check_weighted(head, mode, params, RowWeights::Same(0.25), 0.0);
    let each: Vec<f32> = (0..60).map(|row| 0.1 * (row % 7) as f32 - 0.2).collect();
    check_weighted(head, mode, params, RowWeights::Each(&each), 0.0);
    check_weighted(head, mode, params, RowWeights::Each(&each), 0.3);
}

fn check_weighted(
    head: &Head,
    mode: &Mode,
    params: &[(Arc<Param>, CandleVar)],
    weights: RowWeights,
    smoothing: f32,
) {
    let (rows, vocab) = (90, head.vocab());
    let x = variable(&[rows, head.linear.in_dim()], 3);
    let labels: Vec<Label> = (0..rows as u32)
        .filter(|i| i % 3 != 0)
        .map(|row| Label { row, token: (row * 7) % vocab as u32 })
        .collect();
    let rows: Vec<u32> = labels.iter().map(|label| label.row).collect();
    let hidden = x.as_tensor().index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap();
    let logits = head.plain_logits(&hidden, &Weights::fixed(), mode).unwrap();
    let losses = plain::losses(&logits, &labels, smoothing).unwrap();
    let targets = Targets { labels: &labels, smoothing };
    let factors = Tensor::new(weights.to_vec(labels.len()), &Device::Cpu).unwrap();
    let grads = (&losses * factors).unwrap().sum_all().unwrap().backward().unwrap();
    let want = f64::from(losses.sum_all().unwrap().to_scalar::<f32>().unwrap());
    with_both(|| {
        let mut param_grads = ParamGradients::default();
        let got = head.loss_and_gradient(x.as_tensor(), targets, weights, &mut param_grads, mode).unwrap();
        assert!((got.total() - want).abs() < 1e-4 * want);
        assert!((head.loss(x.as_tensor(), targets, mode).unwrap().total() - want).abs() < 1e-4 * want);
        assert_close("hidden", &got.d_hidden.unwrap(), grads.get(&x).unwrap());
        for (param, var) in params {
            assert_close(&param.name, param_grads.get(param.id).unwrap(), grads.get(var).unwrap());
        }
    });
}

#[test]
fn heads_agree_with_candle() {
    let (dim, vocab) = (24, 301);
    let weight = param("norm", &[dim], 1, 1.0);
    let norm = Norm { weight: Some(weight.0.clone()), bias: None, one_plus: false, center: false, eps: 1e-6 };
    for full in [false, true] {
        let mut mode = Mode::default();
        let (linear, mut params) = linear(&mut mode, "head", vocab, dim, 2, full);
        params.push(weight.clone());
        let head = plain_head(Some(norm.clone()), linear);
        check_head(&head, &mode, &params);
        check_head(&Head { scale: 0.3, cap: Some(0.8), ..head }, &mode, &params);
    }
    let weight = param("head", &[vocab, dim], 2, 0.5);
    let (mut linear, _) = linear(&mut Mode::default(), "head", vocab, dim, 2, true);
    (linear.weight, linear.bias) = (weight.0.clone().into(), None);
    let unit = Head { unit_rows: true, scale: 2.0, ..plain_head(None, linear) };
    check_head(&unit, &Mode::default(), &[weight]);
}
