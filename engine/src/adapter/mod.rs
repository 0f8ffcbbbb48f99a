//! Adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

mod config;
mod modules;
mod oft;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::autograd::Param;
use crate::families::{Config, DecoderSpec};
use crate::model::{Decoder, WeightSource};
use crate::ops::{Linear, Lora, Oft, Update};
use crate::quant::QuantizedWeight;
use crate::weights::{FolderSource, save_tensors, write_json};
use crate::{Error, Result};

pub use config::{AdapterConfig, Patterns};
pub use modules::Modules;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// An adapter on disk.
pub struct Adapter {
    /// Where it is.
    pub folder: PathBuf,
    /// What it is, without its weights.
    pub config: AdapterConfig,
    weights: FolderSource,
}

impl Adapter {
    /// Opens an adapter folder.
    ///
    /// # Errors
    /// If it is no LoRA adapter, or of a kind that is not supported.
    pub fn open(folder: &Path) -> Result<Adapter> {
        let path = folder.join(CONFIG);
        if !path.exists() {
            return Err(Error::file(folder, format!("is not an adapter folder: it has no {CONFIG}")));
        }
        let json = Config::read(&path)?;
        let config = AdapterConfig::read(&json)?;
        let weights = folder.join(WEIGHTS);
        if !weights.exists() && folder.join("adapter_model.bin").exists() {
            let message =
                "is a pickle, which can run any code when it is read; save the adapter as safetensors";
            return Err(Error::file(folder.join("adapter_model.bin"), message));
        }
        Ok(Adapter { folder: folder.to_owned(), config, weights: FolderSource::file(&weights)? })
    }

    /// The update of a linear map, if the adapter has one for it.
    ///
    /// # Errors
    /// If the adapter has a part of an update alone, or one of another shape than the map's.
    pub fn update(&self, linear: &Linear) -> Result<Option<Update>> {
        let module = &linear.name;
        let name = |part: &str| format!("{PREFIX}{module}.{part}.weight");
        let read = |name: &str, shape: &[usize]| -> Result<_> {
            Ok(self.weights.tensor(name, shape)?.to_dtype(DType::F32)?)
        };
        if let Some(blocks) = self.config.rotation {
            if !self.weights.has(&name("oft_R")) {
                return Ok(None);
            }
            let block = blocks.columns(linear.in_dim());
            let skew = read(&name("oft_R"), &[linear.in_dim() / block, block * (block - 1) / 2])?;
            return Ok(Some(Oft::new(linear, skew, block)?.into()));
        }
        if !self.weights.has(&name("lora_A")) {
            return Ok(None);
        }
        let (rank, out) = (self.config.rank_of(module), linear.out_dim());
        let (a, b) = (read(&name("lora_A"), &[rank, linear.in_dim()])?, read(&name("lora_B"), &[out, rank])?);
        let lora = Lora::new(linear, a, b, self.config.scale_of(module) as f32)?;
        let lora = if self.config.dora {
            lora.with_magnitude(linear, Some(read(&magnitude(module), &[out])?))?
        } else {
            lora
        };
        Ok(Some(lora.into()))
    }

    /// Takes out of a model what the adapter's matrices began with, if they did so with a part of its weights.
    ///
    /// # Errors
    /// As those of [`Decoder::take_principal`].
    pub fn prepare(&self, decoder: &mut Decoder) -> Result<()> {
        let Some(accuracy) = self.config.principal else { return Ok(()) };
        let wanted = |linear: &Linear| {
            let module = &linear.name;
            let has = self.weights.has(&format!("{PREFIX}{module}.lora_A.weight"));
            has.then(|| (self.config.rank_of(module), self.config.scale_of(module) as f32))
        };
        decoder.take_principal(wanted, accuracy).map(|_| ())
    }

    /// What was saved of a parameter that is trained: a low-rank matrix, or a weight of a module saved whole.
    ///
    /// # Errors
    /// If the adapter holds nothing of it, or something of another shape.
    pub fn trained(&self, param: &Param) -> Result<Tensor> {
        self.weights.tensor(&format!("{PREFIX}{}", param.name), param.tensor.dims())
    }

    /// Refuses to train on biases, which the low-rank update alone would leave out.
    ///
    /// # Errors
    /// If this is an adapter with biases.
    pub fn check_trainable(&self) -> Result<()> {
        if !self.config.biases {
            return Ok(());
        }
        let message = "`bias` is not `none`: such an adapter can be merged and talked to, but not trained on; export \
                       it into the model, or set create_new_adapter";
        Err(Error::file(self.folder.join(CONFIG), message))
    }

