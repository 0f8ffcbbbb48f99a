//! Routing to experts, dispatch, and the loss that balances their use.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::{compare, random, variable, with_both};
use crate::autograd::{ParamGradients, Tape, Var};
use crate::kernel::attention::Span;
use crate::ops::dispatch::{Answers, combine, gather_rows, scatter_rows};
use crate::ops::routing::route;
use crate::ops::{Balance, BalanceInLayer, BalanceKind, GroupScore, Groups, Routing, Scoring};
use crate::tensor::from_vec;

#[test]
fn dispatch_agrees_with_candle() {
    let x = variable(&[6, 5], 1);
    compare(
        &[&x],
        &[],
        |tape, vars| gather_rows(tape, &vars[0], vec![4, 1, 4]),
        |inputs| Ok(inputs[0].index_select(&Tensor::new(&[4u32, 1, 4], &Device::Cpu)?, 0)?),
    );
    let (weights, y) = (variable(&[6, 1], 6), variable(&[2, 5], 7));
    compare(
        &[&x, &weights, &y],
        &[],
        |tape, vars| scatter_rows(tape, &vars[0], vars[1].clone(), vars[2].clone(), vec![4, 1]),
        |inputs| {
            // Row by row of x: which row of y is added to it.
            let place =
                Tensor::new(&[[0f32, 0.], [0., 1.], [0., 0.], [0., 0.], [1., 0.], [0., 0.]], &Device::Cpu)?;
            Ok((place.matmul(&inputs[2])?.broadcast_mul(&inputs[1])? + &inputs[0])?)
        },
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
    with_both(check_balance);
}

fn check_balance() {
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
            (balance.loss(), super::values(&gradient))
        };
        let (_, gradient) = loss(&logits);
        let values = super::values(&logits);
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
