//! Projections: prologues, activations, layouts, low-rank updates and their dropout.

use std::sync::Arc;

use candle_core::{DType, Tensor, Var as CandleVar};

use super::{assert_close, compare, linear, param, random, values, variable, with_both};
use crate::autograd::{Param, ParamGradients, Tape, Var, Weights};
use crate::device::with_plain_operations;
use crate::kernel::activation::{Activation, GateOrder};
use crate::ops::{Blocks, Linear, Lora, Mode, Norm, Oft, Projection, Prologue, Update, Updates, Weight};
use crate::quant::bnb::Int8;
use crate::tensor::from_vec;

#[test]
fn projections_agree_with_candle() {
    for full in [false, true] {
        for kind in 0..6 {
            let (dim, mut mode) = (24, Mode::default());
            let (q, mut params) = linear(&mut mode, "q", 40, dim, 10, full);
            let mut linears = vec![q];
            if kind < 3 {
                let (k, more) = linear(&mut mode, "k", 17, dim, 20, full);
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
                    |tape, vars| projection.forward(tape, vars[0].clone(), None, &mode),
                    |inputs| projection.plain(&inputs[0], None, &Weights::fixed(), &mode),
                );
            } else {
                compare(
                    &[&x, &residual],
                    &params,
                    |tape, vars| projection.forward(tape, vars[0].clone(), Some(&vars[1]), &mode),
                    |inputs| projection.plain(&inputs[0], Some(&inputs[1]), &Weights::fixed(), &mode),
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
            let mut mode = Mode::default();
            let (down, params) = linear(&mut mode, "down", 6, 20, 30, true);
            let width = if matches!(prologue, Prologue::Gated(..)) { 40 } else { 20 };
            let projection = Arc::new(Projection { prologue, linears: vec![down], bf16: false });
            let x = CandleVar::from_tensor(&random(&[11, width], 1, 3.0)).unwrap();
            compare(
                &[&x],
                &params,
                |tape, vars| projection.forward(tape, vars[0].clone(), None, &mode),
                |inputs| projection.plain(&inputs[0], None, &Weights::fixed(), &mode),
            );
        }
    }
}

/// A GPT-2 map, stored the other way round.
#[test]
fn transposed_weights_agree_with_candle() {
    let mut mode = Mode::default();
    let (mut map, mut params) = linear(&mut mode, "map", 9, 12, 50, false);
    let weight = param("map.weight", &[12, 9], 60, 0.3);
    (map.weight, map.transposed) = (weight.0.clone().into(), true);
    params.push(weight);
    let projection = Arc::new(Projection { prologue: Prologue::Identity, linears: vec![map], bf16: false });
    let x = variable(&[13, 12], 1);
    compare(
        &[&x],
        &params,
        |tape, vars| projection.forward(tape, vars[0].clone(), None, &mode),
        |inputs| projection.plain(&inputs[0], None, &Weights::fixed(), &mode),
    );
}

/// Few rows and many by a quantised weight of one panel, and by one of two.
#[test]
fn quantised_weights_agree_with_candle_and_finite_differences() {
    for (out, dim, rows) in [(9, 12, 3), (9, 12, 13), (1500, 900, 6)] {
        let mut mode = Mode::default();
        let (mut map, params) = linear(&mut mode, "map", out, dim, 50, false);
        let dense = values(&map.weight.widened().unwrap());
        map.weight = Weight::Quantised(Arc::new(Int8::quantize(&dense, out, dim)));
        let linears = vec![map];
        let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16: false });
        let x = variable(&[rows, dim], 1);
        compare(
            &[&x],
            &params,
            |tape, vars| projection.forward(tape, vars[0].clone(), None, &mode),
            |inputs| projection.plain(&inputs[0], None, &Weights::fixed(), &mode),
        );
        let (seed, step) = (random(&[rows, out], 2, 1.0), random(&[rows, dim], 3, 0.1));
        let value = |x: Tensor| {
            let y = projection.forward(&Tape::off(), Var::constant(x), None, &mode).unwrap();
            (y.tensor * &seed).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()
        };
        let x = x.as_tensor().detach();
        let difference = value((&x + &step).unwrap()) - value((&x - &step).unwrap());
        let tape = Tape::new();
        let leaf = tape.leaf(x);
        let y = projection.forward(&tape, leaf.clone(), None, &mode).unwrap();
        let mut grads = ParamGradients::default();
        let dx = tape.backward(&y, seed.copy().unwrap(), &mut grads, leaf.node).unwrap().unwrap();
        let along = 2.0 * (dx * step).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((difference - along).abs() <= 2e-3 * along.abs().max(1.0), "{difference}, {along}");
    }
}

