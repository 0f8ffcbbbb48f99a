//! The principal part of weights as low-rank updates (PiSSA, Meng et al. 2024): A and B of the largest singular values of
//! W, beside the residual W − s·B·A.

use std::collections::HashMap;

use rayon::prelude::*;

use super::decoder::Decoder;
use crate::ops::{Linear, Lora};
use crate::svd::{Accuracy, Singular};
use crate::tensor::from_vec;
use crate::{Error, Result};

impl Lora {
    /// s·B·A of a map's `rank` largest singular values: A = √(Σ/s)·Vᵀ, B = U·√(Σ/s).
    fn principal(linear: &Linear, rank: usize, scale: f32, accuracy: Accuracy) -> Result<Lora> {
        let (out, dim) = (linear.out_dim(), linear.in_dim());
        if rank > out.min(dim) {
            let message = format!(
                "the rank is {rank}, but the weight of {} is {out} × {dim} and has {} singular values; give a lower one",
                linear.name,
                out.min(dim)
            );
            return Err(Error::recipe("pissa_init", message));
        }
        let weight: Vec<f32> = linear.matrix()?.flatten_all()?.to_vec1()?;
        let found = Singular::of(&weight, dim, rank, accuracy);
        let root = |value: &f64| (value / f64::from(scale)).sqrt();
        let rows = |vectors: &[Vec<f64>]| -> Vec<f32> {
            let scaled = vectors.iter().zip(found.values.iter().map(root));
            scaled.flat_map(|(vector, root)| vector.iter().map(move |x| (x * root) as f32)).collect()
        };
        let a = from_vec(rows(&found.right), (rank, dim))?;
        let b = from_vec(rows(&found.left), (rank, out))?.t()?.contiguous()?;
        Lora::new(linear, a, b, scale)
    }
}

impl Decoder {
    /// Takes the principal part out of the weights for which `wanted` has (rank, scale), and answers with these parts by
    /// the names of modules: beside the weights they make the model what it was.
    ///
    /// # Errors
    /// If a rank is higher than a weight has singular values.
    pub fn take_principal(
        &mut self,
        wanted: impl Fn(&Linear) -> Option<(usize, f32)> + Sync,
        accuracy: Accuracy,
    ) -> Result<HashMap<String, Lora>> {
        let linears: Vec<&Linear> = self.linears().collect();
        let part = |linear: &&Linear| {
            let (rank, scale) = wanted(linear)?;
            Some(Lora::principal(linear, rank, scale, accuracy).map(|lora| (*linear, lora)))
        };
        let found = linears.par_iter().filter_map(part).collect::<Result<Vec<_>>>()?;
        // Parameters are numbered as they are made, and gradients summed in that order: so it is that of the model.
        let numbered = found.into_iter().map(|(linear, lora)| {
            let (a, b) = (lora.a.tensor.clone(), lora.b.tensor.clone());
            Ok((linear.name.clone(), Lora::new(linear, a, b, lora.scale)?))
        });
        let parts: HashMap<String, Lora> = numbered.collect::<Result<_>>()?;
        self.merge(|linear| {
            let part = parts.get(&linear.name);
            Ok(part.map(|part| Lora { scale: -part.scale, ..part.clone() }.into()))
        })?;
        Ok(parts)
    }
}
