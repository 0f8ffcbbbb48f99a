//! Rows beside the rows before them: the input of a causal convolution of width two (Yuan 2.0).

use candle_core::Tensor;

use super::past::{Extension, Slots};
use super::plain;
use crate::Result;
use crate::autograd::{Backward, Gradients, Tape, Var};
use crate::device::has_kernels;
use crate::tensor::{from_vec, view};

struct PairsNode {
    x: Var,
    starts: Vec<usize>,
}

/// [`with_previous`] of new rows of several sequences, each of whose last one `slots` keeps for the next.
///
/// # Errors
/// If an operation fails.
pub fn with_kept(x: &Var, slots: &mut Slots, extensions: &[Extension]) -> Result<Var> {
    let first = slots.before(extensions, &x.tensor)?;
    for extension in extensions {
        let last = x.tensor.narrow(0, extension.start + extension.len - 1, 1)?;
        slots.keep(extension, last.force_contiguous()?);
    }
    let starts = extensions.iter().map(|extension| extension.start).collect();
    with_previous(&Tape::off(), x, starts, Some(&first))
}

/// Each row with the one before it, as a convolution of width two reads them: y [rows, 2 · dim] holds
/// (before, own) for every column. Rows in `starts` (sorted) have a row of `first` [starts, dim], or zeros, before them.
///
/// # Errors
/// If types, shapes or devices of the tensors do not fit.
pub fn with_previous(tape: &Tape, x: &Var, starts: Vec<usize>, first: Option<&Tensor>) -> Result<Var> {
    if !has_kernels(&x.tensor) {
        let first = first.cloned();
        return tape.function(&[x], false, move |x, _| plain::with_previous(&x[0], &starts, first.as_ref()));
    }
    let first = first.map(view).transpose()?;
    let first = first.as_ref().map(|first| first.f32()).transpose()?;
    let (rows, dim) = (x.tensor.dims()[0], x.tensor.dims()[1]);
    let mut y = vec![0.0; rows * 2 * dim];
    {
        let x = view(&x.tensor)?;
        let x = x.f32()?;
        for (row, y) in y.chunks_exact_mut(2 * dim).enumerate() {
            let before = match starts.binary_search(&row) {
                Ok(start) => first.map(|first| &first[start * dim..][..dim]),
                Err(_) => Some(&x[(row - 1) * dim..row * dim]),
            };
            if let Some(before) = before {
                y.iter_mut().step_by(2).zip(before).for_each(|(y, x)| *y = *x);
            }
            y.iter_mut().skip(1).step_by(2).zip(&x[row * dim..]).for_each(|(y, x)| *y = *x);
        }
    }
    let y = from_vec(y, (rows, 2 * dim))?;
    Ok(tape.record(y, x.needs_grad(), || Box::new(PairsNode { x: x.clone(), starts })))
}

impl Backward for PairsNode {
    fn backward(self: Box<Self>, dy: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = self.x.tensor.dims()[1];
        let dy = view(&dy)?;
        let dy = dy.f32()?;
        grads.accumulate(self.x.node, &self.x.tensor, |dx| {
            for (row, dy) in dy.chunks_exact(2 * dim).enumerate() {
                let own = dy.iter().skip(1).step_by(2);
                dx[row * dim..][..dim].iter_mut().zip(own).for_each(|(dx, dy)| *dx += dy);
                if self.starts.binary_search(&row).is_err() {
                    let before = &mut dx[(row - 1) * dim..row * dim];
                    before.iter_mut().zip(dy.iter().step_by(2)).for_each(|(dx, dy)| *dx += dy);
                }
            }
        })?;
        Ok(())
    }
}