/// Frozen weights stay in the type they are stored in.
#[test]
fn weights_in_half_precision_agree() {
    let (x, seed) = (random(&[13, 12], 1, 1.0), random(&[13, 9], 2, 1.0));
    for dtype in [DType::BF16, DType::F16] {
        let mut mode = Mode::default();
        let (mut map, _) = linear(&mut mode, "map", 9, 12, 50, false);
        let stored = map.weight.widened().unwrap().to_dtype(dtype).unwrap();
        map.weight = Arc::new(Param::new("w", stored, false).unwrap()).into();
        let run = |bf16: bool| {
            let linears = vec![map.clone()];
            let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16 });
            let tape = Tape::new();
            let leaf = tape.leaf(x.clone());
            let y = projection.forward(&tape, leaf.clone(), None, &mode).unwrap();
            let mut grads = ParamGradients::default();
            let dx = tape.backward(&y, seed.copy().unwrap(), &mut grads, leaf.node).unwrap().unwrap();
            (y.tensor, dx)
        };
        let ((y, dx), (plain_y, plain_dx)) = (run(false), with_plain_operations(|| run(false)));
        assert_close("y", &plain_y, &y);
        assert_close("dx", &plain_dx, &dx);
        // Products of bf16 have eight bits.
        let (rough, _) = with_plain_operations(|| run(true));
        let off = (rough - &y).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(off > 0.0 && off < 0.05, "{off}");
    }
}

/// Threads that share the rows draw each row's mask, and their gradients come together, bit for bit the same on any
/// number of threads.
#[test]
fn stretches_of_rows_agree_with_plain_operations() {
    for dropout in [None, Some(11)] {
        let mut mode = Mode { dropout, ..Mode::default() };
        let (q, mut params) = linear(&mut mode, "q", 9, 12, 40, true);
        let (k, more) = linear(&mut mode, "k", 7, 12, 50, true);
        params.extend(more);
        let linears = vec![q, k];
        let prologue = Prologue::Plain(Activation::Silu);
        let projection = Arc::new(Projection { prologue, linears, bf16: false });
        let (x, seed) = (random(&[300, 12], 1, 1.0), random(&[300, 16], 2, 1.0));
        let run = || {
            let tape = Tape::new();
            let leaf = tape.leaf(x.clone());
            let y = projection.forward(&tape, leaf.clone(), None, &mode).unwrap();
            let mut grads = ParamGradients::default();
            let dx = tape.backward(&y, seed.copy().unwrap(), &mut grads, leaf.node).unwrap().unwrap();
            (y.tensor, dx, grads)
        };
        let on_threads =
            |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
        let ((y, dx, grads), (plain_y, plain_dx, plain_grads)) = (on_threads(3), with_plain_operations(run));
        assert_close("y", &plain_y, &y);
        assert_close("dx", &plain_dx, &dx);
        let (_, _, alone) = on_threads(1);
        for (param, _) in &params {
            let gradient = grads.get(param.id).unwrap();
            assert_close(&param.name, plain_grads.get(param.id).unwrap(), gradient);
            assert!(values(gradient) == values(alone.get(param.id).unwrap()), "{}", param.name);
        }
    }
}

