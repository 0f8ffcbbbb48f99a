//! NEFTune (Jain et al. 2023): uniform noise on the embeddings of what is trained on.

use candle_core::Tensor;

use crate::Result;
use crate::rng::Rng;
use crate::tensor::from_vec;

/// The stream of a pass's seed that draws the noise.
const STREAM: u64 = 3 << 32;

/// The noise of one pass.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// The strength: uniform noise of ± alpha / √(length · hidden).
    pub alpha: f64,
    /// Tokens of the batch's longest sequence.
    pub length: usize,
    /// Decides what is drawn.
    pub seed: u64,
}

impl Noise {
    /// Adds noise between -α/√(L·d) and α/√(L·d) to embeddings [tokens, d].
    ///
    /// # Errors
    /// If types, shapes or devices of the tensors do not fit.
    pub fn added_to(self, embeddings: &Tensor) -> Result<Tensor> {
        let (_, dim) = embeddings.dims2()?;
        let limit = self.alpha / ((self.length * dim) as f64).sqrt();
        let mut rng = Rng::stream(self.seed, STREAM);
        let noise: Vec<f32> =
            (0..embeddings.elem_count()).map(|_| ((2.0 * rng.uniform() - 1.0) * limit) as f32).collect();
        let noise = from_vec(noise, embeddings.shape())?.to_device(embeddings.device())?;
        Ok((embeddings + noise.to_dtype(embeddings.dtype())?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_uniform_within_its_limit() {
        let noise = Noise { alpha: 5.0, length: 10, seed: 7 };
        let zeros = from_vec(vec![0.0; 50 * 40], (50, 40)).unwrap();
        let drawn: Vec<f32> = noise.added_to(&zeros).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let limit = 5.0 / (10.0f32 * 40.0).sqrt();
        let largest = drawn.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        assert!(largest <= limit && largest > 0.99 * limit, "{largest} of {limit}");
        // Variance of a uniform distribution: limit² / 3.
        let variance = drawn.iter().map(|x| x * x).sum::<f32>() / drawn.len() as f32;
        assert!((variance * 3.0 / (limit * limit) - 1.0).abs() < 0.1, "{variance}");
    }
}
