//! Rows of the token table, and of the table of positions where a model has one.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Weight, plain};
use crate::Result;
use crate::autograd::{Backward, Gradients, Param, Tape, Var};
use crate::kernel::uninit;
use crate::tensor::{from_vec, view};

/// Tables of a model.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// [vocab, dim]
    pub tokens: Weight,
    /// [positions, dim]
    pub positions: Option<Arc<Param>>,
    /// Factor on the tokens' rows.
    pub scale: f32,
}

struct EmbeddingNode {
    tables: Embedding,
    ids: Vec<u32>,
    positions: Vec<u32>,
}

impl Embedding {
    /// The parameters of the tables.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.tokens.param().into_iter().chain(&self.positions)
    }

    /// x [ids, dim]: rows of the tables.
    ///
    /// # Panics
    /// If an id or position is beyond its table; both are checked when a batch is made.
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn forward(&self, tape: &Tape, ids: &[u32], positions: &[u32]) -> Result<Var> {
        if !self.tokens.has_kernels() {
            return plain::embed(self, tape, ids, positions);
        }
        let (_, dim) = self.tokens.dims();
        let mut x = uninit(ids.len() * dim);
        self.tokens.rows(ids, &mut x)?;
        if self.scale != 1.0 {
            x.iter_mut().for_each(|x| *x *= self.scale);
        }
        if let Some(table) = &self.positions {
            let mut places = uninit(x.len());
            Weight::from(table.clone()).rows(positions, &mut places)?;
            x.iter_mut().zip(places).for_each(|(x, place)| *x += place);
        }
        let x = from_vec(x, (ids.len(), dim))?;
        let trains = self.params().any(|param| param.trainable);
        Ok(tape.record(x, trains, || {
            Box::new(EmbeddingNode { tables: self.clone(), ids: ids.to_vec(), positions: positions.to_vec() })
        }))
    }
}

impl Backward for EmbeddingNode {
    fn backward(self: Box<Self>, dx: Tensor, grads: &mut Gradients) -> Result<()> {
        let dx = view(&dx)?;
        let dx = dx.f32()?;
        let mut scatter = |table: &Param, rows: &[u32], scale: f32| -> Result<()> {
            let dim = table.tensor.dims()[1];
            if !table.trainable {
                return Ok(());
            }
            grads.params.accumulate(table, |out| {
                for (dx, row) in dx.chunks_exact(dim).zip(rows) {
                    let out = &mut out[*row as usize * dim..][..dim];
                    out.iter_mut().zip(dx).for_each(|(out, dx)| *out += scale * dx);
                }
            })
        };
        if let Some(tokens) = self.tables.tokens.trained() {
            scatter(tokens, &self.ids, self.tables.scale)?;
        }
        match &self.tables.positions {
            Some(table) => scatter(table, &self.positions, 1.0),
            None => Ok(()),
        }
    }
}
