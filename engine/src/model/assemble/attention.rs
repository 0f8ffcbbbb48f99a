//! Attention of a block.

use std::sync::Arc;

use super::Builder;
use crate::Result;
use crate::families::spec::{
    AlibiSpec, AttentionKind, FilterSpec, HeadNormSpan, HeadOrder, HeadsSpec, LatentSpec, LinearSpec,
    NormSpec,
};
use crate::kernel::attention::{AttentionShape, Columns, Slope};
use crate::model::attention::{Attention, AttentionInput, Filter};
use crate::ops::latent::LatentHeads;
use crate::ops::linear::Adaptable;
use crate::ops::{AttentionSpec, ColumnNorm, HeadNorm, Projection, Prologue, Rotary, alibi_slopes};

impl Builder<'_> {
    pub(super) fn attention(&self, layer: usize) -> Result<Attention> {
        match &self.spec.attention {
            AttentionKind::Heads(heads) => self.heads(layer, heads),
            AttentionKind::Latent(latent) => self.latent(layer, latent),
        }
    }

    /// The map from mixed values back to the hidden states.
    pub(super) fn attention_output(&self, layer: usize) -> Result<Arc<Projection>> {
        let (heads, _, _, value_dim) = self.spec.head_sizes();
        let map = match &self.spec.attention {
            AttentionKind::Heads(heads) => heads.output,
            AttentionKind::Latent(latent) => LinearSpec::new("self_attn.o_proj", latent.bias),
        };
        let linear = self.block_linear(layer, map, self.spec.hidden, heads * value_dim)?;
        Ok(self.projection(Prologue::Identity, vec![linear]))
    }

    /// Which rotation a layer has, and of which dimensions.
    fn rotary(&self, layer: usize, start: usize) -> (usize, Rotary) {
        match self.spec.layers[layer].rope {
            Some(index) => {
                let rope = &self.spec.ropes[index];
                (index, Rotary { start, dim: rope.rotary_dim, interleaved: rope.interleaved })
            }
            None => (self.spec.ropes.len(), Rotary::default()),
        }
    }

    fn heads(&self, layer: usize, heads: &HeadsSpec) -> Result<Attention> {
        let depth = if heads.scaled_by_depth { (layer + 1) as f32 } else { 1.0 };
        let shape = AttentionShape {
            heads: heads.heads,
            kv_heads: heads.kv_heads,
            head_dim: heads.head_dim,
            value_dim: heads.head_dim,
            scale: heads.scale / depth,
            cap: heads.cap,
            window: self.spec.layers[layer].window,
            bf16: self.tuning.bf16,
        };
        let (rotation, rotary) = self.rotary(layer, 0);
        let slopes = heads.alibi.map(|alibi| {
            let slope = |slope| match alibi {
                AlibiSpec::Scaled => Slope::new(slope),
                AlibiSpec::Unscaled => Slope::rounded(slope, shape.scale),
            };
            Arc::new(alibi_slopes(heads.heads).into_iter().map(slope).collect())
        });
        let spec = AttentionSpec { shape, columns: columns(shape, heads.order), rotary, slopes };
        let input = match heads.filter {
            Some(filter) => AttentionInput::Filtered(self.filter(layer, heads, filter)?),
            None => self.map(layer, heads, &spec)?,
        };
        Ok(Attention { input, spec, rotation })
    }

    fn map(&self, layer: usize, heads: &HeadsSpec, spec: &AttentionSpec) -> Result<AttentionInput> {
        let shape = spec.shape;
        let widths = match heads.maps.len() {
            1 => vec![spec.width()],
            _ => vec![shape.query_width(), shape.key_width(), shape.value_width()],
        };
        let linears: Result<Vec<_>> = (heads.maps.iter().zip(widths))
            .map(|(map, out)| self.block_linear(layer, *map, out, self.spec.hidden))
            .collect();
        let prologue = self.prologue(layer, self.spec.block.attention_norm)?;
        let map = self.projection(prologue, linears?);
        let norm = self.head_norm(layer, heads, spec)?.map(Arc::new);
        Ok(AttentionInput::Heads { map, clip: heads.clip, norm })
    }

    fn head_norm(&self, layer: usize, heads: &HeadsSpec, spec: &AttentionSpec) -> Result<Option<HeadNorm>> {
        let Some(norms) = heads.norm else { return Ok(None) };
        let part = |norm: NormSpec, columns: Columns, count: usize| -> Result<ColumnNorm> {
            let dim = heads.head_dim;
            let (shape, starts, len) = match norms.span {
                HeadNormSpan::Head => (vec![dim], (0..count).map(|head| columns.of(head)).collect(), dim),
                HeadNormSpan::OwnHead => {
                    (vec![count, dim], (0..count).map(|head| columns.of(head)).collect(), dim)
                }
                HeadNormSpan::All => (vec![count * dim], vec![columns.of(0)], count * dim),
            };
            let norm = self.norm(&self.spec.block.name(layer, norm.name), norm, &shape)?;
            Ok(ColumnNorm { norm, starts, len, own_weights: norms.span == HeadNormSpan::OwnHead })
        };
        let [q, k, _] = spec.columns;
        Ok(Some(HeadNorm { parts: vec![part(norms.q, q, heads.heads)?, part(norms.k, k, heads.kv_heads)?] }))
    }

    fn filter(&self, layer: usize, heads: &HeadsSpec, filter: FilterSpec) -> Result<Filter> {
        let hidden = self.spec.hidden;
        let norm = self.spec.block.attention_norm.unwrap_or(filter.norm);
        let convolution = |name, out: usize, dim: usize| -> Result<Arc<Projection>> {
            let (module, map) = (self.spec.block.name(layer, name), LinearSpec::new(name, true));
            let mut linear = self.linear_of_shape(module, map, &[out, dim, 2, 1], out)?;
            linear.adaptable = Adaptable::Never;
            Ok(self.projection(Prologue::Identity, vec![linear]))
        };
        let width = heads.heads * heads.head_dim;
        let maps: Result<Vec<_>> =
            heads.maps.iter().map(|map| self.block_linear(layer, *map, width, hidden)).collect();
        let mut maps = maps?;
        let v = maps.split_off(2);
        Ok(Filter {
            norm: Arc::new(self.block_norm(layer, norm)?),
            convolutions: [
                convolution(filter.first, hidden / 2, hidden)?,
                convolution(filter.second, hidden, hidden / 2)?,
            ],
            qk: self.projection(Prologue::Norm(self.block_norm(layer, filter.norm)?), maps),
            v: self.projection(Prologue::Identity, v),
        })
    }

    fn latent(&self, layer: usize, latent: &LatentSpec) -> Result<Attention> {
        let LatentSpec { heads, plain, rotary, value, kv_rank, eps, .. } = *latent;
        let (hidden, sizes) = (self.spec.hidden, LatentHeads { heads, plain, rotary, value });
        let width = heads * sizes.query_dim();
        let linear = |name, bias, out, dim| self.block_linear(layer, LinearSpec::new(name, bias), out, dim);
        let norm = |name, rank: usize| {
            self.norm(&self.spec.block.name(layer, name), NormSpec::rms(name, eps), &[rank])
        };
        let (first, queries) = match latent.q_rank {
            Some(rank) => {
                let map = linear("self_attn.q_b_proj", false, width, rank)?;
                let prologue = Prologue::Norm(norm("self_attn.q_a_layernorm", rank)?);
                let first = linear("self_attn.q_a_proj", latent.bias, rank, hidden)?;
                (first, Some(self.projection(prologue, vec![map])))
            }
            None => (linear("self_attn.q_proj", false, width, hidden)?, None),
        };
        let second = linear("self_attn.kv_a_proj_with_mqa", latent.bias, kv_rank + rotary, hidden)?;
        let expand = linear("self_attn.kv_b_proj", false, heads * (plain + value), kv_rank)?;
        let prologue = Prologue::Norm(norm("self_attn.kv_a_layernorm", kv_rank)?);
        let shape = AttentionShape {
            heads,
            kv_heads: heads,
            head_dim: sizes.query_dim(),
            value_dim: value,
            scale: latent.scale,
            cap: None,
            window: self.spec.layers[layer].window,
            bf16: self.tuning.bf16,
        };
        let (rotation, rotary) = self.rotary(layer, plain);
        let columns = AttentionSpec::adjacent(shape);
        Ok(Attention {
            input: AttentionInput::Latent {
                down: self
                    .projection(self.prologue(layer, self.spec.block.attention_norm)?, vec![first, second]),
                queries,
                expand: self.projection(prologue, vec![expand]),
                sizes,
            },
            spec: AttentionSpec { shape, columns, rotary, slopes: None },
            rotation,
        })
    }
}

/// Where queries, keys and values lie in a row.
fn columns(shape: AttentionShape, order: HeadOrder) -> [Columns; 3] {
    let (dim, group) = (shape.head_dim, shape.group());
    match order {
        HeadOrder::Split => AttentionSpec::adjacent(shape),
        HeadOrder::Grouped => {
            let step = (group + 2) * dim;
            [(0, group), (group * dim, 1), ((group + 1) * dim, 1)].map(|(start, group)| Columns {
                start,
                group,
                step,
                dim,
            })
        }
        HeadOrder::QueryKeyPairs => {
            let pair = |start| Columns { start, group: 1, step: 2 * dim, dim };
            [pair(0), pair(dim), Columns::adjacent(2 * shape.query_width(), dim)]
        }
    }
}
