//! Adapters that begin with what four bits lose of the weights (LoftQ, Li et al. 2023, algorithm 1): Q = round(W − s·B·A) and
//! A, B of the largest singular values of W − Q, by turns. Beside Q they are closer to W than Q is, so that a model that is
//! then quantised starts from nearly what it was.

use std::collections::HashMap;

use candle_core::Tensor;

use super::decoder::Decoder;
use super::principal::factors;
use crate::Result;
use crate::ops::{Linear, Lora};
use crate::quant::QuantizedWeight;
use crate::quant::bnb::{FourBit, FourBitSettings, Kind, Precision};
use crate::svd::Accuracy;
use crate::tensor::from_vec;

/// As bitsandbytes rounds weights to NF4.
const ROUNDING: FourBitSettings =
    FourBitSettings { kind: Kind::Nf4, block: 64, nested: false, precision: Precision::F32 };

/// What a weight [out, in] becomes, and the A and B beside it.
fn split(weight: &Tensor, rank: usize, scale: f32, turns: usize) -> Result<(Tensor, Tensor, Tensor)> {
    let (out, dim) = weight.dims2()?;
    let mut rest = weight.clone();
    let (mut rounded, mut a, mut b) = (weight.clone(), weight.clone(), weight.clone());
    for _ in 0..turns.max(1) {
        let values: Vec<f32> = rest.flatten_all()?.to_vec1()?;
        rounded = FourBit::quantize(&values, out, dim, &ROUNDING).dequantize()?;
        let lost: Vec<f32> = (weight - &rounded)?.flatten_all()?.to_vec1()?;
        (a, b) = factors(&from_vec(lost, (out, dim))?, rank, scale, Accuracy::Exact)?;
        rest = (weight - (b.matmul(&a)? * f64::from(scale))?)?;
    }
    Ok((rounded, a, b))
}

impl Decoder {
    /// Rounds the weights for which `wanted` has (rank, scale) to what four bits hold, and answers with most of what they
    /// lost by the names of modules.
    ///
    /// # Errors
    /// If a rank is higher than a weight has singular values.
    pub fn round_to_four_bits(
        &mut self,
        wanted: impl Fn(&Linear) -> Option<(usize, f32)>,
        turns: usize,
    ) -> Result<HashMap<String, Lora>> {
        let found = self.of_maps(wanted, |weight, rank, scale| split(weight, rank, scale, turns))?;
        let (mut weights, mut parts) = (HashMap::new(), HashMap::new());
        for (linear, scale, (weight, a, b)) in found {
            weights.insert(linear.name.clone(), weight);
            parts.insert(linear.name.clone(), Lora::new(linear, a, b, scale)?);
        }
        self.replace_weights(|linear| Ok(weights.remove(&linear.name)))?;
        Ok(parts)
    }
}
