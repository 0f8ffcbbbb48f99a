//! Queries, keys and values of multi-head latent attention (DeepSeek-V2, 2024).
//!
//! Keys of a head are a part of its own, expanded from the latent, and a rotated part that all heads
//! share. They are laid out here as ordinary heads, so that the one attention kernel serves.

use candle_core::Tensor;
use rayon::prelude::*;

use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, NodeId, Tape, Var};
use crate::device::has_kernels;
use crate::kernel::{rows_per_task, uninit};
use crate::tensor::{from_vec, view};

/// Sizes of a head.
#[derive(Clone, Copy, Debug)]
pub struct LatentHeads {
    /// Heads of queries, keys and values.
    pub heads: usize,
    /// Dimensions of queries and keys without positions.
    pub plain: usize,
    /// Dimensions that are rotated.
    pub rotary: usize,
    /// Dimensions of values.
    pub value: usize,
}

impl LatentHeads {
    /// Dimensions of a query or key, with positions and without.
    pub fn query_dim(&self) -> usize {
        self.plain + self.rotary
    }

    /// Columns of all queries, then all keys, then all values.
    pub fn width(&self) -> usize {
        self.heads * (2 * self.query_dim() + self.value)
    }
}

struct AssembleNode {
    sizes: LatentHeads,
    q: Var,
    expanded: Var,
    shared: Var,
}

/// Rows of queries, keys and values, of q [rows, heads · (plain + rotary)], `expanded`
/// [rows, heads · (plain + value)] and the shared key part [rows, rotary].
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn assemble(tape: &Tape, sizes: LatentHeads, q: Var, expanded: Var, shared: Var) -> Result<Var> {
    if !has_kernels(&q.tensor) {
        let inputs = [&q, &expanded, &shared];
        return tape.function(&inputs, false, move |x, _| plain::assemble(sizes, &x[0], &x[1], &x[2]));
    }
    let LatentHeads { heads, plain, rotary, value } = sizes;
    let (dim, width) = (sizes.query_dim(), sizes.width());
    let rows = q.tensor.dims()[0];
    let mut y = uninit(rows * width);
    {
        let (q, expanded, shared) = (view(&q.tensor)?, view(&expanded.tensor)?, view(&shared.tensor)?);
        let (q, expanded, shared) = (q.f32()?, expanded.f32()?, shared.f32()?);
        y.par_chunks_exact_mut(width).with_min_len(rows_per_task(width)).enumerate().for_each(|(r, y)| {
            let expanded = &expanded[r * heads * (plain + value)..];
            let (queries, rest) = y.split_at_mut(heads * dim);
            let (keys, values) = rest.split_at_mut(heads * dim);
            queries.copy_from_slice(&q[r * heads * dim..][..heads * dim]);
            for head in 0..heads {
                let own = &expanded[head * (plain + value)..][..plain + value];
                let key = &mut keys[head * dim..][..dim];
                key[..plain].copy_from_slice(&own[..plain]);
                key[plain..].copy_from_slice(&shared[r * rotary..][..rotary]);
                values[head * value..][..value].copy_from_slice(&own[plain..]);
            }
        });
    }
    let y = from_vec(y, (rows, width))?;
    let needs_grad = q.needs_grad() || expanded.needs_grad() || shared.needs_grad();
    Ok(tape.record(y, needs_grad, || Box::new(AssembleNode { sizes, q, expanded, shared })))
}

impl Backward for AssembleNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let LatentHeads { heads, plain, rotary, value } = self.sizes;
        let (dim, width) = (self.sizes.query_dim(), self.sizes.width());
        let dy = view(&dy)?;
        let dy = dy.f32()?;
        let rows = || dy.chunks_exact(width);
        let mut add = |node: Option<NodeId>, like: &Tensor, part: &(dyn Fn(&[f32], &mut [f32]) + Sync)| {
            let columns = like.dims()[1];
            grads.accumulate(node, like, |dx| {
                dx.chunks_exact_mut(columns).zip(rows()).for_each(|(dx, dy)| part(dy, dx));
            })
        };
        add(self.q.node, &self.q.tensor, &|dy, dx| add_to(dx, &dy[..heads * dim]))?;
        add(self.expanded.node, &self.expanded.tensor, &|dy, dx| {
            for (head, dx) in dx.chunks_exact_mut(plain + value).enumerate() {
                add_to(&mut dx[..plain], &dy[(heads + head) * dim..][..plain]);
                add_to(&mut dx[plain..], &dy[2 * heads * dim + head * value..][..value]);
            }
        })?;
        add(self.shared.node, &self.shared.tensor, &|dy, dx| {
            for head in 0..heads {
                add_to(dx, &dy[(heads + head) * dim + plain..][..rotary]);
            }
        })?;
        Ok(())
    }
}

fn add_to(dx: &mut [f32], dy: &[f32]) {
    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
}
