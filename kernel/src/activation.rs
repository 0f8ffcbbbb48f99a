//! Activations of the feed-forward part, plain or gated (Shazeer 2020, "GLU Variants").

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::lanes::{exp, sigmoid, tanh};
use super::{rows_per_task, simd};

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// x · σ(x), also called swish.
    Silu,
    /// x · Φ(x) through the error function.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// How gate and up lie side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateOrder {
    /// The first half of a row is the gate.
    #[default]
    GateUp,
    /// The second half is the gate.
    UpGate,
}

impl GateOrder {
    /// (gate, up) of the two halves of a row.
    #[inline(always)]
    fn pair<T>(self, (first, second): (T, T)) -> (T, T) {
        match self {
            GateOrder::GateUp => (first, second),
            GateOrder::UpGate => (second, first),
        }
    }
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// Runs code once for each activation as a constant: a choice within a loop keeps the loop scalar.
macro_rules! as_constant {
    ($activation:expr, $constant:ident => $run:expr) => {
        as_constant!($activation, $constant => $run; Silu Gelu GeluTanh Relu)
    };
    ($activation:expr, $constant:ident => $run:expr; $($kind:ident)*) => {
        match $activation {
            $(Activation::$kind => {
                let $constant = Activation::$kind;
                $run
            })*
        }
    };
}

impl Activation {
    /// The function of one number.
    #[inline(always)]
    pub fn value(self, x: f32) -> f32 {
        match self {
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)),
            Activation::GeluTanh => 0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x))),
            Activation::Relu => x.max(0.0),
        }
    }

    /// The slope of the function at `x`.
    #[inline(always)]
    pub fn derivative(self, x: f32) -> f32 {
        match self {
            Activation::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }
            Activation::Gelu => {
                let cdf = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
                cdf + x * 0.398_942_3 * exp(-0.5 * x * x)
            }
            Activation::GeluTanh => {
                let t = tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
            }
            Activation::Relu => {
                if x > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
        }
    }

    /// y = act(gate) · up, where each row of `gate_up` holds gate and up, `width` each, in the given order.
    pub fn gated_forward(self, order: GateOrder, gate_up: &[f32], y: &mut [f32], width: usize) {
        let task = rows_per_task(3 * width);
        y.par_chunks_mut(width * task).zip(gate_up.par_chunks(2 * width * task)).for_each(|(y, gate_up)| {
            simd(
                #[inline(always)]
                || as_constant!(self, act => gated_rows(y, gate_up, width, order, act)),
            )
        });
    }

    /// d gate = dy · up · act′(gate), d up = dy · act(gate), laid out as `gate_up`.
    pub fn gated_backward(
        self,
        order: GateOrder,
        dy: &[f32],
        gate_up: &[f32],
        d_gate_up: &mut [f32],
        width: usize,
    ) {
        let task = rows_per_task(5 * width);
        d_gate_up
            .par_chunks_mut(2 * width * task)
            .zip(gate_up.par_chunks(2 * width * task).zip(dy.par_chunks(width * task)))
            .for_each(|(out, (gate_up, dy))| {
                simd(
                    #[inline(always)]
                    || as_constant!(self, act => gated_gradient(out, gate_up, dy, width, order, act)),
                )
            });
    }

    /// y = act(x)
    pub fn forward(self, x: &[f32], y: &mut [f32]) {
        const BLOCK: usize = 8192;
        y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| {
            simd(
                #[inline(always)]
                || {
                    as_constant!(self, act => {
                        for (y, x) in y.iter_mut().zip(x) {
                            *y = act.value(*x);
                        }
                    })
                },
            );
        });
    }

    /// dx = dy · act′(x)
    pub fn backward(self, dy: &[f32], x: &[f32], dx: &mut [f32]) {
        const BLOCK: usize = 8192;
        dx.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK).zip(dy.par_chunks(BLOCK))).for_each(
            |(dx, (x, dy))| {
                simd(
                    #[inline(always)]
                    || {
                        as_constant!(self, act => {
                            for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                                *dx = dy * act.derivative(*x);
                            }
                        })
                    },
                );
            },
        );
    }
}

#[inline(always)]
fn gated_rows(y: &mut [f32], gate_up: &[f32], width: usize, order: GateOrder, act: Activation) {
    for (y, row) in y.chunks_exact_mut(width).zip(gate_up.chunks_exact(2 * width)) {
        let (gate, up) = order.pair(row.split_at(width));
        for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = act.value(*gate) * up;
        }
    }
}

#[inline(always)]
fn gated_gradient(
    out: &mut [f32],
    gate_up: &[f32],
    dy: &[f32],
    width: usize,
    order: GateOrder,
    act: Activation,
) {
    let rows =
        out.chunks_exact_mut(2 * width).zip(gate_up.chunks_exact(2 * width)).zip(dy.chunks_exact(width));
    for ((out, row), dy) in rows {
        let (gate, up) = order.pair(row.split_at(width));
        let (d_gate, d_up) = order.pair(out.split_at_mut(width));
        let gradients = d_gate.iter_mut().zip(d_up).zip(dy);
        for (((d_gate, d_up), dy), (gate, up)) in gradients.zip(gate.iter().zip(up)) {
            *d_gate = dy * up * act.derivative(*gate);
            *d_up = dy * act.value(*gate);
        }
    }
}

/// The error function by Abramowitz & Stegun 7.1.26; |error| ≤ 1.5e-7, about f32's resolution near 1, and rounding.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / 0.327_591_1_f32.mul_add(a, 1.0);
    let mut poly = 1.061_405_4_f32;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        poly = poly.mul_add(t, coefficient);
    }
    let value = 1.0 - poly * t * exp(-a * a);
    if x < 0.0 { -value } else { value }
}
