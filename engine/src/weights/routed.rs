//! Mixture-of-Depths (Raposo et al. 2024): a model without routers as one that has some.

use std::sync::Arc;

use candle_core::Tensor;

use super::ModelFiles;
use crate::Result;
use crate::families::spec::{ROUTED, ROUTER};
use crate::families::{self, DecoderSpec, depths};
use crate::model::WeightSource;
use crate::quant::QuantizedWeight;
use crate::rng::Rng;
use crate::tensor::from_vec;

/// The weights of a model whose blocks get routers, which are drawn.
struct RoutedSource {
    base: Arc<dyn WeightSource + Send + Sync>,
    /// What the names of blocks begin with, before their numbers.
    blocks: &'static str,
    hidden: usize,
    seed: u64,
}

impl RoutedSource {
    /// A name's number of a block, and what follows it.
    fn within<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        name.strip_prefix(self.blocks)?.split_once('.')
    }

    /// The name of a tensor in the model that there is.
    fn old(&self, name: &str) -> String {
        match self.within(name).and_then(|(number, rest)| Some((number, rest.strip_prefix(ROUTED)?))) {
            Some((number, rest)) => format!("{}{number}.{rest}", self.blocks),
            None => name.to_owned(),
        }
    }

    /// The block whose router a name is of.
    fn routes(&self, name: &str) -> Option<u64> {
        let (number, rest) = self.within(name)?;
        number.parse().ok().filter(|_| rest.starts_with(ROUTER))
    }

    /// A part of a block's router, drawn as torch draws a linear map: uniform within ± 1/√inputs.
    fn drawn(&self, block: u64, shape: &[usize]) -> Result<Tensor> {
        let stream = 2 * block + u64::from(shape.len() > 1);
        let mut rng = Rng::new(self.seed ^ (stream + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bound = 1.0 / (self.hidden as f32).sqrt();
        let count = shape.iter().product();
        from_vec((0..count).map(|_| (rng.uniform() as f32 * 2.0 - 1.0) * bound).collect(), shape)
    }
}

impl WeightSource for RoutedSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        match self.routes(name) {
            Some(block) => self.drawn(block, shape),
            None => self.base.tensor(&self.old(name), shape),
        }
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        self.base.norm_weight(&self.old(name), shape, one_plus)
    }

    fn untied_head(&self, head: &str, table: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        self.base.untied_head(head, table, shape)
    }

    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        if self.routes(name).is_some() { Ok(None) } else { self.base.quantised(&self.old(name), dims) }
    }

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        let own: Vec<String> =
            names.iter().filter(|name| self.routes(name).is_none()).map(|name| self.old(name)).collect();
        self.base.check_read(spec, &own)
    }
}

impl ModelFiles {
    /// Gives every second block a router, drawn by `seed`.
    ///
    /// # Errors
    /// If the model has routers already, or its type cannot have them.
    pub fn add_routers(&mut self, seed: u64) -> Result<()> {
        self.config = depths::convert(&self.config, &self.spec)?;
        self.spec = families::read(&self.config)?;
        let blocks = self.spec.block.prefix.split("{}").next().unwrap_or_default();
        let source = RoutedSource { base: self.weights.clone(), blocks, hidden: self.spec.hidden, seed };
        self.weights = Arc::new(source);
        Ok(())
    }
}
