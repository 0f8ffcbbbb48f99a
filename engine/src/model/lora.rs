//! Attaches low-rank updates to a decoder's linear maps.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Tensor;

use super::decoder::Decoder;
use crate::autograd::Param;
use crate::ops::{Linear, Lora, Projection};
use crate::rng::Rng;
use crate::tensor::from_vec;
use crate::{Error, Result};

/// A new adapter.
#[derive(Clone, Debug)]
pub struct LoraSettings {
    pub rank: usize,
    /// What multiplies B·A.
    pub scale: f64,
    pub dropout: f64,
    /// Ends of module names; `all` is every linear map but the output matrix.
    pub targets: Vec<String>,
}

/// Last parts of the names of all linear maps in the blocks: what `lora_target: all` stands for.
pub fn linear_names(decoder: &Decoder) -> BTreeSet<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let projections = decoder.blocks.iter().flat_map(|block| block.projections());
    projections.flat_map(|projection| projection.linears.iter().map(|linear| last(&linear.name))).collect()
}

/// Whether a module is meant by a target: the whole name or its end.
pub fn is_target(module: &str, target: &str) -> bool {
    module == target || module.ends_with(&format!(".{target}"))
}

impl LoraSettings {
    fn matches(&self, module: &str) -> bool {
        self.targets.iter().any(|target| target == "all" || is_target(module, target))
    }
}

impl Decoder {
    /// Adds a fresh adapter: A uniform as PEFT draws it, B zero, so that the model is unchanged at first.
    ///
    /// # Errors
    /// If no module matches a target; the message lists the names there are.
    pub fn add_lora(&mut self, settings: &LoraSettings, seed: u64) -> Result<()> {
        let names = linear_names(self);
        let unknown = settings.targets.iter().find(|target| {
            let modules = self.blocks.iter().flat_map(|block| block.projections());
            let mut linears = modules.flat_map(|projection| &projection.linears);
            *target != "all" && !linears.any(|linear| is_target(&linear.name, target))
        });
        if let Some(unknown) = unknown {
            let names: Vec<_> = names.into_iter().collect();
            let message = format!("no linear layer is called `{unknown}`; there are {}", names.join(", "));
            return Err(Error::recipe("lora_target", message));
        }
        let mut rng = Rng::new(seed);
        self.attach(
            |linear| {
                if !settings.matches(&linear.name) {
                    return Ok(None);
                }
                let (out, dim) = (linear.out_dim(), linear.in_dim());
                // Kaiming-uniform with a = √5: bounds ± 1/√in.
                let bound = 1.0 / (dim as f32).sqrt();
                let a =
                    (0..settings.rank * dim).map(|_| (rng.uniform() as f32 * 2.0 - 1.0) * bound).collect();
                let b = vec![0.0; out * settings.rank];
                let (a, b) = (from_vec(a, (settings.rank, dim))?, from_vec(b, (out, settings.rank))?);
                Ok(Some((a, b, settings.scale as f32)))
            },
            settings.dropout as f32,
        )
    }

    /// Gives each linear map for which `weights` has (A, B, scale) a trainable update.
    pub fn attach(
        &mut self,
        mut weights: impl FnMut(&Linear) -> Result<Option<(Tensor, Tensor, f32)>>,
        dropout: f32,
    ) -> Result<()> {
        let mut key = 0;
        for block in &mut self.blocks {
            for projection in Arc::make_mut(block).projections_mut() {
                for linear in &mut Arc::<Projection>::make_mut(projection).linears {
                    key += 1;
                    if let Some((a, b, scale)) = weights(linear)? {
                        let param = |tensor, part| -> Result<_> {
                            Ok(Arc::new(Param::new(format!("{}.{part}.weight", linear.name), tensor, true)?))
                        };
                        let (a, b) = (param(a, "lora_A")?, param(b, "lora_B")?);
                        linear.lora = Some(Lora { a, b, scale, dropout, key });
                    }
                }
            }
        }
        Ok(())
    }

    /// Every linear map in the blocks.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        let projections = self.blocks.iter().flat_map(|block| block.projections());
        projections.flat_map(|projection| projection.linears.iter())
    }

    /// Adds s·B·A to each weight that `weights` has an update for, and keeps the weight's type.
    pub fn merge(
        &mut self,
        mut weights: impl FnMut(&Linear) -> Result<Option<(Tensor, Tensor, f32)>>,
    ) -> Result<()> {
        for block in &mut self.blocks {
            for projection in Arc::make_mut(block).projections_mut() {
                for linear in &mut Arc::<Projection>::make_mut(projection).linears {
                    if let Some((a, b, scale)) = weights(linear)? {
                        let old = &linear.weight;
                        let update = (b.matmul(&a)? * scale as f64)?;
                        let merged = (old.tensor.to_dtype(candle_core::DType::F32)? + update)?;
                        let merged = merged.to_dtype(old.tensor.dtype())?;
                        linear.weight = Arc::new(Param::new(old.name.clone(), merged, old.trainable)?);
                    }
                }
            }
        }
        Ok(())
    }
}
