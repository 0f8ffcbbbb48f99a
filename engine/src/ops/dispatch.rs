//! Rows to the experts or the block that were chosen for them, and their answers back.

use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;

use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::lanes::dot;
use crate::kernel::{rows_per_task, simd, uninit};
use crate::tensor::{from_vec, mutate, view};

struct GatherNode {
    x: Var,
    rows: Vec<u32>,
}

/// The given rows of x.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn gather_rows(tape: &Tape, x: &Var, rows: Vec<u32>) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        return plain::gather_rows(tape, x, rows);
    }
    let dim = x.tensor.dims()[1];
    let mut y = Vec::with_capacity(rows.len() * dim);
    {
        let x = view(&x.tensor)?;
        let x = x.f32()?;
        for row in &rows {
            y.extend_from_slice(&x[*row as usize * dim..][..dim]);
        }
    }
    let y = from_vec(y, (rows.len(), dim))?;
    Ok(tape.record(y, x.needs_grad(), || Box::new(GatherNode { x: x.clone(), rows })))
}

impl Backward for GatherNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = self.x.tensor.dims()[1];
        let dy = view(&dy)?;
        let dy = dy.f32()?;
        grads.accumulate(self.x.node, &self.x.tensor, |dx| {
            for (row, dy) in self.rows.iter().zip(dy.chunks_exact(dim)) {
                dx[*row as usize * dim..][..dim].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        })?;
        Ok(())
    }
}

struct ScatterNode {
    x: Option<NodeId>,
    weights: Var,
    y: Var,
    rows: Vec<u32>,
}

/// x with weight · y added to the given rows, which differ; `weights` [rows of x, 1], y [given rows, dim].
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn scatter_rows(tape: &Tape, x: &Var, weights: Var, y: Var, rows: Vec<u32>) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        return plain::scatter_rows(tape, x, &weights, &y, rows);
    }
    let dim = x.tensor.dims()[1];
    let mut out = view(&x.tensor)?.f32()?.to_vec();
    {
        let (weights, y) = (view(&weights.tensor)?, view(&y.tensor)?);
        let weights = weights.f32()?;
        for (row, y) in rows.iter().zip(y.f32()?.chunks_exact(dim)) {
            let (row, weight) = (*row as usize, weights[*row as usize]);
            out[row * dim..][..dim].iter_mut().zip(y).for_each(|(out, y)| *out += weight * y);
        }
    }
    let out = from_vec(out, x.tensor.shape())?;
    let needs_grad = x.needs_grad() || weights.needs_grad() || y.needs_grad();
    Ok(tape.record(out, needs_grad, || Box::new(ScatterNode { x: x.node, weights, y, rows })))
}

impl Backward for ScatterNode {
    fn backward(self: Box<Self>, d_out: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = d_out.dims()[1];
        {
            let (d_out, y, weights) = (view(&d_out)?, view(&self.y.tensor)?, view(&self.weights.tensor)?);
            let (d_out, y, weights) = (d_out.f32()?, y.f32()?, weights.f32()?);
            let mut d_weights = vec![0.0; weights.len()];
            let mut dy = Vec::with_capacity(y.len());
            for (row, y) in self.rows.iter().zip(y.chunks_exact(dim)) {
                let (d_row, row) = (&d_out[*row as usize * dim..][..dim], *row as usize);
                d_weights[row] = simd(
                    #[inline(always)]
                    || dot(d_row, y),
                );
                dy.extend(d_row.iter().map(|d| weights[row] * d));
            }
            grads.add(self.weights.node, from_vec(d_weights, self.weights.tensor.shape())?)?;
            grads.add(self.y.node, from_vec(dy, self.y.tensor.shape())?)?;
        }
        grads.add(self.x, d_out)
    }
}

/// What one expert made of its rows; `slots[i]` is the place of row i among all choices, token by token.
pub struct Answers {
    /// Outputs [rows, hidden].
    pub y: Var,
    /// Places of the rows among all choices.
    pub slots: Vec<u32>,
}

struct CombineNode {
    residual: Var,
    weights: Var,
    answers: Vec<Answers>,
    places: Vec<(u32, u32)>,
}

