//! The principal part of weights as low-rank updates (PiSSA, Meng et al. 2024): A and B of the largest singular values of
//! W, beside the residual W − s·B·A.

use std::collections::HashMap;

use candle_core::Tensor;
use rayon::prelude::*;

use super::decoder::Decoder;
use crate::ops::{Linear, Lora};
use crate::svd::{Accuracy, Singular};
use crate::tensor::from_vec;
use crate::{Error, Result};

/// A and B of the `rank` largest singular values of a matrix [out, in]: A = √(Σ/s)·Vᵀ, B = U·√(Σ/s).
pub(super) fn factors(
    matrix: &Tensor,
    rank: usize,
    scale: f32,
    accuracy: Accuracy,
) -> Result<(Tensor, Tensor)> {
    let (out, dim) = matrix.dims2()?;
    if rank > out.min(dim) {
        let message = format!(
            "is {rank}, but a weight is {out} × {dim} and has {} singular values; give a lower one",
            out.min(dim)
        );
        return Err(Error::recipe("lora_rank", message));
    }
    let found = Singular::of(&matrix.flatten_all()?.to_vec1::<f32>()?, dim, rank, accuracy);
    let root = |value: &f64| (value / f64::from(scale)).sqrt();
    let rows = |vectors: &[Vec<f64>]| -> Vec<f32> {
        let scaled = vectors.iter().zip(found.values.iter().map(root));
        scaled.flat_map(|(vector, root)| vector.iter().map(move |x| (x * root) as f32)).collect()
    };
    let a = from_vec(rows(&found.right), (rank, dim))?;
    let b = from_vec(rows(&found.left), (rank, out))?.t()?.contiguous()?;
    Ok((a, b))
}

impl Decoder {
    /// What `find` makes of the matrices [out, in] of the maps for which `wanted` has (rank, scale): with their maps and
    /// scales, in the order of the maps, whichever was found first. Parameters are made in that order, and sums over them.
    pub(super) fn of_maps<T: Send>(
        &self,
        wanted: impl Fn(&Linear) -> Option<(usize, f32)>,
        find: impl Fn(&Tensor, usize, f32) -> Result<T> + Sync,
    ) -> Result<Vec<(&Linear, f32, T)>> {
        let linears: Vec<_> = self.linears().filter_map(|linear| Some((linear, wanted(linear)?))).collect();
        let found = linears.par_iter().map(|(linear, (rank, scale))| {
            let matrix = linear.matrix()?.reshape((linear.out_dim(), linear.in_dim()))?;
            Ok((*linear, *scale, find(&matrix, *rank, *scale)?))
        });
        found.collect()
    }

    /// Takes the principal part out of the weights for which `wanted` has (rank, scale), and answers with these parts by
    /// the names of modules: beside the weights they make the model what it was.
    ///
    /// # Errors
    /// If a rank is higher than a weight has singular values.
    pub fn take_principal(
        &mut self,
        wanted: impl Fn(&Linear) -> Option<(usize, f32)>,
        accuracy: Accuracy,
    ) -> Result<HashMap<String, Lora>> {
        let found = self.of_maps(wanted, |matrix, rank, scale| factors(matrix, rank, scale, accuracy))?;
        let mut parts = HashMap::new();
        for (linear, scale, (a, b)) in found {
            parts.insert(linear.name.clone(), Lora::new(linear, a, b, scale)?);
        }
        self.merge(|linear| {
            let part = parts.get(&linear.name);
            Ok(part.map(|part| Lora { scale: -part.scale, ..part.clone() }.into()))
        })?;
        Ok(parts)
    }
}
