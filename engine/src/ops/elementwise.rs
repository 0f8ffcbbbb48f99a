//! Small operations between the large ones: sums, norms by themselves, clamps, parts of rows.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::norm::Norm;
use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::lanes::sigmoid;
use crate::kernel::{rows_per_task, uninit};
use crate::tensor::{from_vec, mutate, view};

/// Elements a thread takes at least.
const BLOCK: usize = 8192;

/// Calls `f(y, x)` for corresponding elements.
fn zip_into(y: &mut [f32], x: &[f32], f: impl Fn(&mut f32, f32) + Sync) {
    y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| f(y, *x));
    });
}

struct SumNode {
    a: Option<NodeId>,
    b: Option<NodeId>,
    scale: f32,
}

/// a + scale · b, of the same shape.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn add_scaled(tape: &Tape, a: &Var, b: &Var, scale: f32) -> Result<Var> {
    if !has_kernels(&a.tensor) {
        return tape.function(&[a, b], false, move |x, _| plain::add_scaled(&x[0], &x[1], scale));
    }
    let mut y = view(&a.tensor)?.f32()?.to_vec();
    zip_into(&mut y, view(&b.tensor)?.f32()?, |y, b| *y += scale * b);
    let y = from_vec(y, a.tensor.shape())?;
    Ok(tape.record(y, a.needs_grad() || b.needs_grad(), || Box::new(SumNode { a: a.node, b: b.node, scale })))
}

impl Backward for SumNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        if self.b.is_some() {
            let scaled = view(&dy)?.f32()?.par_iter().map(|dy| dy * self.scale).collect();
            grads.add(self.b, from_vec(scaled, dy.shape())?)?;
        }
        grads.add(self.a, dy)
    }
}

struct NormNode {
    norm: Arc<Norm>,
    x: Var,
}

/// The normalised rows of x [rows, dim].
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn normalise(tape: &Tape, norm: &Arc<Norm>, x: &Var) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        let norm = norm.clone();
        return tape.function(&[x], norm.is_trainable(), move |x, weights| norm.plain(&x[0], weights));
    }
    let dim = x.tensor.dims()[1];
    let mut y = uninit(x.tensor.elem_count());
    norm.forward(view(&x.tensor)?.f32()?, &mut y, dim)?;
    let y = from_vec(y, x.tensor.shape())?;
    Ok(tape.record(y, x.needs_grad() || norm.is_trainable(), || {
        Box::new(NormNode { norm: norm.clone(), x: x.clone() })
    }))
}

impl Backward for NormNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = self.x.tensor.dims()[1];
        let (dy, x) = (view(&dy)?, view(&self.x.tensor)?);
        let (dy, x) = (dy.f32()?, x.f32()?);
        self.norm.parameter_gradients(dy, x, dim, grads.params)?;
        let result =
            grads.accumulate(self.x.node, &self.x.tensor, |dx| self.norm.backward(dy, x, dx, dim))?;
        result.unwrap_or(Ok(()))
    }
}

struct ClampNode {
    x: Var,
    limit: f32,
}

/// x cut off at ± limit (`clip_qkv`).
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn clamp(tape: &Tape, x: Var, limit: f32) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        return tape.function(&[&x], false, move |x, _| plain::clamp(&x[0], limit));
    }
    let y = view(&x.tensor)?.f32()?.par_iter().map(|x| x.clamp(-limit, limit)).collect();
    let y = from_vec(y, x.tensor.shape())?;
    let needs_grad = x.needs_grad();
    Ok(tape.record(y, needs_grad, || Box::new(ClampNode { x, limit })))
}

impl Backward for ClampNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let x = view(&self.x.tensor)?;
        let (x, limit) = (x.f32()?, self.limit);
        mutate(&dy, |dy| {
            zip_into(dy, x, |dy, x| {
                if x.abs() > limit {
                    *dy = 0.0;
                }
            })
        })?;
        grads.add(self.x.node, dy)
    }
}

struct ColumnsNode {
    x: Var,
    start: usize,
}

/// Columns `start..start + len` of x.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn columns(tape: &Tape, x: &Var, start: usize, len: usize) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        return tape.function(&[x], false, move |x, _| plain::columns(&x[0], start, len));
    }
    let width = x.tensor.dims()[1];
    let mut y = Vec::with_capacity(x.tensor.dims()[0] * len);
    for row in view(&x.tensor)?.f32()?.chunks_exact(width) {
        y.extend_from_slice(&row[start..start + len]);
    }
    let y = from_vec(y, (x.tensor.dims()[0], len))?;
    Ok(tape.record(y, x.needs_grad(), || Box::new(ColumnsNode { x: x.clone(), start })))
}