/// residual + Σ over a token's choices of weight · answer; `weights` [rows, top_k].
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn combine(tape: &Tape, residual: Var, weights: Var, answers: Vec<Answers>) -> Result<Var> {
    if !has_kernels(&residual.tensor) {
        return plain::combine(tape, &residual, &weights, &answers);
    }
    let (dim, top_k) = (residual.tensor.dims()[1], weights.tensor.dims()[1]);
    // Of each slot: the expert among `answers`, and the row of its answer.
    let mut places = vec![(0, 0); weights.tensor.elem_count()];
    for (expert, answer) in answers.iter().enumerate() {
        for (i, slot) in answer.slots.iter().enumerate() {
            places[*slot as usize] = (expert as u32, i as u32);
        }
    }
    let mut out = view(&residual.tensor)?.f32()?.to_vec();
    {
        let parts: Vec<_> = answers.iter().map(|answer| view(&answer.y.tensor)).collect::<Result<_>>()?;
        let parts: Vec<&[f32]> = parts.iter().map(|part| part.f32()).collect::<Result<_>>()?;
        let weights = view(&weights.tensor)?;
        let weights = weights.f32()?;
        let task = rows_per_task(dim * top_k);
        out.par_chunks_exact_mut(dim).with_min_len(task).enumerate().for_each(|(row, out)| {
            for slot in row * top_k..(row + 1) * top_k {
                let (expert, i) = places[slot];
                let y = &parts[expert as usize][i as usize * dim..][..dim];
                out.iter_mut().zip(y).for_each(|(out, y)| *out += weights[slot] * y);
            }
        });
    }
    let out = from_vec(out, residual.tensor.shape())?;
    let needs_grad =
        residual.needs_grad() || weights.needs_grad() || answers.iter().any(|answer| answer.y.needs_grad());
    Ok(tape.record(out, needs_grad, || Box::new(CombineNode { residual, weights, answers, places })))
}

impl Backward for CombineNode {
    fn backward(self: Box<Self>, d_out: Tensor, grads: &mut Gradients) -> Result<()> {
        let (dim, top_k) = (self.residual.tensor.dims()[1], self.weights.tensor.dims()[1]);
        {
            let d_out = view(&d_out)?;
            let d_out = d_out.f32()?;
            let d_row = |slot: usize| &d_out[slot / top_k * dim..][..dim];
            if self.weights.needs_grad() {
                let mut d_weights = uninit(self.places.len());
                let parts: Vec<_> =
                    self.answers.iter().map(|answer| view(&answer.y.tensor)).collect::<Result<_>>()?;
                let parts: Vec<&[f32]> = parts.iter().map(|part| part.f32()).collect::<Result<_>>()?;
                d_weights.par_iter_mut().with_min_len(rows_per_task(dim)).enumerate().for_each(
                    |(slot, d)| {
                        let (expert, i) = self.places[slot];
                        let (d_row, y) = (d_row(slot), &parts[expert as usize][i as usize * dim..][..dim]);
                        *d = simd(
                            #[inline(always)]
                            || dot(d_row, y),
                        );
                    },
                );
                grads.add(self.weights.node, from_vec(d_weights, self.weights.tensor.shape())?)?;
            }
            let weights = view(&self.weights.tensor)?;
            let weights = weights.f32()?;
            for answer in self.answers.iter().filter(|answer| answer.y.needs_grad()) {
                let dy = from_vec(uninit(answer.slots.len() * dim), (answer.slots.len(), dim))?;
                mutate(&dy, |dy| {
                    dy.par_chunks_exact_mut(dim)
                        .with_min_len(rows_per_task(dim))
                        .zip(&answer.slots)
                        .for_each(|(dy, slot)| {
                            let (weight, d_row) = (weights[*slot as usize], d_row(*slot as usize));
                            dy.iter_mut().zip(d_row).for_each(|(dy, d)| *dy = weight * d);
                        });
                })?;
                grads.add(answer.y.node, dy)?;
            }
        }
        grads.add(self.residual.node, d_out)
    }
}

/// Of `count` experts, those that were chosen, each with the slots it was chosen in.
pub fn by_expert(chosen: &Arc<Vec<u32>>, count: usize) -> Vec<(usize, Vec<u32>)> {
    let mut slots: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (slot, expert) in chosen.iter().enumerate() {
        slots[*expert as usize].push(slot as u32);
    }
    slots.into_iter().enumerate().filter(|(_, slots)| !slots.is_empty()).collect()
}
