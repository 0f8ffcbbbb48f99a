//! Loads what is trained.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use recipe::{JobKind, MixtureOfDepths, Phase, Recipe, RewardModelType, TokenInit};

use crate::adapter::Adapter;
use crate::device;
use crate::method::{self, Base, Loaded, Product, Setup};
use crate::model::{Decoder, Tuning, VALUE_HEAD, ValueHead};
use crate::observer::Observer;
use crate::stage;
use crate::stage::drawn::Scorer;
use crate::text::{self, Prepared, Template, Tokenizer};
use crate::weights::{self, Growth, ModelFiles};
use crate::world::World;
use crate::{Error, Result};

/// Where the models of a recipe are.
pub(super) struct Folders {
    pub model: PathBuf,
    /// The reference that it names.
    pub reference: Option<PathBuf>,
    /// The reward model that it names.
    pub reward: Option<PathBuf>,
}

/// A model in memory, and the template its conversations are written by.
pub(super) struct Opened {
    pub loaded: Loaded,
    pub template: Template,
}

/// Loads the recipe's model from its folder, and what is trained as `checkpoint` has it.
pub(super) fn open(
    recipe: &Recipe,
    folders: &Folders,
    checkpoint: Option<&Path>,
    observer: &mut Observer,
) -> Result<Opened> {
    observer.phase(Phase::LoadingModel, Some(recipe.model_name_or_path.clone()));
    let mut base = base(recipe, &folders.model, observer)?;
    base.files.stop_with(observer.stop());
    let (template, remarks) = text::prepare_tokenizer(recipe, &mut base.tokenizer)?;
    for remark in remarks {
        observer.info(remark.to_string());
    }
    let loaded = load(recipe, folders, base, &template, checkpoint, observer)?;
    Ok(Opened { loaded, template })
}

/// Loads and encodes the recipe's data as the opened model reads them.
pub(super) fn prepare(
    recipe: &Recipe,
    Opened { loaded, template }: &Opened,
    world: &dyn World,
    observer: &mut Observer,
) -> Result<Prepared> {
    let names = if recipe.job() == JobKind::Predict { recipe.predicted_on() } else { &recipe.dataset };
    observer.phase(Phase::EncodingData, Some(names.join(", ")));
    let data = text::prepare(recipe, &loaded.tokenizer, template, world.size(), observer)?;
    check_vocabulary(loaded, &data)?;
    Ok(data)
}

