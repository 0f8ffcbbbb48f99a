//! Tuning methods: which weights of a model train, what is attached to it, and how the result is written and read.
//!
//! A method is a file here and an entry in [`METHODS`].

mod adapter;
mod conversion;
mod freeze;
mod full;
mod lora;
mod oft;
mod product;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use recipe::{FinetuningType, Recipe};

use crate::autograd::Param;
use crate::model::{Decoder, Tuning, ValueHead};
use crate::observer::Observer;
use crate::stage::drawn::Scorer;
use crate::text::{Template, Tokenizer};
use crate::weights::ModelFiles;
use crate::{Error, Result};

pub(crate) use conversion::INITIAL;
pub(crate) use product::Product;

/// A way to tune a model.
pub(crate) trait Method: Sync {
    /// Loads what is trained: the base model and what the method adds, or both as a checkpoint has them.
    ///
    /// # Errors
    /// If weights cannot be read, or settings do not fit the model.
    fn load(&self, setup: Setup, observer: &mut Observer) -> Result<Loaded>;
}

const METHODS: &[(FinetuningType, &dyn Method)] = &[
    (FinetuningType::Full, &full::Full),
    (FinetuningType::Freeze, &freeze::Freeze),
    (FinetuningType::Lora, &lora::Lora),
    (FinetuningType::Oft, &oft::Oft),
];

/// The method of this name.
///
/// # Errors
/// If there is no such method.
pub(crate) fn of(wanted: FinetuningType) -> Result<&'static dyn Method> {
    let found = METHODS.iter().find(|(kind, _)| *kind == wanted);
    found.map(|(_, method)| *method).ok_or_else(|| {
        Error::recipe("finetuning_type", format!("`{}` is not a method of this engine", wanted.name()))
    })
}

/// A recipe's model, not yet in memory.
pub(crate) struct Base {
    pub files: ModelFiles,
    pub tokenizer: Tokenizer,
    pub device: Device,
}

/// What a method loads a model by.
pub(crate) struct Setup<'a> {
    pub recipe: &'a Recipe,
    pub base: Base,
    pub template: &'a Template,
    /// Where trained weights come from when a run goes on.
    pub checkpoint: Option<&'a Path>,
    /// The vocabulary has rows that the base model never had.
    pub has_grown: bool,
}

impl Setup<'_> {
    /// Where weights are kept and in which arithmetic, with nothing to train yet. `pure_bf16` and `bf16` both mean: frozen
    /// weights in bf16, products in bf16, sums and what is trained in f32; what trains whole is in bf16 by `pure_bf16`. A GGUF file's weights are dequantised once: each
    /// part of a batch would do that again, forwards and backwards, for a hundred rows or some more. A folder's stay
    /// packed, for they have to fit.
    fn tuning(&self) -> Tuning {
        let (bf16, device) = (self.recipe.uses_bf16(), self.base.device.clone());
        Tuning { bf16, device, dequantised: !self.base.files.is_quantised(), ..Tuning::default() }
    }
}

/// A model in memory, and how it is written back.
pub(crate) struct Loaded {
    pub decoder: Decoder,
    pub tokenizer: Tokenizer,
    pub product: Product,
    /// Where the stage wants one.
    pub value_head: Option<ValueHead>,
    /// The model that it is compared with, where the stage does that.
    pub reference: Option<Decoder>,
    /// The model that scores its answers, where the stage draws some and a model does.
    pub scorer: Option<Scorer>,
    /// Tokens that end an answer.
    pub stop_ids: Vec<u32>,
}

impl Loaded {
    fn new(decoder: Decoder, tokenizer: Tokenizer, product: Product) -> Loaded {
        Loaded {
            decoder,
            tokenizer,
            product,
            value_head: None,
            reference: None,
            scorer: None,
            stop_ids: Vec::new(),
        }
    }

    /// # Errors
    /// If there is none: the stage did not ask for it.
    pub(crate) fn reference(&self) -> Result<&Decoder> {
        self.reference.as_ref().ok_or_else(|| Error::Training("there is no reference model".to_owned()))
    }

    /// Everything that trains.
    pub(crate) fn trainable(&self) -> Vec<Arc<Param>> {
        let mut params = self.decoder.trainable();
        params.extend(self.value_head.iter().flat_map(|head| head.params().cloned()));
        params
    }
}
