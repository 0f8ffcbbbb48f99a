//! A model folder in Hugging Face layout: one safetensors file, or shards with an index.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::TensorView;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::check_shape;
use super::mapped::Mapped;
use super::names::Names;
use super::unread::first_unread;
use crate::families::DecoderSpec;
use crate::model::WeightSource;
use crate::quant::{Parts, QuantizedWeight, Scheme};
use crate::{Error, Result, files};

/// Tensors of a folder, memory-mapped.
pub struct FolderSource {
    folder: PathBuf,
    files: Vec<(PathBuf, Mapped)>,
    /// Which file holds a tensor.
    places: HashMap<String, usize>,
    /// How the checkpoint calls the model's tensors.
    called: Names,
    /// A tensor that is not stored, and the one that it is tied to.
    instead: Option<(String, String)>,
    /// How linear maps are packed, if some are.
    scheme: Option<Scheme>,
}

impl FolderSource {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists, of a model whose token
    /// table is the module `table`.
    ///
    /// # Errors
    /// If a file cannot be read, is no safetensors file, or the index names one that is missing.
    pub fn open(folder: &Path, table: &str) -> Result<FolderSource> {
        let mut source = FolderSource::new(folder);
        for path in weight_files(folder)? {
            source.add(path)?;
        }
        source.called = Names::find(table, |name| source.has(name));
        Ok(source)
    }

    /// Linear maps are packed as the configuration says.
    pub fn packed_by(self, scheme: Option<Scheme>) -> FolderSource {
        FolderSource { scheme, ..self }
    }

    fn new(folder: &Path) -> FolderSource {
        let folder = folder.to_owned();
        FolderSource {
            folder,
            files: Vec::new(),
            places: HashMap::new(),
            called: Names::default(),
            instead: None,
            scheme: None,
        }
    }

    /// Opens a single safetensors file.
    ///
    /// # Errors
    /// If it cannot be read or is no safetensors file.
    pub fn file(path: &Path) -> Result<FolderSource> {
        let mut source = FolderSource::new(path.parent().unwrap_or(Path::new("")));
        source.add(path.to_owned())?;
        Ok(source)
    }

    fn add(&mut self, path: PathBuf) -> Result<()> {
        refuse_pickle(&path)?;
        refuse_twice(&path)?;
        let mapped = Mapped::open(&path)?;
        for name in mapped.names() {
            self.places.insert(name, self.files.len());
        }
        self.files.push((path, mapped));
        Ok(())
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether two tensors of the model are stored, and differ; in place, as they may be large.
    pub fn differ(&self, one: &str, other: &str) -> bool {
        let stored = [one, other].map(|name| self.view(&self.called.of(name)));
        let [Some(one), Some(other)] = stored else { return false };
        let is_other =
            (one.dtype(), one.shape()) != (other.dtype(), other.shape()) || one.data() != other.data();
        self.release();
        is_other
    }

    /// Gives back the memory of what was read of the files.
    fn release(&self) {
        self.files.iter().for_each(|(_, file)| file.release());
    }

    /// Reads `other` where the model asks for `name`, if that is not stored and `other` is.
    pub fn stand_in(&mut self, name: &str, other: &str) {
        let [stored, other] = [name, other].map(|name| self.called.of(name));
        if let (false, Some(place)) = (self.has(&stored), self.places.get(&other)) {
            self.places.insert(stored.clone(), *place);
            self.instead = Some((stored, other));
        }
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.places.keys().cloned().collect();
        names.sort();
        names
    }

    /// A tensor of any shape.
    ///
    /// # Errors
    /// If there is no such tensor, or its type is not supported.
    pub fn load(&self, name: &str) -> Result<(Tensor, &Path)> {
        let Some((path, file)) = self.places.get(name).map(|index| &self.files[*index]) else {
            let message = format!("has no tensor `{name}`, which the configuration asks for");
            let place = match &self.files[..] {
                [(path, _)] => path,
                _ => &self.folder,
            };
            return Err(Error::file(place, message));
        };
        let stored = self.instead.as_ref().filter(|(missing, _)| missing == name);
        let view = file.view(stored.map_or(name, |(_, stored)| stored));
        let view = view.ok_or_else(|| Error::file(path, format!("tensor `{name}` cannot be read")))?;
        let tensor = view.load(&Device::Cpu);
        let tensor = tensor.map_err(|error| Error::file(path, format!("tensor `{name}`: {error}")))?;
        file.release();
        Ok((tensor, path))
    }
}

impl FolderSource {
    /// The view of a stored tensor.
    fn view(&self, name: &str) -> Option<TensorView<'_>> {
        self.places.get(name).and_then(|index| self.files[*index].1.view(name))
    }

    /// The weight [out, dim] of a linear map, if it is packed.
    fn packed(&self, name: &str, (out, dim): (usize, usize)) -> Result<Option<Box<dyn QuantizedWeight>>> {
        let (Some(scheme), Some(module)) = (&self.scheme, name.strip_suffix(".weight")) else {
            return Ok(None);
        };
        let find = |suffix: &str| self.view(&self.called.of(&format!("{module}.{suffix}")));
        let parts = Parts { module, origin: &self.folder, find: &find };
        if !scheme.packs(&parts) {
            return Ok(None);
        }
        let weight = scheme.load(&parts, out, dim)?;
        self.release();
        Ok(Some(weight))
    }

