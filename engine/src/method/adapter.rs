//! What methods share that train an adapter beside frozen weights, and modules whole with it.

use std::path::Path;

use super::{Loaded, Product, Setup};
use crate::adapter::{Adapter, AdapterConfig, Modules};
use crate::model::{Decoder, Selection, Tuning, linear_names};
use crate::observer::Observer;
use crate::{Error, Result};

/// Puts a new adapter beside a model, and says what it is.
pub(super) trait Beginning {
    /// # Errors
    /// If settings do not fit the model.
    fn begin(&self, setup: &Setup, decoder: &mut Decoder) -> Result<AdapterConfig>;

    /// What a recipe's adapter is like, before there is any.
    fn planned(&self, setup: &Setup) -> AdapterConfig;
}

/// Loads the base model with the adapters that become part of it, and beside it the one that is trained: the
/// checkpoint's, the last one of those given, or a new one.
pub(super) fn load(setup: Setup, observer: &mut Observer, method: &dyn Beginning) -> Result<Loaded> {
    let recipe = setup.recipe;
    let open = |folder: &String| Adapter::open(Path::new(folder));
    let merged = recipe.merged_adapters().iter().map(open).collect::<Result<Vec<_>>>()?;
    let given = recipe.adapter_name_or_path.get(merged.len()).map(open).transpose()?;
    if let Some(given) = given.as_ref().filter(|given| given.config.method() != recipe.finetuning_type) {
        let message = format!(
            "is an adapter of `finetuning_type: {}`; set that, or create_new_adapter",
            given.config.method().name()
        );
        return Err(Error::file(&given.folder, message));
    }
    let trained = match setup.checkpoint {
        Some(folder) => {
            let adapter = Adapter::open(folder)?;
            // One that was given has the size it was made with.
            let wanted = given.map_or_else(|| method.planned(&setup), |given| given.config).size();
            let size = adapter.config.size();
            if size != wanted {
                return Err(Error::file(folder, format!("has {size}, the run has {wanted}")));
            }
            Some(adapter)
        }
        None => given,
    };
    let (decoder, config) = match trained {
        Some(adapter) => continue_adapter(&setup, merged, adapter)?,
        None => new_adapter(&setup, merged, additional(&setup, observer), method)?,
    };
    Ok(Loaded::new(decoder, setup.base.tokenizer, Product::Adapter(config)))
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
    method: &dyn Beginning,
) -> Result<(Decoder, AdapterConfig)> {
    let tuning = Tuning { selection: Selection::Modules(additional.clone()), ..setup.tuning() };
    let mut decoder = setup.base.files.merged(&tuning, &merged)?;
    check_additional(&decoder, &additional)?;
    let config = method.begin(setup, &mut decoder)?;
    let base = setup.recipe.model_name_or_path.clone();
    Ok((decoder, AdapterConfig { base, saved_modules: additional, ..config }))
}

/// The targets of a new adapter by their names: `all` are those that there are.
pub(super) fn named(decoder: &Decoder, targets: &[String]) -> Option<Modules> {
    let names = if targets.iter().any(|name| name == "all") {
        linear_names(decoder).into_iter().collect()
    } else {
        targets.to_vec()
    };
    Some(Modules::Names(names))
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