impl Backward for ColumnsNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let (width, len) = (self.x.tensor.dims()[1], dy.dims()[1]);
        let dy = view(&dy)?;
        let dy = dy.f32()?;
        grads.accumulate(self.x.node, &self.x.tensor, |dx| {
            for (dx, dy) in dx.chunks_exact_mut(width).zip(dy.chunks_exact(len)) {
                dx[self.start..self.start + len].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        })?;
        Ok(())
    }
}

struct JoinNode {
    a: Var,
    b: Var,
}

/// Rows of a and of b side by side.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn join(tape: &Tape, a: Var, b: Var) -> Result<Var> {
    if !has_kernels(&a.tensor) {
        return tape.function(&[&a, &b], false, |x, _| plain::join(&x[0], &x[1]));
    }
    let (left, right) = (a.tensor.dims()[1], b.tensor.dims()[1]);
    let mut y = Vec::with_capacity(a.tensor.elem_count() + b.tensor.elem_count());
    {
        let (a, b) = (view(&a.tensor)?, view(&b.tensor)?);
        for (a, b) in a.f32()?.chunks_exact(left).zip(b.f32()?.chunks_exact(right)) {
            y.extend_from_slice(a);
            y.extend_from_slice(b);
        }
    }
    let y = from_vec(y, (a.tensor.dims()[0], left + right))?;
    let needs_grad = a.needs_grad() || b.needs_grad();
    Ok(tape.record(y, needs_grad, || Box::new(JoinNode { a, b })))
}

impl Backward for JoinNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let left = self.a.tensor.dims()[1];
        let part =
            |start: usize, len: usize| -> Result<Tensor> { Ok(dy.narrow(1, start, len)?.contiguous()?) };
        if self.a.needs_grad() {
            grads.add(self.a.node, part(0, left)?)?;
        }
        if self.b.needs_grad() {
            grads.add(self.b.node, part(left, self.b.tensor.dims()[1])?)?;
        }
        Ok(())
    }
}

struct GateNode {
    y: Var,
    gate: Var,
}

/// Rows of y [rows, dim], each times the sigmoid of its entry in `gate` [rows, 1].
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn sigmoid_gate(tape: &Tape, y: Var, gate: Var) -> Result<Var> {
    if !has_kernels(&y.tensor) {
        return tape.function(&[&y, &gate], false, |x, _| plain::sigmoid_gate(&x[0], &x[1]));
    }
    let dim = y.tensor.dims()[1];
    let mut out = view(&y.tensor)?.f32()?.to_vec();
    {
        let gate = view(&gate.tensor)?;
        let gate = gate.f32()?;
        let task = rows_per_task(dim);
        out.par_chunks_mut(dim * task).zip(gate.par_chunks(task)).for_each(|(rows, gates)| {
            for (row, gate) in rows.chunks_exact_mut(dim).zip(gates) {
                let factor = sigmoid(*gate);
                row.iter_mut().for_each(|x| *x *= factor);
            }
        });
    }
    let out = from_vec(out, y.tensor.shape())?;
    let needs_grad = y.needs_grad() || gate.needs_grad();
    Ok(tape.record(out, needs_grad, || Box::new(GateNode { y, gate })))
}

impl Backward for GateNode {
    fn backward(self: Box<Self>, d_out: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = self.y.tensor.dims()[1];
        let (y, gate) = (view(&self.y.tensor)?, view(&self.gate.tensor)?);
        let (y, gate) = (y.f32()?, gate.f32()?);
        let mut d_gate = uninit(gate.len());
        mutate(&d_out, |d_out| {
            let rows = d_out.par_chunks_exact_mut(dim).zip(y.par_chunks_exact(dim));
            rows.zip(gate.par_iter()).zip(d_gate.par_iter_mut()).for_each(|(((d_row, y), gate), d_gate)| {
                let factor = sigmoid(*gate);
                let along: f32 = d_row.iter().zip(y).map(|(d, y)| d * y).sum();
                *d_gate = along * factor * (1.0 - factor);
                d_row.iter_mut().for_each(|d| *d *= factor);
            });
        })?;
        grads.add(self.gate.node, from_vec(d_gate, self.gate.tensor.shape())?)?;
        grads.add(self.y.node, d_out)
    }
}
