//! Orthogonal fine-tuning (Qiu et al. 2023): rotations of what frozen linear maps read.

use super::adapter::{Beginning, load, named};
use super::{Loaded, Method, Setup};
use crate::Result;
use crate::adapter::AdapterConfig;
use crate::model::{Decoder, OftSettings};
use crate::observer::Observer;
use crate::ops::Blocks;

pub(super) struct Oft;

impl Method for Oft {
    fn load(&self, setup: Setup, observer: &mut Observer) -> Result<Loaded> {
        load(setup, observer, self)
    }
}

fn blocks(setup: &Setup) -> Blocks {
    match (setup.recipe.oft_rank, setup.recipe.oft_block_size) {
        (0, columns) => Blocks::Columns(columns),
        (count, _) => Blocks::Count(count),
    }
}

impl Beginning for Oft {
    fn planned(&self, setup: &Setup) -> AdapterConfig {
        let dropout = setup.recipe.module_dropout;
        AdapterConfig { rotation: Some(blocks(setup)), dropout, ..AdapterConfig::default() }
    }

    fn begin(&self, setup: &Setup, decoder: &mut Decoder) -> Result<AdapterConfig> {
        let (config, targets) = (self.planned(setup), &setup.recipe.oft_target);
        let settings =
            OftSettings { blocks: blocks(setup), dropout: config.dropout, targets: targets.clone() };
        decoder.add_oft(&settings)?;
        Ok(AdapterConfig { targets: named(decoder, targets), ..config })
    }
}
