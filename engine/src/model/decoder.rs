//! The decoder: token table, blocks, head.

use std::sync::Arc;

use candle_core::Tensor;

use super::batch::{Batch, Context};
use super::block::{Block, BlockInPass};
use super::cache::{Cache, LayerCache};
use crate::Result;
use crate::autograd::{Param, Tape, Var, checkpoint};
use crate::families::DecoderSpec;
use crate::ops::{Dropout, Head, Rotation, embedding};

/// A model in memory.
#[derive(Debug, Clone)]
pub struct Decoder {
    pub spec: DecoderSpec,
    pub embedding: Arc<Param>,
    pub blocks: Vec<Arc<Block>>,
    pub head: Head,
}

/// How a forward pass is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// Keep only the blocks' inputs and run them again in the backward pass.
    pub checkpointing: bool,
    /// Seed of the dropout masks; none in evaluation.
    pub dropout: Dropout,
}

impl Decoder {
    /// Hidden states [tokens, hidden] before the final norm.
    pub fn hidden(&self, tape: &Tape, batch: &Batch, pass: Pass) -> Result<Var> {
        let context = Arc::new(Context {
            rotation: self.rotation(&batch.positions),
            spans: batch.spans.clone(),
            dropout: pass.dropout,
        });
        let mut x = embedding(tape, &self.embedding, &batch.ids)?;
        for block in &self.blocks {
            x = if pass.checkpointing && tape.is_recording() {
                let segment = BlockInPass { block: block.clone(), context: context.clone() };
                checkpoint(tape, Arc::new(segment), x)?
            } else {
                block.forward(tape, x, &context)?
            };
        }
        Ok(x)
    }

    /// Appends tokens to a sequence and answers with their hidden states [ids, hidden].
    pub fn extend(&self, cache: &mut Cache, ids: &[u32]) -> Result<Tensor> {
        cache.layers.resize_with(self.blocks.len(), LayerCache::default);
        let positions: Vec<u32> = (cache.len as u32..(cache.len + ids.len()) as u32).collect();
        let context = Context { rotation: self.rotation(&positions), spans: Arc::default(), dropout: None };
        let mut x = embedding(&Tape::off(), &self.embedding, ids)?.tensor;
        for (block, cache) in self.blocks.iter().zip(&mut cache.layers) {
            x = block.extend(x, &context, cache)?;
        }
        cache.len += ids.len();
        Ok(x)
    }

    /// Angles of the given positions; frequencies may depend on the largest one.
    fn rotation(&self, positions: &[u32]) -> Rotation {
        let rope = &self.spec.rope;
        let longest = positions.iter().max().map_or(0, |position| *position as usize + 1);
        let (frequencies, factor) = rope.frequencies(longest);
        let angles = positions.iter().flat_map(|p| frequencies.iter().map(move |f| *p as f32 * f));
        let (sin, cos) = angles
            .map(|angle| {
                let (sin, cos) = (angle as f64).sin_cos();
                (sin as f32 * factor, cos as f32 * factor)
            })
            .unzip();
        Rotation { cos: Arc::new(cos), sin: Arc::new(sin) }
    }

    /// All parameters, in checkpoint order, each once.
    pub fn params(&self) -> Vec<Arc<Param>> {
        let mut params = vec![self.embedding.clone()];
        params.extend(self.blocks.iter().flat_map(|block| block.params().cloned()));
        params.extend(self.head.params().cloned());
        let mut seen = std::collections::BTreeSet::new();
        params.retain(|param| seen.insert(param.id));
        params
    }

    pub fn trainable(&self) -> Vec<Arc<Param>> {
        self.params().into_iter().filter(|param| param.trainable).collect()
    }
}
