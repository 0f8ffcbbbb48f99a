//! Rules beside their definitions.

use std::sync::Arc;

use super::*;
use crate::autograd::ParamGradients;
use crate::tensor::from_vec;

/// Checks three steps of two numbers against a definition in f64: `moved(step, p, gradient)`, which is asked for one
/// number after the other and remembers what it needs of one.
pub(crate) fn moves_like<M: FnMut(i32, f64, f64) -> f64 + Clone>(
    rule: impl Rule + 'static,
    rate: f64,
    decay: f64,
    moved: M,
) {
    const START: [f64; 2] = [1.0, -2.0];
    const GRADIENTS: [[f64; 2]; 3] = [[0.5, -1.5], [-0.25, 2.0], [0.75, 0.125]];
    let start = from_vec(START.map(|x| x as f32).to_vec(), (1, 2)).unwrap();
    let param = Arc::new(Param::new("w", start, true).unwrap());
    let mut optimizer = Optimizer::new(Box::new(rule));
    let groups = [Group { params: vec![param.clone()], rate_scale: 1.0, decay }];
    let (mut want, mut definitions) = (START, [moved.clone(), moved]);
    for (gradient, number) in GRADIENTS.iter().zip(1..) {
        let mut grads = ParamGradients::default();
        // Halved by clipping.
        let doubled = gradient.map(|g| 2.0 * g as f32).to_vec();
        grads.add(&param, from_vec(doubled, (1, 2)).unwrap()).unwrap();
        optimizer.step(&groups, &mut grads, rate, 0.5).unwrap();
        for i in 0..2 {
            want[i] = definitions[i](number, want[i], gradient[i]);
        }
        let got = param.to_f32().unwrap();
        let near = |i: usize| (f64::from(got[i]) - want[i]).abs() < 1e-6;
        assert!(near(0) && near(1), "step {number}: {got:?}, by definition {want:?}");
    }
}

/// The same of a matrix and a definition of all its numbers together: `moved(step, values, gradient)` changes the values.
pub(crate) fn moves_matrix_like(
    rule: impl Rule + 'static,
    name: &str,
    rates: (f64, f64),
    shape: (usize, usize),
    moved: impl FnMut(i32, &mut [f64], &[f64]),
) {
    moves_matrix_named_like(|_| rule, name, rates, shape, moved);
}

/// The same of a rule that is made for the parameter.
pub(crate) fn moves_matrix_named_like<R: Rule + 'static>(
    rule: impl FnOnce(&Param) -> R,
    name: &str,
    (rate, decay): (f64, f64),
    shape: (usize, usize),
    mut moved: impl FnMut(i32, &mut [f64], &[f64]),
) {
    let mut rng = crate::rng::Rng::new(11);
    let mut draw =
        |scale: f64| -> Vec<f32> { (0..shape.0 * shape.1).map(|_| (scale * rng.normal()) as f32).collect() };
    let start = draw(1.0);
    let mut want: Vec<f64> = start.iter().map(|x| f64::from(*x)).collect();
    let param = Arc::new(Param::new(name, from_vec(start, shape).unwrap(), true).unwrap());
    let mut optimizer = Optimizer::new(Box::new(rule(&param)));
    let groups = [Group { params: vec![param.clone()], rate_scale: 1.0, decay }];
    for number in 1..=5 {
        let gradient = draw(0.5);
        let halved: Vec<f64> = gradient.iter().map(|g| 0.5 * f64::from(*g)).collect();
        let mut grads = ParamGradients::default();
        grads.add(&param, from_vec(gradient, shape).unwrap()).unwrap();
        optimizer.step(&groups, &mut grads, rate, 0.5).unwrap();
        moved(number, &mut want, &halved);
        for (i, (got, want)) in param.to_f32().unwrap().iter().zip(&want).enumerate() {
            assert!((f64::from(*got) - want).abs() < 2e-6, "{name}, step {number}: {got} != {want} at {i}");
        }
    }
}
