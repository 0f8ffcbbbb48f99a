//! LoRA (Hu et al. 2021): low-rank matrices beside frozen weights, and modules that are trained whole with them.

use std::path::Path;

use super::{Loaded, Method, Product, Setup};
use crate::adapter::{Adapter, AdapterConfig, Modules};
use crate::model::{Decoder, LoraSettings, Selection, Tuning, linear_names};
use crate::observer::Observer;
use crate::svd::Accuracy;
use crate::{Error, Result};

pub struct Lora;

impl Method for Lora {
    fn load(&self, setup: Setup, observer: &mut Observer) -> Result<Loaded> {
        let recipe = setup.recipe;
        let open = |folder: &String| Adapter::open(Path::new(folder));
        let merged = recipe.merged_adapters().iter().map(open).collect::<Result<Vec<_>>>()?;
        let given = recipe.adapter_name_or_path.get(merged.len()).map(open).transpose()?;
        let trained = match setup.checkpoint {
            Some(folder) => {
                let adapter = Adapter::open(folder)?;
                // One that was given has the rank it was made with.
                let rank = given.map_or(recipe.lora_rank, |given| given.config.rank);
                if adapter.config.rank != rank {
                    let message = format!("has rank {}, the run has rank {rank}", adapter.config.rank);
                    return Err(Error::file(folder, message));
                }
                Some(adapter)
            }
            None => given,
        };
        let (decoder, config) = match trained {
            Some(adapter) => continue_adapter(&setup, merged, adapter)?,
            None => new_adapter(&setup, merged, additional(&setup, observer))?,
        };
        Ok(Loaded::new(decoder, setup.base.tokenizer, Product::Adapter(config)))
    }
}

/// The modules that are trained whole.
fn additional(setup: &Setup, observer: &mut Observer) -> Vec<String> {
    let given = &setup.recipe.additional_target;
    if !setup.has_grown || !given.is_empty() {
        return given.clone();
    }
    // New rows are of no use unless they are trained.
    let spec = &setup.base.files.spec;
    let modules = [spec.embedding.table, spec.head.name].map(saved_name);
    observer.info(format!("{} are trained, too", modules.join(" and ")));
    modules.into()
}

fn continue_adapter(
    setup: &Setup,
    mut merged: Vec<Adapter>,
    adapter: Adapter,
) -> Result<(Decoder, AdapterConfig)> {
    adapter.check_trainable()?;
    let modules = adapter.config.saved_modules.clone();
    let tuning = Tuning { selection: Selection::Modules(modules), ..setup.tuning() };
    let config = AdapterConfig { base: setup.recipe.model_name_or_path.clone(), ..adapter.config.clone() };
    merged.push(adapter);
    Ok((setup.base.files.adapted(&tuning, &merged)?, config))
}

fn new_adapter(
    setup: &Setup,
    merged: Vec<Adapter>,
    additional: Vec<String>,
) -> Result<(Decoder, AdapterConfig)> {
    let recipe = setup.recipe;
    let tuning = Tuning { selection: Selection::Modules(additional.clone()), ..setup.tuning() };
    if recipe.pissa_init && setup.base.files.is_quantised() {
        let message = "takes the principal part out of the weights, and those of this model are quantised and stay so; \
                       use the model in f32, f16 or bf16";
        return Err(Error::recipe("pissa_init", message));
    }
    let principal = recipe.pissa_init.then(|| {
        let turns = usize::try_from(recipe.pissa_iter);
        turns.map_or(Accuracy::Exact, Accuracy::Iterations)
    });
    let mut decoder = setup.base.files.merged(&tuning, &merged)?;
    check_additional(&decoder, &additional)?;
    let settings = LoraSettings {
        rank: recipe.lora_rank,
        scale: recipe.lora_scale(),
        dropout: recipe.lora_dropout,
        targets: recipe.lora_target.clone(),
        dora: recipe.use_dora,
        principal,
    };
    decoder.add_lora(&settings, recipe.seed)?;
    let targets = if recipe.targets_all() {
        linear_names(&decoder).into_iter().collect()
    } else {
        recipe.lora_target.clone()
    };
    let config = AdapterConfig {
        base: recipe.model_name_or_path.clone(),
        rank: recipe.lora_rank,
        alpha: recipe.alpha() as f64,
        dropout: recipe.lora_dropout,
        rank_stabilised: recipe.use_rslora,
        dora: recipe.use_dora,
        principal,
        targets: Some(Modules::Names(targets)),
        saved_modules: additional,
        ..AdapterConfig::default()
    };
    Ok((decoder, config))
}

/// How `modules_to_save` calls the token table and the output matrix. PEFT knows these two by their last part; others
/// are named whole, since a part of a block may be called alike (OLMo's `ff_out`).
fn saved_name(module: &str) -> String {
    let last = module.rsplit('.').next().unwrap_or(module);
    if ["embed_tokens", "lm_head"].contains(&last) { last } else { module }.to_owned()
}

fn check_additional(decoder: &Decoder, additional: &[String]) -> Result<()> {
    let params = decoder.params();
    for name in additional {
        let alone = Selection::Modules(vec![name.clone()]);
        let module =
            |name: &str| name.rsplit_once('.').map_or(name.to_owned(), |(module, _)| module.to_owned());
        if !params.iter().any(|param| alone.names(&module(&param.name))) {
            let message = format!("the model has no module called `{name}`");
            return Err(Error::recipe("additional_target", message));
        }
    }
    Ok(())
}