    /// Rows of a module's weight, where the adapter brings it whole.
    ///
    /// # Errors
    /// If the tensor cannot be read.
    pub fn saved_rows(&self, module: &str) -> Result<Option<usize>> {
        for name in saved_names(&format!("{module}.weight")) {
            if self.weights.has(&name) {
                return Ok(self.weights.load(&name)?.0.dims().first().copied());
            }
        }
        Ok(None)
    }

    /// Checks that every tensor of the file has found its place in a model.
    ///
    /// # Errors
    /// Names the first tensor that has not.
    pub fn check_against(&self, decoder: &Decoder) -> Result<()> {
        let parts = |module: &str| {
            ["lora_A", "lora_B", "oft_R"].map(|part| format!("{PREFIX}{module}.{part}.weight"))
        };
        let (mut known, mut left_out) = (BTreeSet::new(), BTreeSet::new());
        for linear in decoder.linears() {
            let adapted = self.config.adapts(&linear.name);
            let names = if adapted { &mut known } else { &mut left_out };
            names.extend(parts(&linear.name));
            names.insert(magnitude(&linear.name));
        }
        known.extend(decoder.params().iter().flat_map(|param| saved_names(&param.name)));
        let Some(name) = self.weights.names().into_iter().find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let message = if name.contains(".lora_embedding_") {
            format!("tensor `{name}`: low-rank matrices on embeddings are not supported")
        } else if left_out.contains(&name) {
            format!(
                "tensor `{name}` belongs to a module that {CONFIG} leaves out; look at target_modules, \
                 exclude_modules and layers_to_transform there"
            )
        } else {
            format!("tensor `{name}` belongs to no module of this model; is it another base model's?")
        };
        Err(Error::file(self.folder.join(WEIGHTS), message))
    }
}

/// The weights of a base model with modules that adapters bring whole in their place.
pub struct WithAdapters<'a> {
    /// The weights of the model.
    pub base: &'a dyn WeightSource,
    /// The adapters, of which the last that has a module gives it.
    pub adapters: &'a [Adapter],
}

impl WeightSource for WithAdapters<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let saved = saved_names(name);
        for adapter in self.adapters.iter().rev() {
            if let Some(saved) = saved.iter().find(|saved| adapter.weights.has(saved)) {
                return adapter.weights.tensor(saved, shape);
            }
        }
        self.base.tensor(name, shape)
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        let replaced = saved_names(name);
        let saved = |adapter: &Adapter| replaced.iter().any(|name| adapter.weights.has(name));
        if self.adapters.iter().any(saved) {
            return self.tensor(name, shape);
        }
        self.base.norm_weight(name, shape, one_plus)
    }

    /// What an adapter replaces is dense.
    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        let replaced = saved_names(name);
        let replaces = |adapter: &Adapter| replaced.iter().any(|name| adapter.weights.has(name));
        if self.adapters.iter().any(replaces) { Ok(None) } else { self.base.quantised(name, dims) }
    }

    /// PEFT trains a copy of a module: what is tied stays the base model's on the other side.
    fn untied_head(&self, head: &str, table: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let saved = |name: &str| {
            let names = saved_names(name);
            self.adapters.iter().any(|adapter| names.iter().any(|name| adapter.weights.has(name)))
        };
        if saved(head) {
            return self.tensor(head, shape).map(Some);
        }
        saved(table).then(|| self.base.tensor(table, shape)).transpose()
    }

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        self.base.check_read(spec, names)
    }
}

/// The names under which PEFT may have saved a parameter whole; a bias stays within the layer that it wraps.
fn saved_names(name: &str) -> [String; 2] {
    let (module, part) = name.rsplit_once('.').unwrap_or(("", name));
    [format!("{PREFIX}{name}"), format!("{PREFIX}{module}.base_layer.{part}")]
}

fn magnitude(module: &str) -> String {
    format!("{PREFIX}{module}.lora_magnitude_vector")
}

/// Writes a decoder's adapter: all updates, and modules that are trained whole.
///
/// # Errors
/// If a file cannot be written.
pub fn save_adapter(decoder: &Decoder, config: &AdapterConfig, folder: &Path) -> Result<()> {
    let beside: BTreeSet<_> = decoder.adapter.params().map(|param| param.id).collect();
    let updates = decoder.updates().flat_map(|(_, update)| update.params().cloned());
    let whole = decoder.trainable().into_iter().filter(|param| !beside.contains(&param.id));
    let saved = updates.chain(whole).map(|param| (format!("{PREFIX}{}", param.name), param.tensor.clone()));
    save_tensors(&saved.collect::<Vec<_>>(), &folder.join(WEIGHTS))?;
    let transposed = decoder.updates().any(|(linear, _)| linear.transposed);
    write_json(&folder.join(CONFIG), &config.to_json(transposed))
}

/// Whether a folder holds an adapter.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists()
}
