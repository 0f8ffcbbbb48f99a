//! A model whose vocabulary has grown: rows for tokens that it was not trained with.

use std::sync::Arc;

use candle_core::{D, DType, Tensor};

use crate::Result;
use crate::model::{Decoder, WeightSource};
use crate::quant::QuantizedWeight;
use crate::rng::Rng;
use crate::tensor::from_vec;

/// Adds rows to the token table and the output matrix: the mean of the old ones and some noise of
/// deviation 1/√dim, as LLaMA-Factory draws them.
pub struct GrownSource {
    pub base: Arc<dyn WeightSource + Send + Sync>,
    /// Modules with a row per token.
    pub modules: [String; 2],
    pub old: usize,
    pub new: usize,
    pub seed: u64,
}

impl WeightSource for GrownSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        if !self.grows(name) || shape.first() != Some(&self.new) {
            return self.base.tensor(name, shape);
        }
        let mut old_shape = shape.to_vec();
        old_shape[0] = self.old;
        let old = self.base.tensor(name, &old_shape)?;
        let mut added_shape = shape.to_vec();
        added_shape[0] = self.new - self.old;
        let added = match shape {
            [_, dim] => self.rows(&old, name, *dim)?,
            _ => Tensor::zeros(added_shape, DType::F32, old.device())?,
        };
        Ok(Tensor::cat(&[&old, &added.to_dtype(old.dtype())?], 0)?)
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        self.base.norm_weight(name, shape, one_plus)
    }

    /// New rows are not quantised.
    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        if self.grows(name) && dims.0 == self.new { Ok(None) } else { self.base.quantised(name, dims) }
    }

    fn check_read(&self, decoder: &Decoder) -> Result<()> {
        self.base.check_read(decoder)
    }
}

impl GrownSource {
    fn grows(&self, name: &str) -> bool {
        self.modules.iter().any(|module| {
            name.strip_prefix(module.as_str()).is_some_and(|part| [".weight", ".bias"].contains(&part))
        })
    }

    /// The new rows of a matrix; the same ones each time.
    fn rows(&self, old: &Tensor, name: &str, dim: usize) -> Result<Tensor> {
        let mean = old.to_dtype(DType::F32)?.mean_keepdim(D::Minus2)?;
        let name = name.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte as u64));
        let mut rng = Rng::new(self.seed ^ name);
        let deviation = 1.0 / (dim as f64).sqrt();
        let count = self.new - self.old;
        let noise = (0..count * dim).map(|_| (rng.normal() * deviation) as f32).collect();
        Ok(from_vec(noise, (count, dim))?.broadcast_add(&mean)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant;

    impl WeightSource for Constant {
        fn tensor(&self, _name: &str, shape: &[usize]) -> Result<Tensor> {
            Ok(Tensor::full(3f32, shape, &candle_core::Device::Cpu)?)
        }

        fn check_read(&self, _decoder: &Decoder) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn new_rows_lie_around_the_mean_and_old_ones_stay() {
        let modules = ["model.embed_tokens".to_owned(), "lm_head".to_owned()];
        let source = GrownSource { base: Arc::new(Constant), modules, old: 10, new: 64, seed: 1 };
        let table = source.tensor("model.embed_tokens.weight", &[64, 100]).unwrap();
        let again = source.tensor("model.embed_tokens.weight", &[64, 100]).unwrap();
        let rows = table.to_vec2::<f32>().unwrap();
        assert_eq!(rows, again.to_vec2::<f32>().unwrap());
        assert!(rows[..10].iter().flatten().all(|x| *x == 3.0));
        let added: Vec<f32> = rows[10..].iter().flatten().map(|x| x - 3.0).collect();
        let deviation = (added.iter().map(|x| x * x).sum::<f32>() / added.len() as f32).sqrt();
        assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
        let other = source.tensor("lm_head.weight", &[64, 100]).unwrap().to_vec2::<f32>().unwrap();
        assert_ne!(rows[20], other[20]);
        assert_eq!(source.tensor("model.layers.0.mlp.up_proj.weight", &[64, 2]).unwrap().dims(), [64, 2]);
    }
}
