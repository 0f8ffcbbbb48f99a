//! A model whose loading can be broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;

use crate::families::DecoderSpec;
use crate::model::WeightSource;
use crate::quant::QuantizedWeight;
use crate::{Error, Result};

/// Gives no more tensors once `stop` is set.
pub(super) struct StoppableSource {
    pub base: Arc<dyn WeightSource + Send + Sync>,
    pub stop: Arc<AtomicBool>,
}

impl StoppableSource {
    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl WeightSource for StoppableSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.go_on()?;
        self.base.tensor(name, shape)
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        self.go_on()?;
        self.base.norm_weight(name, shape, one_plus)
    }

    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        self.go_on()?;
        self.base.quantised(name, dims)
    }

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        self.base.check_read(spec, names)
    }
}
