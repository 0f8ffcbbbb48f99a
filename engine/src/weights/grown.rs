//! A model whose vocabulary has grown: rows for tokens that it was not trained with.

use std::sync::Arc;

use candle_core::{D, DType, Tensor};

use crate::Result;
use crate::families::DecoderSpec;
use crate::model::WeightSource;
use crate::quant::QuantizedWeight;
use crate::rng::{Rng, of_name};
use crate::tensor::from_vec;
use crate::text::NewRow;

/// Adds rows to the token table and the output matrix: the mean of the old ones and some noise of
/// deviation 1/√dim, as LLaMA-Factory draws them.
pub(super) struct GrownSource {
    pub base: Arc<dyn WeightSource + Send + Sync>,
    /// Modules with a row per token.
    pub modules: [String; 2],
    pub old: usize,
    pub new: usize,
    pub start: Growth,
}

/// What new rows start from.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    /// Seed of the noise.
    pub seed: u64,
    /// Rows that start from the mean of other ones instead of all.
    pub described: Vec<NewRow>,
    /// Whether these get noise, too.
    pub noise: bool,
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

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        self.base.check_read(spec, names)
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
        let old = old.to_dtype(DType::F32)?;
        let mean = old.mean_keepdim(D::Minus2)?;
        let mut rng = Rng::new(self.start.seed ^ of_name(name));
        let deviation = 1.0 / (dim as f64).sqrt();
        let count = self.new - self.old;
        let noise = (0..count * dim).map(|_| (rng.normal() * deviation) as f32).collect();
        let noise = from_vec(noise, (count, dim))?;
        let mut rows = noise.broadcast_add(&mean)?;
        for NewRow { id, described_by } in &self.start.described {
            let known: Vec<u32> =
                described_by.iter().copied().filter(|id| (*id as usize) < self.old).collect();
            let Some(place) = (*id as usize).checked_sub(self.old).filter(|_| !known.is_empty()) else {
                continue;
            };
            let known = Tensor::new(known, old.device())?;
            let mut row = old.index_select(&known, 0)?.mean_keepdim(D::Minus2)?;
            if self.start.noise {
                row = (row + noise.narrow(0, place, 1)?)?;
            }
            rows = rows.slice_assign(&[place..place + 1, 0..dim], &row)?;
        }
        Ok(rows)
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

        fn check_read(&self, _spec: &DecoderSpec, _names: &[String]) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn new_rows_lie_around_the_mean_and_old_ones_stay() {
        let modules = ["model.embed_tokens".to_owned(), "lm_head".to_owned()];
        let start = Growth { seed: 1, ..Growth::default() };
        let source = GrownSource { base: Arc::new(Constant), modules, old: 10, new: 64, start };
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

    /// Row i of the table is i everywhere.
    struct Counting;

    impl WeightSource for Counting {
        fn tensor(&self, _name: &str, shape: &[usize]) -> Result<Tensor> {
            let rows: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i / shape[1]) as f32).collect();
            Ok(Tensor::from_vec(rows, shape, &candle_core::Device::Cpu)?)
        }

        fn check_read(&self, _spec: &DecoderSpec, _names: &[String]) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn described_rows_start_from_their_description() {
        let row = |id, described_by: &[u32]| NewRow { id, described_by: described_by.to_vec() };
        let described = vec![row(11, &[2, 5, 5, 63]), row(12, &[40]), row(3, &[1])];
        let rows = |noise| {
            let start = Growth { seed: 1, described: described.clone(), noise };
            let modules = ["model.embed_tokens".to_owned(), "lm_head".to_owned()];
            let source = GrownSource { base: Arc::new(Counting), modules, old: 10, new: 64, start };
            let table = source.tensor("model.embed_tokens.weight", &[64, 200]).unwrap();
            table.to_vec2::<f32>().unwrap()
        };
        let (exact, noisy) = (rows(false), rows(true));
        // Of the description, what the old table has; without any of it, a row starts as others do.
        assert!(exact[11].iter().all(|x| *x == 4.0) && exact[3].iter().all(|x| *x == 3.0));
        let mean = |row: &[f32]| row.iter().sum::<f32>() / row.len() as f32;
        assert!((mean(&exact[12]) - 4.5).abs() < 0.03 && exact[12] == noisy[12]);
        let apart = noisy[11].iter().map(|x| (x - 4.0).powi(2)).sum::<f32>() / 200.0;
        assert!((apart.sqrt() - (1f32 / 200.0).sqrt()).abs() < 0.01, "{apart}");
    }
}
