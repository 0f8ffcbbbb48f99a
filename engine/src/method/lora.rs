//! LoRA (Hu et al. 2021): low-rank matrices beside frozen weights.

use super::adapter::{Beginning, load, named};
use super::{Loaded, Method, Setup};
use crate::adapter::AdapterConfig;
use crate::model::{Decoder, LoraSettings};
use crate::observer::Observer;
use crate::svd::Accuracy;
use crate::{Error, Result};

pub(super) struct Lora;

impl Method for Lora {
    fn load(&self, setup: Setup, observer: &mut Observer) -> Result<Loaded> {
        load(setup, observer, self)
    }
}

impl Beginning for Lora {
    fn planned(&self, setup: &Setup) -> AdapterConfig {
        let recipe = setup.recipe;
        let turns = usize::try_from(recipe.pissa_iter);
        AdapterConfig {
            rank: recipe.lora_rank,
            alpha: recipe.alpha() as f64,
            dropout: recipe.lora_dropout,
            rank_stabilised: recipe.use_rslora,
            dora: recipe.use_dora,
            principal: recipe.pissa_init.then(|| turns.map_or(Accuracy::Exact, Accuracy::Iterations)),
            ..AdapterConfig::default()
        }
    }

    fn begin(&self, setup: &Setup, decoder: &mut Decoder) -> Result<AdapterConfig> {
        let recipe = setup.recipe;
        if recipe.pissa_init && setup.base.files.is_quantised() {
            let message = "takes the principal part out of the weights, and those of this model are quantised and stay so; \
                           use the model in f32, f16 or bf16";
            return Err(Error::recipe("pissa_init", message));
        }
        let config = self.planned(setup);
        let settings = LoraSettings {
            rank: config.rank,
            scale: recipe.lora_scale(),
            dropout: config.dropout,
            targets: recipe.lora_target.clone(),
            dora: config.dora,
            principal: config.principal,
        };
        decoder.add_lora(&settings, recipe.seed)?;
        Ok(AdapterConfig { targets: named(decoder, &recipe.lora_target), ..config })
    }
}
