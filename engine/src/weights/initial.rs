//! Freshly drawn weights, for training from scratch.

use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};

use crate::Result;
use crate::families::DecoderSpec;
use crate::model::WeightSource;
use crate::rng::Rng;
use crate::tensor::from_vec;

/// Matrices normal with the configured deviation, norms one, biases zero.
pub struct InitialSource {
    rng: Mutex<Rng>,
    deviation: f64,
}

impl InitialSource {
    /// Normal numbers of this standard deviation.
    pub fn new(seed: u64, deviation: f64) -> Self {
        InitialSource { rng: Mutex::new(Rng::new(seed)), deviation }
    }
}

impl WeightSource for InitialSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        if name.ends_with("bias") {
            return Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        }
        if shape.len() < 2 {
            return Ok(Tensor::ones(shape, DType::F32, &Device::Cpu)?);
        }
        let mut rng = self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count: usize = shape.iter().product();
        from_vec((0..count).map(|_| (rng.normal() * self.deviation) as f32).collect(), shape)
    }

    fn norm_weight(&self, _name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        let one = if one_plus { 0.0 } else { 1.0 };
        Ok(Tensor::full(one as f32, shape, &Device::Cpu)?)
    }

    fn check_read(&self, _spec: &DecoderSpec, _names: &[String]) -> Result<()> {
        Ok(())
    }
}