/// Direction and magnitude, with masks and without, of one map and of two, beside a dense weight, one that is stored the
/// other way round, and a quantised one.
#[test]
fn magnitudes_agree_with_candle() {
    for (dropout, kind) in [(None, 0), (Some(11), 0), (None, 1), (Some(11), 2)] {
        let mut mode = Mode { dropout, ..Mode::default() };
        let (mut q, mut params) = linear(&mut mode, "q", 9, 12, 40, false);
        let (k, more) = linear(&mut mode, "k", 7, 12, 50, false);
        params.extend(more);
        match kind {
            1 => {
                let weight = Param::new("w", random(&[12, 9], 60, 0.3), false).unwrap();
                (q.weight, q.transposed) = (Arc::new(weight).into(), true);
            }
            2 => {
                let dense = values(&q.weight.widened().unwrap());
                q.weight = Weight::Quantised(Arc::new(Int8::quantize(&dense, 9, 12)));
            }
            _ => {}
        }
        let linears = vec![q, k];
        let mut updates = Updates::default();
        for linear in &linears {
            let (magnitude, variable) = param("m", &[linear.out_dim()], 70, 1.0);
            let lora = mode.updates.get(&linear.name).and_then(Update::low_rank).unwrap().clone();
            let mut lora = lora.with_magnitude(linear, None).unwrap();
            lora.magnitude.as_mut().unwrap().vector = magnitude.clone();
            updates.insert(&linear.name, lora);
            params.push((magnitude, variable));
        }
        mode.updates = Arc::new(updates);
        let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16: false });
        let (x, residual) = (variable(&[300, 12], 1), variable(&[300, 16], 2));
        compare(
            &[&x, &residual],
            &params,
            |tape, vars| projection.forward(tape, vars[0].clone(), Some(&vars[1]), &mode),
            |inputs| projection.plain(&inputs[0], Some(&inputs[1]), &Weights::fixed(), &mode),
        );
    }
}

/// At first magnitudes are the norms of W + s·B·A, and the map is what it is without them; merged, they make a weight that
/// does the same alone.
#[test]
fn magnitudes_begin_with_the_map_unchanged() {
    with_both(|| {
        let mut mode = Mode::default();
        let (mut map, _) = linear(&mut mode, "map", 9, 12, 40, false);
        let x = random(&[13, 12], 1, 1.0);
        let run = |map: &Linear, mode: &Mode| {
            let linears = vec![map.clone()];
            let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16: false });
            projection.forward(&Tape::off(), Var::constant(x.clone()), None, mode).unwrap().tensor
        };
        let before = run(&map, &mode);
        let lora = mode.updates.get("map").and_then(Update::low_rank).unwrap().clone();
        let lora = lora.with_magnitude(&map, None).unwrap();
        let beside = |lora: Lora| {
            let mut updates = Updates::default();
            updates.insert("map", lora);
            Mode { updates: Arc::new(updates), dropout: None }
        };
        assert_close("with magnitudes", &run(&map, &beside(lora.clone())), &before);
        let twice = (&lora.magnitude.as_ref().unwrap().vector.tensor * 2.0).unwrap();
        let doubled = lora.with_magnitude(&map, Some(twice)).unwrap();
        let want = run(&map, &beside(doubled.clone()));
        map.weight = Arc::new(
            Param::new("w", doubled.merged(&map.weight.widened().unwrap()).unwrap(), false).unwrap(),
        )
        .into();
        assert_close("merged", &run(&map, &Mode::default()), &want);
    });
}

/// Rotations of blocks, of which a pass may leave some as they are, beside dense, trained and quantised weights: by kernels
/// as by candle's graph.
#[test]
fn rotations_agree_with_candle() {
    for (dropout, kind) in [(None, 0), (Some(11), 0), (None, 1), (Some(11), 2)] {
        let mut mode = Mode { dropout, ..Mode::default() };
        let (mut q, _) = linear(&mut mode, "q", 9, 12, 40, false);
        let (k, k_params) = linear(&mut mode, "k", 7, 12, 50, kind == 1);
        if kind == 2 {
            let dense = values(&q.weight.widened().unwrap());
            q.weight = Weight::Quantised(Arc::new(Int8::quantize(&dense, 9, 12)));
        }
        let mut updates = Updates::default();
        let mut params: Vec<_> = k_params.into_iter().filter(|(param, _)| param.name == "k.weight").collect();
        for (linear, block) in [(&q, 4), (&k, 3)] {
            let shape = [12 / block, block * (block - 1) / 2];
            let (skew, variable) = param("skew", &shape, 70, 0.5);
            updates.insert(&linear.name, Oft { skew: skew.clone(), block, dropout: 0.5, key: block as u64 });
            params.push((skew, variable));
        }
        mode.updates = Arc::new(updates);
        let linears = vec![q, k];
        let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16: false });
        let (x, residual) = (variable(&[300, 12], 1), variable(&[300, 16], 2));
        compare(
            &[&x, &residual],
            &params,
            |tape, vars| projection.forward(tape, vars[0].clone(), Some(&vars[1]), &mode),
            |inputs| projection.plain(&inputs[0], Some(&inputs[1]), &Weights::fixed(), &mode),
        );
    }
}

