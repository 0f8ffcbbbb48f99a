//! What follows from a specification.

use crate::Result;
use crate::ops::Routing;

use super::Config;
use super::spec::{AttentionKind, DecoderSpec, FeedForwardSpec, LayerSpec};

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
