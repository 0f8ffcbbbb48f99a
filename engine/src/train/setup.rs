//! Loads what is trained: model, adapters, tokenizer.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use recipe::Recipe;
use serde_json::{Map, Value};

use crate::adapter::{Adapter, AdapterConfig, Modules, save_adapter};
use crate::autograd::Param;
use crate::device;
use crate::model::{Decoder, LoraSettings, Tuning, WeightSource, linear_names};
use crate::text::{Prepared, Template, Tokenizer};
use crate::weights::{self, FolderSource, GENERATION_CONFIG, ModelFiles, save_model, write_json};
use crate::{Error, Result};

/// A model in memory, and how it is written back.
pub struct Loaded {
    pub decoder: Decoder,
    pub tokenizer: Tokenizer,
    pub product: Product,
}

/// What a run writes.
pub enum Product {
    Adapter(AdapterConfig),
    /// The whole model; `dtype` is the one its base was stored in, and `generation` says how it ends what it writes.
    Model {
        config: Map<String, Value>,
        generation: Map<String, Value>,
        dtype: DType,
    },
}

/// The recipe's model, not yet in memory.
pub struct Base {
    pub files: ModelFiles,
    pub tokenizer: Tokenizer,
    pub device: Device,
}

/// Opens the recipe's model, which is at `folder`, its positions stretched where that is asked for.
pub fn open(recipe: &Recipe, folder: &Path, log: &mut dyn FnMut(String)) -> Result<Base> {
    let device = device::choose(recipe.use_cpu, log);
    if !device.is_cpu() {
        log(format!("training on {}", device::describe(&device)));
    }
    let mut files = weights::open(folder, recipe.train_from_scratch.then_some(recipe.seed))?;
    if let Some(kind) = recipe.rope_scaling {
        log(match files.stretch_positions(kind, recipe.cutoff_len)? {
            Some(factor) => format!("rotary positions are stretched {factor} times ({})", kind.name()),
            None => format!(
                "rope_scaling is not needed: the model reads {} tokens, cutoff_len is {}",
                files.spec.max_positions, recipe.cutoff_len
            ),
        });
    }
    Ok(Base { tokenizer: files.tokenizer()?, files, device })
}

/// Loads model and adapters; trained weights come from `checkpoint` when a run goes on. The tokenizer has
/// the template's tokens by now.
pub fn load(
    recipe: &Recipe,
    mut base: Base,
    template: &Template,
    checkpoint: Option<&Path>,
    log: &mut dyn FnMut(String),
) -> Result<Loaded> {
    let mut additional = recipe.additional_target.clone();
    if recipe.resize_vocab
        && let Some(rows) = base.files.grow_vocabulary(base.tokenizer.vocab_size(), recipe.seed)?
    {
        log(format!("the vocabulary has grown to {rows} rows"));
        // New rows are of no use unless they are trained.
        if recipe.is_lora() && additional.is_empty() {
            let spec = &base.files.spec;
            additional = [spec.embedding.table, spec.head.name].map(saved_name).into();
            log(format!("{} are trained, too", additional.join(" and ")));
        }
    }
    if recipe.neftune_noise_alpha.is_some() && base.files.spec.embedding.scale != 1.0 {
        let message = "is not supported for models that scale their embeddings; remove it";
        return Err(Error::recipe("neftune_noise_alpha", message));
    }
    if recipe.is_lora() {
        load_lora(recipe, base, additional, checkpoint)
    } else {
        load_full(recipe, base, template, checkpoint)
    }
}

fn load_full(recipe: &Recipe, base: Base, template: &Template, checkpoint: Option<&Path>) -> Result<Loaded> {
    let Base { files, tokenizer, device } = base;
    let tuning = Tuning { full: true, ..tuning(recipe, device) };
    let decoder = match checkpoint {
        Some(folder) => weights::open(folder, None)?.build(&tuning)?,
        None => files.build(&tuning)?,
    };
    let dtype = match files.config.get("torch_dtype").or(files.config.get("dtype")).and_then(|d| d.as_str()) {
        Some("bfloat16") => DType::BF16,
        Some("float16") => DType::F16,
        _ => DType::F32,
    };
    let config = files.config.values.clone();
    // What it is taught to end with are the template's tokens.
    let generation = files.generation_config(&template.stop_ids(&tokenizer));
    Ok(Loaded { decoder, tokenizer, product: Product::Model { config, generation, dtype } })
}

fn load_lora(
    recipe: &Recipe,
    base: Base,
    additional: Vec<String>,
    checkpoint: Option<&Path>,
) -> Result<Loaded> {
    let mut adapters = Vec::new();
    for folder in &recipe.adapter_name_or_path {
        adapters.push(Adapter::open(Path::new(folder))?);
    }
    // The last adapter is trained on, unless a new one is asked for; the others become part of the model.
    let given = if recipe.create_new_adapter { None } else { adapters.pop() };
    let merged = adapters;
    let trained = match checkpoint {
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
        Some(adapter) => continue_adapter(recipe, &base, merged, adapter)?,
        None => new_adapter(recipe, &base, merged, additional)?,
    };
    Ok(Loaded { decoder, tokenizer: base.tokenizer, product: Product::Adapter(config) })
}

