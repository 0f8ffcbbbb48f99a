//! PiSSA adapters as usual ones, for the model as it was: W + s·(B·A − B₀·A₀) is W beside an update of twice the rank, with
//! [B | −B₀] and [A; A₀] (Meng et al. 2024, appendix C).

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use super::{Loaded, Product};
use crate::adapter::{Adapter, AdapterConfig, save_adapter};
use crate::ops::{Lora, Update, Updates};
use crate::{Error, Result};

/// The adapter as it began.
pub(crate) const INITIAL: &str = "pissa_init";
/// The trained one as it is, for the weights without their principal part.
const BACKUP: &str = "pissa_backup";
/// The trained one for the model as it was.
const CONVERTED: &str = "pissa_converted";

impl Loaded {
    /// The adapter's configuration without a word of how it began.
    fn usual(&self) -> Option<AdapterConfig> {
        match &self.product {
            Product::Adapter(config) => Some(AdapterConfig { principal: None, ..config.clone() }),
            Product::Model { .. } => None,
        }
    }

    /// Writes the adapter as it is before the first step.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn save_initial(&self, output: &Path) -> Result<()> {
        let Some(config) = self.usual() else { return Ok(()) };
        save_adapter(&self.decoder, &config, &output.join(INITIAL))
    }

    /// Writes the trained adapter as one for the model as it was.
    ///
    /// # Errors
    /// If what [`Loaded::save_initial`] wrote is not there, or a file cannot be written.
    pub(crate) fn save_converted(&self, output: &Path) -> Result<()> {
        let Some(config) = self.usual() else { return Ok(()) };
        let folder = output.join(INITIAL);
        let initial = Adapter::open(&folder)?;
        let mut updates = Updates::default();
        for (linear, trained) in self.decoder.updates() {
            let start = initial.update(linear)?;
            let (Some(trained), Some(start)) =
                (trained.low_rank(), start.as_ref().and_then(Update::low_rank))
            else {
                let message = format!("has no update of {}; is it of another run?", linear.name);
                return Err(Error::file(folder, message));
            };
            let a = Tensor::cat(&[&trained.a.tensor, &start.a.tensor], 0)?;
            let b = Tensor::cat(&[&trained.b.tensor, &start.b.tensor.neg()?], 1)?;
            updates.insert(&linear.name, Lora::new(linear, a, b, trained.scale)?);
        }
        save_adapter(&self.decoder, &config, &output.join(BACKUP))?;
        // The scale stays: alpha / rank, or alpha / √rank.
        let alpha = config.alpha * if config.rank_stabilised { 2f64.sqrt() } else { 2.0 };
        let config = AdapterConfig { rank: 2 * config.rank, alpha, ..config };
        save_adapter(&self.decoder.with_adapter(Arc::new(updates)), &config, &output.join(CONVERTED))
    }
}
