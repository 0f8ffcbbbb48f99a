//! Adapters other than plain low-rank ones: magnitudes and rotations.

use std::sync::Arc;

use candle_core::Tensor;

use super::{assert_close, compare, linear, param, random, values, variable, with_both};
use crate::autograd::{Param, Tape, Var, Weights};
use crate::ops::{Blocks, Linear, Lora, Mode, Oft, Projection, Prologue, Update, Updates, Weight};
use crate::quant::bnb::Int8;

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