/// Opens the recipe's model, which is at `folder`, its positions stretched where that is asked for.
fn base(recipe: &Recipe, folder: &Path, observer: &mut Observer) -> Result<Base> {
    let device = device::choose(recipe.use_cpu, &mut |why| observer.info(why));
    if !device.is_cpu() {
        observer.info(format!("training on {}", device::describe(&device)));
    }
    let mut files = weights::open(folder, recipe.train_from_scratch.then_some(recipe.seed))?;
    if let Some(kind) = recipe.rope_scaling {
        observer.info(match files.stretch_positions(kind, recipe.cutoff_len)? {
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
fn load(
    recipe: &Recipe,
    folders: &Folders,
    mut base: Base,
    template: &Template,
    checkpoint: Option<&Path>,
    observer: &mut Observer,
) -> Result<Loaded> {
    let stage = stage::of(recipe)?;
    let mut has_grown = false;
    if recipe.resizes_vocab()
        && let Some(rows) =
            base.files.grow_vocabulary(base.tokenizer.vocab_size(), growth(recipe, &base.tokenizer)?)?
    {
        observer.info(format!("the vocabulary has grown to {rows} rows"));
        has_grown = true;
    }
    if recipe.neftune_noise_alpha.is_some() && base.files.spec.embedding.scale != 1.0 {
        let message = "is not supported for models that scale their embeddings; remove it";
        return Err(Error::recipe("neftune_noise_alpha", message));
    }
    if recipe.shift_attn {
        check_heads(&base)?;
    }
    route(recipe, &mut base.files)?;
    let mut loaded = method::of(recipe.finetuning_type)?
        .load(Setup { recipe, base, template, checkpoint, has_grown }, observer)?;
    loaded.stop_ids = template.stop_ids(&loaded.tokenizer);
    if stage.has_value_head() {
        loaded.value_head = Some(value_head(recipe, &folders.model, checkpoint, &loaded.decoder)?);
    }
    if recipe.has_reference() {
        loaded.reference = Some(reference(recipe, folders, &loaded)?);
    }
    loaded.scorer = scorer(recipe, folders, &loaded)?;
    Ok(loaded)
}

/// What the rows of new tokens start from.
fn growth(recipe: &Recipe, tokenizer: &Tokenizer) -> Result<Growth> {
    let noise = recipe.init_special_tokens != TokenInit::DescInit;
    Ok(Growth { seed: recipe.seed, described: text::new_rows(recipe, tokenizer)?, noise })
}

/// Halves of the heads attend in groups of their own, so that there must be halves; as in LLaMA-Factory of llamas alone.
fn check_heads(base: &Base) -> Result<()> {
    let family = base.files.config.text("model_type")?;
    let (heads, kv_heads, ..) = base.files.spec.head_sizes();
    let has_halves = heads.is_multiple_of(2) && (kv_heads == 1 || kv_heads.is_multiple_of(2));
    if family != "llama" || !has_halves {
        let message = format!(
            "needs a model of type llama with even numbers of heads; this one is of type {family} with {heads} and \
             {kv_heads}; remove it"
        );
        return Err(Error::recipe("shift_attn", message));
    }
    Ok(())
}

/// Gives the model's blocks routers, or looks whether it has them, as the recipe says.
fn route(recipe: &Recipe, files: &mut ModelFiles) -> Result<()> {
    let refuse = |message: String| Err(Error::recipe("mixture_of_depths", message));
    match recipe.mixture_of_depths {
        Some(MixtureOfDepths::Convert) => files.add_routers(recipe.seed)?,
        Some(MixtureOfDepths::Load) if files.spec.block.depths.is_none() => {
            return refuse(format!(
                "is load, but {} has no routers; use convert to give it some",
                files.path.display()
            ));
        }
        _ => {}
    }
    let windows = files
        .spec
        .layers
        .iter()
        .enumerate()
        .filter_map(|(index, layer)| files.spec.block.routing(index).and(layer.window));
    match windows.min() {
        Some(window) if window < recipe.cutoff_len => refuse(format!(
            "is for texts within the model's window of {window} tokens, which would be another one among chosen tokens; \
             cutoff_len is {}: make it {window} at most",
            recipe.cutoff_len
        )),
        _ if files.spec.block.depths.is_none() => Ok(()),
        _ => match recipe.depths_conflict() {
            Some((key, value)) => {
                refuse(format!("does not go with `{key}: {value}`, and this model has routers"))
            }
            None => Ok(()),
        },
    }
}

/// The model that the trained one is compared with: the one that the recipe names; else the same without its adapter, or
/// where more than an adapter trains, or the adapter began with a part of the weights, the base model once more.
fn reference(recipe: &Recipe, folders: &Folders, loaded: &Loaded) -> Result<Decoder> {
    let device = loaded.decoder.device().clone();
    let tuning = Tuning { bf16: recipe.uses_bf16(), device, ..Tuning::default() };
    let open_all = |folders: &[String]| -> Result<Vec<_>> {
        folders.iter().map(|folder| Adapter::open(Path::new(folder))).collect()
    };
    if let Some(folder) = &folders.reference {
        return weights::open(folder, None)?.merged(&tuning, &open_all(&recipe.ref_model_adapters)?);
    }
    let without = loaded.decoder.with_adapter(Arc::default());
    let is_changed = matches!(&loaded.product, Product::Adapter(config) if config.principal.is_some());
    if without.trainable().is_empty() && !is_changed {
        return Ok(without);
    }
    let mut base = base(recipe, &folders.model, &mut Observer::deaf())?;
    if recipe.resizes_vocab() {
        base.files.grow_vocabulary(loaded.tokenizer.vocab_size(), growth(recipe, &loaded.tokenizer)?)?;
    }
    base.files.merged(&tuning, &open_all(recipe.merged_adapters())?)
}

/// The model that scores answers: an adapter with a value head on the base model, or a model of its own with one. A
/// server's are asked for when there are answers.
fn scorer(recipe: &Recipe, folders: &Folders, loaded: &Loaded) -> Result<Option<Scorer>> {
    let Some(folder) = &folders.reward else { return Ok(None) };
    let without_head = |folder: &Path| {
        let message = format!("has no {VALUE_HEAD}, which `stage: rm` writes: it cannot score answers");
        Err(Error::file(folder, message))
    };
    if recipe.reward_model_type == RewardModelType::Lora {
        let adapter = Adapter::open(folder)?;
        adapter.check_trainable()?;
        if !adapter.config.saved_modules.is_empty() {
            let message = "trains modules whole, so that it cannot share the model; export it into a model and give that \
                           with `reward_model_type: full`";
            return Err(Error::file(folder, message));
        }
        let mut decoder = loaded.decoder.with_adapter(Arc::default());
        adapter.check_against(&decoder)?;
        decoder.attach(|linear| adapter.update(linear), 0.0)?;
        if !folder.join(VALUE_HEAD).exists() {
            return without_head(folder);
        }
        let head = ValueHead::read(&decoder, folder)?;
        return Ok(Some(Scorer { decoder, head }));
    }
    let adapters = recipe.reward_model_adapters.iter().map(|folder| Adapter::open(Path::new(folder)));
    let adapters = adapters.collect::<Result<Vec<_>>>()?;
    let tuning =
        Tuning { bf16: recipe.uses_bf16(), device: loaded.decoder.device().clone(), ..Tuning::default() };
    let decoder = weights::open(folder, None)?.merged(&tuning, &adapters)?;
    if decoder.spec.vocab < loaded.tokenizer.vocab_size() {
        let message = format!(
            "has {} tokens, the model that is trained has {}: a reward model must read the same tokens",
            decoder.spec.vocab,
            loaded.tokenizer.vocab_size()
        );
        return Err(Error::file(folder, message));
    }
    let given = recipe.reward_model_adapters.iter().rev().map(Path::new).chain([folder.as_path()]);
    match given.into_iter().find(|folder| folder.join(VALUE_HEAD).exists()) {
        Some(with_head) => {
            let head = ValueHead::read(&decoder, with_head)?;
            Ok(Some(Scorer { decoder, head }))
        }
        None => without_head(folder),
    }
}

/// The value head of the checkpoint, of the adapter that is gone on with, or of the model; a fresh one where none of
/// them has any.
fn value_head(
    recipe: &Recipe,
    folder: &Path,
    checkpoint: Option<&Path>,
    decoder: &Decoder,
) -> Result<ValueHead> {
    if let Some(checkpoint) = checkpoint {
        return ValueHead::read(decoder, checkpoint);
    }
    let given = recipe.adapter_name_or_path.last().map(Path::new);
    let with_head = given.into_iter().chain([folder]).find(|folder| folder.join(VALUE_HEAD).exists());
    with_head.map_or_else(|| ValueHead::new(decoder, recipe.seed), |folder| ValueHead::read(decoder, folder))
}

/// Token ids beyond the model's table would read outside of it.
fn check_vocabulary(loaded: &Loaded, data: &Prepared) -> Result<()> {
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
