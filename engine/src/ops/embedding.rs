//! Rows of the token table.

use std::sync::Arc;

use candle_core::Tensor;

use crate::Result;
use crate::autograd::{Backward, Gradients, Param, Tape, Var};
use crate::kernel::uninit;
use crate::tensor::{from_vec, view};

struct EmbeddingNode {
    table: Arc<Param>,
    ids: Vec<u32>,
}

/// x [ids, dim]: rows of `table` [vocab, dim].
///
/// # Panics
/// If an id is not below the table's size; ids are checked when a batch is made.
pub fn embedding(tape: &Tape, table: &Arc<Param>, ids: &[u32]) -> Result<Var> {
    let dim = table.tensor.dims()[1];
    let mut x = uninit(ids.len() * dim);
    {
        let table = view(&table.tensor)?;
        let table = table.elements()?;
        for (row, id) in x.chunks_exact_mut(dim).zip(ids) {
            table.copy_to(*id as usize * dim, row);
        }
    }
    let x = from_vec(x, (ids.len(), dim))?;
    Ok(tape
        .record(x, table.trainable, || Box::new(EmbeddingNode { table: table.clone(), ids: ids.to_vec() })))
}

impl Backward for EmbeddingNode {
    fn backward(self: Box<Self>, dx: Tensor, grads: &mut Gradients) -> Result<()> {
        let dim = self.table.tensor.dims()[1];
        let dx = view(&dx)?;
        let dx = dx.f32()?;
        grads.params.accumulate(&self.table, |out| {
            for (row, id) in dx.chunks_exact(dim).zip(&self.ids) {
                let out = &mut out[*id as usize * dim..][..dim];
                out.iter_mut().zip(row).for_each(|(out, dx)| *out += dx);
            }
        })
    }
}