/// Small rotations nearly keep lengths, zeros keep all, and merged ones make a weight that does the same alone.
#[test]
fn rotations_turn_and_can_be_merged() {
    with_both(|| {
        let (mut map, _) = linear(&mut Mode::default(), "map", 9, 12, 40, false);
        let x = random(&[13, 12], 1, 1.0);
        let beside = |oft: &Oft| {
            let mut updates = Updates::default();
            updates.insert("map", oft.clone());
            Mode { updates: Arc::new(updates), dropout: None }
        };
        let run = |map: &Linear, mode: &Mode| {
            let linears = vec![map.clone()];
            let projection = Arc::new(Projection { prologue: Prologue::Identity, linears, bf16: false });
            projection.forward(&Tape::off(), Var::constant(x.clone()), None, mode).unwrap().tensor
        };
        let still = Oft::new(&map, random(&[3, 6], 5, 0.0), 4).unwrap();
        assert_close("zeros", &run(&map, &beside(&still)), &run(&map, &Mode::default()));
        let oft = Oft::new(&map, random(&[3, 6], 5, 0.1), 4).unwrap();
        let want = run(&map, &beside(&oft));
        let weight = map.weight.widened().unwrap();
        let merged = oft.merged(&weight).unwrap();
        let norm = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        assert!((norm(&merged) - norm(&weight)).abs() < 1e-3 * norm(&weight));
        map.weight = Arc::new(Param::new("w", merged, false).unwrap()).into();
        assert_close("merged", &run(&map, &Mode::default()), &want);
    });
}

#[test]
fn blocks_are_moved_to_numbers_that_divide_the_width() {
    for (blocks, width, columns) in [
        (Blocks::Columns(32), 64, 32),
        (Blocks::Columns(32), 48, 24),
        (Blocks::Columns(5), 12, 4),
        (Blocks::Columns(100), 64, 64),
        (Blocks::Count(4), 64, 16),
        (Blocks::Count(7), 64, 8),
    ] {
        assert_eq!(blocks.columns(width), columns, "{blocks:?} {width}");
    }
}

/// The masks of a dropped-out LoRA are the same for kernels and plain operations; gradients are checked by
/// central differences.
#[test]
fn lora_dropout_passes_finite_differences() {
    with_both(check_dropout);
}

fn check_dropout() {
    let mut mode = Mode { dropout: Some(11), ..Mode::default() };
    let (q, params) = linear(&mut mode, "q", 9, 12, 40, true);
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
        let y = projection.forward(&Tape::off(), Var::constant(x.clone()), None, &mode).unwrap();
        let product = (y.tensor * &seed).unwrap().to_dtype(DType::F64).unwrap();
        product.sum_all().unwrap().to_scalar::<f64>().unwrap()
    };
    let tape = Tape::new();
    let leaf = tape.leaf(x.clone());
    let y = projection.forward(&tape, leaf.clone(), None, &mode).unwrap();
    let again = || projection.forward(&Tape::off(), Var::constant(x.clone()), None, &mode).unwrap();
    assert_close("dropped out", &y.tensor, &with_plain_operations(again).tensor);
    let mut grads = ParamGradients::default();
    let dx = tape.backward(&y, seed.copy().unwrap(), &mut grads, leaf.node).unwrap().unwrap();
    let check = |what: &str, tensor: &Tensor, gradient: &Tensor, value: &dyn Fn(&Tensor) -> f64| {
        let (start, gradient) = (values(tensor), values(gradient));
        for i in (0..start.len()).step_by(5) {
            let moved = |delta: f32| {
                let mut moved = start.clone();
                moved[i] += delta;
                value(&from_vec(moved, tensor.shape()).unwrap())
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
            let old = param.tensor.copy().unwrap();
            param.tensor.slice_set(moved, 0, 0).unwrap();
            let result = value(&x);
            param.tensor.slice_set(&old, 0, 0).unwrap();
            result
        };
        check(&param.name, &param.tensor.copy().unwrap(), grads.get(param.id).unwrap(), &at);
    }
}
