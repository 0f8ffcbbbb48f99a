//! LoRA adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.

mod config;
mod modules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::autograd::Param;
use crate::families::Config;
use crate::model::{Decoder, WeightSource};
use crate::ops::Linear;
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
    pub folder: PathBuf,
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

    /// (A, B, scale) of a linear map, if the adapter has an update for it. One with magnitudes (DoRA) has none left:
    /// it is part of the weights that [`WithAdapters`] gives.
    ///
    /// # Errors
    /// If the adapter has one half of an update alone, or one of another shape than the map's.
    pub fn update(&self, linear: &Linear) -> Result<Option<(Tensor, Tensor, f32)>> {
        if self.config.dora {
            return Ok(None);
        }
        self.low_rank(&linear.name, linear.out_dim(), linear.in_dim())
    }

    fn low_rank(&self, module: &str, out: usize, dim: usize) -> Result<Option<(Tensor, Tensor, f32)>> {
        let name = |part: &str| format!("{PREFIX}{module}.lora_{part}.weight");
        if !self.weights.has(&name("A")) {
            return Ok(None);
        }
        let rank = self.config.rank_of(module);
        let a = self.weights.tensor(&name("A"), &[rank, dim])?.to_dtype(DType::F32)?;
        let b = self.weights.tensor(&name("B"), &[out, rank])?.to_dtype(DType::F32)?;
        Ok(Some((a, b, self.config.scale_of(module) as f32)))
    }

    /// What was saved of a parameter that is trained: a low-rank matrix, or a weight of a module saved whole.
    ///
    /// # Errors
    /// If the adapter holds nothing of it, or something of another shape.
    pub fn trained(&self, param: &Param) -> Result<Tensor> {
        self.weights.tensor(&format!("{PREFIX}{}", param.name), param.tensor.dims())
    }

    /// Refuses to train on magnitudes or biases, which the low-rank update alone would leave out.
    ///
    /// # Errors
    /// If this is a DoRA adapter, or one with biases.
    pub fn check_trainable(&self) -> Result<()> {
        let what = match &self.config {
            config if config.dora => "`use_dora` is true",
            config if config.biases => "`bias` is not `none`",
            _ => return Ok(()),
        };
        let message = format!(
            "{what}: such an adapter can be merged and talked to, but not trained on; export it into the model, or \
             set create_new_adapter"
        );
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
        let parts = |module: &str| ["A", "B"].map(|part| format!("{PREFIX}{module}.lora_{part}.weight"));
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

/// The weights of a base model with what adapters put in their place: modules saved whole, and the products of
/// direction and magnitude of a DoRA adapter.
pub struct WithAdapters<'a> {
    base: &'a dyn WeightSource,
    adapters: &'a [Adapter],
}

impl<'a> WithAdapters<'a> {
    /// # Errors
    /// If a DoRA adapter lies on top of another: its magnitudes are those of the merged weight, which is not
    /// known while weights are read.
    pub fn new(base: &'a dyn WeightSource, adapters: &'a [Adapter]) -> Result<Self> {
        if let Some(upper) = adapters.iter().skip(1).find(|adapter| adapter.config.dora) {
            let message = "`use_dora` is true, which is supported for the first of several adapters only; \
                           export the model with the adapters before it first";
            return Err(Error::file(upper.folder.join(CONFIG), message));
        }
        Ok(WithAdapters { base, adapters })
    }

    /// W' = m · (W + s·B·A) / ‖W + s·B·A‖ with the norm of each row (Liu et al. 2024, equation 5).
    fn with_magnitude(&self, module: &str, weight: Tensor) -> Result<Tensor> {
        let Some(adapter) = self.adapters.first().filter(|adapter| adapter.config.dora) else {
            return Ok(weight);
        };
        let Ok((out, dim)) = weight.dims2() else { return Ok(weight) };
        let Some((a, b, scale)) = adapter.low_rank(module, out, dim)? else { return Ok(weight) };
        let magnitude = adapter.weights.tensor(&magnitude(module), &[out])?.to_dtype(DType::F32)?;
        let direction = (weight.to_dtype(DType::F32)? + (b.matmul(&a)? * f64::from(scale))?)?;
        let norm = direction.sqr()?.sum_keepdim(1)?.sqrt()?;
        let merged = direction.broadcast_mul(&magnitude.unsqueeze(1)?.div(&norm)?)?;
        Ok(merged.to_dtype(weight.dtype())?)
    }
}

impl WeightSource for WithAdapters<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let saved = saved_names(name);
        for adapter in self.adapters.iter().rev() {
            if let Some(saved) = saved.iter().find(|saved| adapter.weights.has(saved)) {
                return adapter.weights.tensor(saved, shape);
            }
        }
        let tensor = self.base.tensor(name, shape)?;
        match name.strip_suffix(".weight") {
            Some(module) => self.with_magnitude(module, tensor),
            None => Ok(tensor),
        }
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        let replaced = saved_names(name);
        let saved = |adapter: &Adapter| replaced.iter().any(|name| adapter.weights.has(name));
        if self.adapters.iter().any(saved) {
            return self.tensor(name, shape);
        }
        self.base.norm_weight(name, shape, one_plus)
    }

    /// What an adapter replaces, or scales by its magnitudes, is dense.
    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        let replaced = saved_names(name);
        let replaces = |adapter: &Adapter| {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            replaced.iter().any(|name| adapter.weights.has(name)) || adapter.weights.has(&magnitude(module))
        };
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

    fn check_read(&self, decoder: &Decoder) -> Result<()> {
        self.base.check_read(decoder)
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

/// Writes a decoder's adapter: all low-rank matrices, and modules that are trained whole.
///
/// # Errors
/// If a file cannot be written.
pub fn save_adapter(decoder: &Decoder, config: &AdapterConfig, folder: &Path) -> Result<()> {
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for linear in decoder.linears() {
        if let Some(lora) = &linear.lora {
            tensors.push((format!("{PREFIX}{}.lora_A.weight", linear.name), lora.a.tensor.clone()));
            tensors.push((format!("{PREFIX}{}.lora_B.weight", linear.name), lora.b.tensor.clone()));
        }
    }
    let low_rank: BTreeSet<_> = decoder
        .linears()
        .filter_map(|linear| linear.lora.as_ref())
        .flat_map(|lora| [lora.a.id, lora.b.id])
        .collect();
    for param in decoder.trainable() {
        if !low_rank.contains(&param.id) {
            tensors.push((format!("{PREFIX}{}", param.name), param.tensor.clone()));
        }
    }
    save_tensors(&tensors, &folder.join(WEIGHTS))?;
    let transposed = decoder.linears().any(|linear| linear.lora.is_some() && linear.transposed);
    write_json(&folder.join(CONFIG), &config.to_json(transposed))
}

/// Whether a folder holds an adapter.
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(CONFIG).exists()
}
