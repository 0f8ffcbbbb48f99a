//! What follows from a specification.

use recipe::memory::ModelShape;

use crate::Result;
use crate::ops::Routing;

use super::Config;
use super::spec::{
    AttentionKind, DecoderSpec, ExpertsSpec, FeedForwardSpec, HeadsSpec, InputMaps, LatentSpec, LayerSpec,
    Name,
};

/// A linear layer: its name in the block, its inputs and outputs, and whether `all` layers of an adapter include it.
type Sides = (Name, usize, usize, bool);

impl DecoderSpec {
    /// (query heads, key/value heads, dimensions of a key, of a value)
    pub fn head_sizes(&self) -> (usize, usize, usize, usize) {
        match &self.attention {
            AttentionKind::Heads(heads) => (heads.heads, heads.kv_heads, heads.head_dim, heads.head_dim),
            AttentionKind::Latent(latent) => {
                (latent.heads, latent.heads, latent.plain + latent.rotary, latent.value)
            }
        }
    }

    /// Floats per token that a forward pass keeps for the backward one, about.
    pub fn activation_floats(&self) -> usize {
        let (heads, kv_heads, dim, value) = self.head_sizes();
        let qkv = heads * dim + kv_heads * (dim + value);
        let attention = 2 * self.hidden + qkv + heads * (value + 1);
        let width = |part: &FeedForwardSpec| 2 * part.width;
        let whole = |layer: &LayerSpec| match &self.experts {
            Some(experts) if layer.experts => {
                let routed = experts.routing.top_k * (width(&experts.expert) + 2 * self.hidden);
                attention + routed + experts.shared.as_ref().map_or(0, width) + self.hidden
            }
            _ => attention + width(&self.feed_forward),
        };
        let layers = self.layers.iter().enumerate().map(|(index, layer)| match self.block.routing(index) {
            Some(depths) => (whole(layer) as f64 * depths.capacity) as usize + self.hidden,
            None => whole(layer),
        });
        layers.sum()
    }

    /// What decides how much memory training takes. Weights are counted as if they were dense; biases of linear layers,
    /// which are few, are not.
    pub fn memory_shape(&self) -> ModelShape {
        let (_, kv_heads, dim, value) = self.head_sizes();
        let sides: Vec<Sides> = self.layers.iter().flat_map(|layer| self.linears(layer)).collect();
        let table = self.vocab * self.hidden;
        let tables = if self.head.tied { table } else { 2 * table };
        let positions = if self.embedding.positions.is_some() { self.max_positions * self.hidden } else { 0 };
        let block = &self.block;
        let norms = [
            block.attention_norm,
            block.attention_post_norm,
            block.feed_forward_norm,
            block.feed_forward_post_norm,
        ];
        let norms = norms.into_iter().flatten().count() * self.layers.len() + 1;
        let in_linears: usize = sides.iter().map(|(_, inputs, outputs, _)| inputs * outputs).sum();
        let last = |name: Name| name.rsplit('.').next().unwrap_or(name).to_owned();
        let adapted = sides.into_iter().filter(|(.., adaptable)| *adaptable);
        ModelShape {
            vocab: self.vocab as u64,
            hidden: self.hidden as u64,
            layers: self.layers.len() as u64,
            parameters: (tables + positions + norms * self.hidden + in_linears) as u64,
            activation_floats: self.activation_floats() as u64,
            cached_floats: (self.layers.len() * kv_heads * (dim + value)) as u64,
            keeps_logits: self.head.cap.is_some() || self.head.unit_rows,
            linears: adapted.map(|(name, x, y, _)| (last(name), x as u64, y as u64)).collect(),
            ..ModelShape::default()
        }
    }

