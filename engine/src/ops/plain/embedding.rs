//! Rows of the tables.

use candle_core::{DType, Tensor};

use crate::Result;
use crate::autograd::{Backward, Gradients, Param, Tape, Var};
use crate::ops::Embedding;

struct EmbeddingNode {
    tables: Embedding,
    ids: Tensor,
    positions: Tensor,
}

/// x [ids, dim]. The backward pass is written out: candle's would need a copy of the tables.
pub(crate) fn embed(tables: &Embedding, tape: &Tape, ids: &[u32], positions: &[u32]) -> Result<Var> {
    let mut x = (tables.tokens.plain_rows(ids)? * f64::from(tables.scale))?;
    let device = tables.tokens.device();
    let (ids, positions) = (Tensor::new(ids, device)?, Tensor::new(positions, device)?);
    if let Some(table) = &tables.positions {
        x = (x + table.tensor.index_select(&positions, 0)?.to_dtype(DType::F32)?)?;
    }
    let trains = tables.params().any(|param| param.trainable);
    Ok(tape.record(x, trains, || Box::new(EmbeddingNode { tables: tables.clone(), ids, positions })))
}

impl Backward for EmbeddingNode {
    fn backward(self: Box<Self>, dx: Tensor, grads: &mut Gradients) -> Result<()> {
        let Embedding { tokens, positions, scale } = &self.tables;
        let mut scatter = |table: &Param, index: &Tensor, dx: &Tensor| -> Result<()> {
            if !table.trainable {
                return Ok(());
            }
            let zeros = Tensor::zeros(table.tensor.shape(), DType::F32, dx.device())?;
            grads.params.add(table, zeros.index_add(index, dx, 0)?)
        };
        if let Some(tokens) = tokens.trained() {
            scatter(tokens, &self.ids, &(&dx * f64::from(*scale))?)?;
        }
        match positions {
            Some(table) => scatter(table, &self.positions, &dx),
            None => Ok(()),
        }
    }
}
