//! Attention within a block: from the block's input to the mixed values.

use std::sync::Arc;

use candle_core::Tensor;

use super::batch::Context;
use super::cache::LayerCache;
use super::shifted::shifted_attention;
use crate::Result;
use crate::autograd::{Param, Tape, Var};
use crate::ops::attention::{attention, extend};
use crate::ops::elementwise::{clamp, columns, join, normalise};
use crate::ops::latent::{LatentHeads, assemble};
use crate::ops::shift::{with_kept, with_previous};
use crate::ops::{AttentionSpec, Extension, HeadNorm, Norm, Projection};

/// Attention without the map that follows it.
#[derive(Debug, Clone)]
pub struct Attention {
    pub input: AttentionInput,
    pub spec: AttentionSpec,
    /// Which of the pass's rotations.
    pub rotation: usize,
}

/// How queries, keys and values come about.
#[derive(Debug, Clone)]
pub enum AttentionInput {
    Heads {
        map: Arc<Projection>,
        clip: Option<f32>,
        norm: Option<Arc<HeadNorm>>,
    },
    Filtered(Filter),
    Latent {
        /// Queries or their latent, the latent of keys and values, and the shared part of the keys.
        down: Arc<Projection>,
        /// Queries from their latent.
        queries: Option<Arc<Projection>>,
        /// Keys and values from theirs.
        expand: Arc<Projection>,
        sizes: LatentHeads,
    },
}

/// A local filter before queries and keys (Yuan 2.0): h = x + conv(conv(x)), x being the normalised input.
#[derive(Debug, Clone)]
pub struct Filter {
    pub norm: Arc<Norm>,
    pub convolutions: [Arc<Projection>; 2],
    /// Queries and keys, of the filter's normalised output.
    pub qk: Arc<Projection>,
    /// Values, of the unfiltered input.
    pub v: Arc<Projection>,
}

impl Filter {
    fn forward(&self, tape: &Tape, x: Var, context: &Context, past: Option<Past>) -> Result<Var> {
        let x = normalise(tape, &self.norm, &x)?;
        let starts: Vec<usize> = context.spans.iter().map(|span| span.start).collect();
        let (mut kept, extensions) = match past {
            Some(Past { cache, extensions }) => (cache.filter.each_mut().map(Some), extensions),
            None => ([None, None], &[][..]),
        };
        let mut pairs = |x: &Var, index: usize| match kept[index].take() {
            Some(slots) => with_kept(x, slots, extensions),
            None => with_previous(tape, x, starts.clone(), None),
        };
        let [first, second] = &self.convolutions;
        let y = first.forward(tape, pairs(&x, 0)?, None, &context.mode)?;
        let filtered = second.forward(tape, pairs(&y, 1)?, Some(&x), &context.mode)?;
        let qk = self.qk.forward(tape, filtered, None, &context.mode)?;
        let v = self.v.forward(tape, x, None, &context.mode)?;
        join(tape, qk, v)
    }
}

/// What a layer keeps of sequences, and their new rows.
pub struct Past<'a> {
    pub cache: &'a mut LayerCache,
    pub extensions: &'a [Extension],
}

impl AttentionInput {
    /// Rows of queries, keys and values.
    fn forward(&self, tape: &Tape, x: Var, context: &Context, past: Option<Past>) -> Result<Var> {
        match self {
            AttentionInput::Heads { map, clip, norm } => {
                let mut qkv = map.forward(tape, x, None, &context.mode)?;
                if let Some(clip) = clip {
                    qkv = clamp(tape, qkv, *clip)?;
                }
                match norm {
                    Some(norm) => norm.forward(tape, qkv),
                    None => Ok(qkv),
                }
            }
            AttentionInput::Filtered(filter) => filter.forward(tape, x, context, past),
            AttentionInput::Latent { down, queries, expand, sizes } => {
                let latents = down.forward(tape, x, None, &context.mode)?;
                let (rank, width) = (expand.in_dim(), latents.tensor.dims()[1]);
                let shared = columns(tape, &latents, width - sizes.rotary, sizes.rotary)?;
                let kv = columns(tape, &latents, width - sizes.rotary - rank, rank)?;
                let q = columns(tape, &latents, 0, width - sizes.rotary - rank)?;
                let q = match queries {
                    Some(map) => map.forward(tape, q, None, &context.mode)?,
                    None => q,
                };
                let expanded = expand.forward(tape, kv, None, &context.mode)?;
                assemble(tape, *sizes, q, expanded, shared)
            }
        }
    }

    pub fn projections(&self) -> Vec<&Arc<Projection>> {
        match self {
            AttentionInput::Heads { map, .. } => vec![map],
            AttentionInput::Filtered(Filter { convolutions: [first, second], qk, v, .. }) => {
                vec![first, second, qk, v]
            }
            AttentionInput::Latent { down, queries, expand, .. } => {
                std::iter::once(down).chain(queries).chain([expand]).collect()
            }
        }
    }

    pub fn projections_mut(&mut self) -> Vec<&mut Arc<Projection>> {
        match self {
            AttentionInput::Heads { map, .. } => vec![map],
            AttentionInput::Filtered(Filter { convolutions: [first, second], qk, v, .. }) => {
                vec![first, second, qk, v]
            }
            AttentionInput::Latent { down, queries, expand, .. } => {
                std::iter::once(down).chain(queries).chain([expand]).collect()
            }
        }
    }

    /// Parameters of norms that belong to no projection.
    pub fn norm_params(&self) -> Vec<&Arc<Param>> {
        match self {
            AttentionInput::Heads { norm, .. } => {
                norm.iter().flat_map(|norm| norm.parts.iter().flat_map(|part| part.norm.params())).collect()
            }
            AttentionInput::Filtered(filter) => filter.norm.params().collect(),
            AttentionInput::Latent { .. } => Vec::new(),
        }
    }
}

impl Attention {
    /// Mixed values [rows, heads · value dim] of whole sequences.
    pub fn forward(&self, tape: &Tape, x: Var, context: &Context) -> Result<Var> {
        let qkv = self.input.forward(tape, x, context, None)?;
        let rotation = &context.rotations[self.rotation];
        match &context.groups {
            Some(groups) => shifted_attention(tape, &self.spec, &qkv, rotation, groups),
            None => attention(tape, &self.spec, qkv, rotation, &context.spans),
        }
    }

    /// The same of new rows of several sequences.
    pub fn extend(&self, x: Var, context: &Context, past: Past) -> Result<Tensor> {
        let Past { cache, extensions } = past;
        let past = Past { cache: &mut *cache, extensions };
        let qkv = self.input.forward(&Tape::off(), x, context, Some(past))?.tensor;
        extend(&self.spec, qkv, &context.rotations[self.rotation], &mut cache.pages, extensions)
    }
}