fn continue_adapter(
    recipe: &Recipe,
    base: &Base,
    mut merged: Vec<Adapter>,
    adapter: Adapter,
) -> Result<(Decoder, AdapterConfig)> {
    adapter.check_trainable()?;
    let additional = adapter.config.saved_modules.clone();
    let tuning = Tuning { additional, ..tuning(recipe, base.device.clone()) };
    let config = AdapterConfig { base: recipe.model_name_or_path.clone(), ..adapter.config.clone() };
    merged.push(adapter);
    Ok((base.files.adapted(&tuning, &merged)?, config))
}

fn new_adapter(
    recipe: &Recipe,
    base: &Base,
    merged: Vec<Adapter>,
    additional: Vec<String>,
) -> Result<(Decoder, AdapterConfig)> {
    let tuning = Tuning { additional: additional.clone(), ..tuning(recipe, base.device.clone()) };
    let mut decoder = base.files.merged(&tuning, &merged)?;
    check_additional(&decoder, &tuning)?;
    let settings = LoraSettings {
        rank: recipe.lora_rank,
        scale: recipe.lora_scale(),
        dropout: recipe.lora_dropout,
        targets: recipe.lora_target.clone(),
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
        targets: Some(Modules::Names(targets)),
        saved_modules: additional,
        ..AdapterConfig::default()
    };
    Ok((decoder, config))
}

/// `pure_bf16` and `bf16` both mean: frozen weights in bf16, products in bf16, sums and what is trained in f32.
fn tuning(recipe: &Recipe, device: Device) -> Tuning {
    Tuning { bf16: recipe.uses_bf16(), device, ..Tuning::default() }
}

/// How `modules_to_save` calls the token table and the output matrix. PEFT knows these two by their last part; others
/// are named whole, since a part of a block may be called alike (OLMo's `ff_out`).
fn saved_name(module: &str) -> String {
    let last = module.rsplit('.').next().unwrap_or(module);
    if ["embed_tokens", "lm_head"].contains(&last) { last } else { module }.to_owned()
}

fn check_additional(decoder: &Decoder, tuning: &Tuning) -> Result<()> {
    let params = decoder.params();
    for name in &tuning.additional {
        let alone = Tuning { additional: vec![name.clone()], ..Tuning::default() };
        let module =
            |name: &str| name.rsplit_once('.').map_or(name.to_owned(), |(module, _)| module.to_owned());
        if !params.iter().any(|param| alone.is_additional(&module(&param.name))) {
            let message = format!("the model has no module called `{name}`");
            return Err(Error::recipe("additional_target", message));
        }
    }
    Ok(())
}

/// Token ids beyond the model's table would read outside of it.
pub fn check_vocabulary(loaded: &Loaded, data: &Prepared) -> Result<()> {
    let vocab = loaded.decoder.spec.vocab;
    let of_eval = data.eval.iter().filter_map(|set| set.examples.largest_id()).max();
    match data.train.largest_id().max(of_eval) {
        Some(id) if id as usize >= vocab => {
            let token = loaded.tokenizer.id_to_token(id).unwrap_or_default();
            let message = format!(
                "the data need token {id} (`{token}`), but the model's table has {vocab} rows; set \
                 `resize_vocab: true` to give it more, or choose a template whose tokens the model has"
            );
            Err(Error::recipe("resize_vocab", message))
        }
        _ => Ok(()),
    }
}

impl Loaded {
    /// Writes the trained weights and the tokenizer; `exact` keeps f32, so that training can go on.
    pub fn save(&self, folder: &Path, exact: bool) -> Result<()> {
        match &self.product {
            Product::Adapter(config) => save_adapter(&self.decoder, config, folder)?,
            Product::Model { config, generation, dtype } => {
                save_model(&self.decoder, config, if exact { DType::F32 } else { *dtype }, folder)?;
                write_json(&folder.join(GENERATION_CONFIG), &Value::Object(generation.clone()))?;
            }
        }
        self.tokenizer.save(folder)?;
        Ok(())
    }

    /// Puts the weights of a checkpoint in the place of the trained ones.
    pub fn restore(&self, checkpoint: &Path) -> Result<()> {
        match &self.product {
            Product::Adapter(_) => {
                let adapter = Adapter::open(checkpoint)?;
                self.restore_by(|param| adapter.trained(param))
            }
            Product::Model { .. } => {
                let folder = FolderSource::open(checkpoint, self.decoder.spec.embedding.table)?;
                self.restore_by(|param| folder.tensor(&param.name, param.tensor.dims()))
            }
        }
    }

    fn restore_by(&self, saved: impl Fn(&Param) -> Result<Tensor>) -> Result<()> {
        for param in self.decoder.trainable() {
            let weight = saved(&param)?.to_dtype(param.tensor.dtype())?.to_device(param.tensor.device())?;
            // In place: the model's parts share the tensor.
            param.tensor.slice_set(&weight, 0, 0)?;
        }
        Ok(())
    }
}