    /// Quantisers write a bias of zeros for a map that has none.
    fn is_void(&self, name: &str) -> bool {
        let zeros = |bias: TensorView| bias.data().iter().all(|byte| *byte == 0);
        self.scheme.is_some() && name.ends_with(".bias") && self.view(name).is_some_and(zeros)
    }
}

impl WeightSource for FolderSource {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        if let [out, dim] = *shape
            && let Some(weight) = self.packed(name, (out, dim))?
        {
            return weight.dequantize();
        }
        let name = &self.called.of(name);
        let (tensor, path) = self.load(name)?;
        if ![DType::F32, DType::F16, DType::BF16].contains(&tensor.dtype()) {
            let message = format!(
                "tensor `{name}` is stored as {:?}; supported are F32, F16 and BF16, and quantised weights that \
                 `quantization_config` in config.json describes",
                tensor.dtype()
            );
            return Err(Error::file(path, message));
        }
        check_shape(path, name, tensor, shape)
    }

    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        Ok(self.packed(name, dims)?.map(Arc::from))
    }

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        let rank = |name: &str| self.view(name).map_or(0, |tensor| tensor.shape().len());
        let mut stored = self.names();
        stored.retain(|name| !self.is_void(name));
        let Some(name) = first_unread((spec, names), |name| self.called.of(name), &stored, rank) else {
            return Ok(());
        };
        let message = format!(
            "has the tensor `{name}`, which the model that config.json describes does not: a key in it is wrong or \
             missing, or its `model_type`"
        );
        Err(Error::file(&self.files[self.places[name]].0, message))
    }
}

const PICKLE: &str = "is a pickle, which can run any code when it is read; convert the model to safetensors first \
                      (transformers: `model.save_pretrained(folder)`)";

/// Bytes of the longest header that the format allows.
const LONGEST_HEADER: u64 = 100_000_000;

/// Endings of torch's own files.
const PICKLED: [&str; 4] = ["bin", "pt", "pth", "ckpt"];

/// Torch's files are recognised under any name: a zip archive, or a bare pickle of protocol 2 and later.
pub(super) fn refuse_pickle(path: &Path) -> Result<()> {
    let mut start = [0; 9];
    let mut file = files::open(path).map_err(|error| Error::io(path, error))?;
    let read = std::io::Read::read(&mut file, &mut start).map_err(|error| Error::io(path, error))?;
    match &start[..read] {
        // A safetensors file: eight bytes of length, then JSON.
        [_, _, _, _, _, _, _, _, b'{'] => Ok(()),
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => Err(Error::file(path, PICKLE)),
        _ if is_pickled(path) => Err(Error::file(path, PICKLE)),
        _ => Ok(()),
    }
}

/// Refuses a file that has a name twice in its header, of which the reader would take either.
fn refuse_twice(path: &Path) -> Result<()> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of tensors")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Self::Value, A::Error> {
            let (mut names, mut twice) = (HashSet::new(), None);
            while let Some((name, _)) = entries.next_entry::<String, IgnoredAny>()? {
                if names.contains(&name) {
                    twice = Some(name);
                } else {
                    names.insert(name);
                }
            }
            Ok(twice)
        }
    }
    let io = |error| Error::io(path, error);
    let mut file = files::open(path).map_err(io)?;
    let (mut length, mut header) = ([0; 8], Vec::new());
    // What is no such file at all is refused by its reader.
    if file.read_exact(&mut length).is_err() {
        return Ok(());
    }
    let length = u64::from_le_bytes(length).min(LONGEST_HEADER);
    file.take(length).read_to_end(&mut header).map_err(io)?;
    let names = serde_json::Deserializer::from_slice(&header).deserialize_map(Names);
    match names.ok().flatten() {
        Some(name) => Err(Error::file(path, format!("has the tensor `{name}` twice"))),
        None => Ok(()),
    }
}

fn is_pickled(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    PICKLED.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// The first of torch's files in a folder that may hold weights, by name.
fn pickle_in(folder: &Path) -> Option<PathBuf> {
    let no_weights = ["training_args.bin", "optimizer.pt", "scheduler.pt"];
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let weights = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "pytorch_model.bin.index.json" || is_pickled(path) && !no_weights.contains(&name)
    };
    files.filter(weights).min()
}

fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = folder.join("model.safetensors.index.json");
    if index.exists() {
        return shards(folder, &index);
    }
    if let Some(pickle) = pickle_in(folder) {
        return Err(Error::file(pickle, PICKLE));
    }
    Err(Error::file(
        folder,
        "has no weights: neither model.safetensors nor model.safetensors.index.json is there",
    ))
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let text = files::read_text(index, files::SETTINGS).map_err(|error| Error::io(index, error))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Error::file(index, format!("is not valid JSON: {error}")))?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::file(index, "has no object `weight_map`"))?;
    let mut names = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| !name.contains(['/', '\\']) && *name != "..");
        let name = name.ok_or_else(|| {
            Error::file(index, format!("`weight_map.{tensor}` must name a file in this folder, found {file}"))
        })?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