    fn linears(&self, layer: &LayerSpec) -> Vec<Sides> {
        let mut all = match &self.attention {
            AttentionKind::Heads(heads) => self.heads_linears(heads),
            AttentionKind::Latent(latent) => self.latent_linears(latent),
        };
        match &self.experts {
            Some(experts) if layer.experts => all.extend(self.experts_linears(experts)),
            _ => all.extend(self.dense_linears(&self.feed_forward, true)),
        }
        all
    }

    fn heads_linears(&self, heads: &HeadsSpec) -> Vec<Sides> {
        let (q, kv) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
        let outputs = if heads.maps.len() == 1 { vec![q + 2 * kv] } else { vec![q, kv, kv] };
        let maps = heads.maps.iter().zip(outputs);
        let mut all: Vec<Sides> = maps.map(|(map, outputs)| (map.name, self.hidden, outputs, true)).collect();
        all.push((heads.output.name, q, self.hidden, true));
        if let Some(filter) = &heads.filter {
            // Convolutions of width two.
            all.extend([filter.first, filter.second].map(|name| (name, self.hidden, self.hidden, false)));
        }
        all
    }

    fn latent_linears(&self, latent: &LatentSpec) -> Vec<Sides> {
        let LatentSpec { heads, plain, rotary, value, q_rank, kv_rank, .. } = *latent;
        let queries = heads * (plain + rotary);
        let mut all: Vec<Sides> = match q_rank {
            Some(rank) => vec![("q_a_proj", self.hidden, rank, true), ("q_b_proj", rank, queries, true)],
            None => vec![("q_proj", self.hidden, queries, true)],
        };
        all.push(("kv_a_proj_with_mqa", self.hidden, kv_rank + rotary, true));
        all.push(("kv_b_proj", kv_rank, heads * (plain + value), true));
        all.push(("o_proj", heads * value, self.hidden, true));
        all
    }

    fn dense_linears(&self, part: &FeedForwardSpec, adaptable: bool) -> Vec<Sides> {
        let mut all: Vec<Sides> = match &part.input {
            InputMaps::Plain(up) => vec![(up.name, self.hidden, part.width, adaptable)],
            InputMaps::Gated(gate, up) => {
                [gate, up].map(|map| (map.name, self.hidden, part.width, adaptable)).to_vec()
            }
            InputMaps::Joint(map, _) => vec![(map.name, self.hidden, 2 * part.width, adaptable)],
        };
        all.push((part.down.name, part.width, self.hidden, adaptable));
        all
    }

    fn experts_linears(&self, experts: &ExpertsSpec) -> Vec<Sides> {
        let count = experts.routing.experts;
        let mut all = vec![(experts.router, self.hidden, count, experts.adaptable_router)];
        let expert = self.dense_linears(&experts.expert, experts.adaptable_experts);
        all.extend((0..count).flat_map(|_| expert.iter().copied()));
        all.extend(experts.shared.iter().flat_map(|shared| self.dense_linears(shared, true)));
        all.extend(experts.shared_gate.map(|name| (name, self.hidden, 1, true)));
        all
    }

    /// Whether the numbers fit each other.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let (heads, kv_heads, head_dim, _) = self.head_sizes();
        if !heads.is_multiple_of(kv_heads) {
            let message = format!("is {kv_heads}, which does not divide {heads} attention heads");
            return Err(config.error("num_key_value_heads", message));
        }
        for rope in &self.ropes {
            if !rope.rotary_dim.is_multiple_of(2) || rope.rotary_dim > head_dim {
                let message = format!("gives {} rotated of {head_dim} dimensions", rope.rotary_dim);
                return Err(config.error("head_dim", message));
            }
        }
        if let Some(experts) = &self.experts {
            let Routing { experts: count, top_k, groups, .. } = experts.routing;
            if top_k > count {
                let message = format!("is {top_k}, but there are {count} experts");
                return Err(config.error("num_experts_per_tok", message));
            }
            if groups.is_some_and(|groups| !count.is_multiple_of(groups.count)) {
                return Err(config.error("n_group", format!("does not divide {count} experts")));
            }
        }
        Ok(())
    }
}
