//! Writes a model in Hugging Face layout.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, View};
use serde_json::{Value, json};

use super::{write_atomic, write_beside};
use crate::autograd::Param;
use crate::model::Decoder;
use crate::{Error, Result};

/// Largest shard, as transformers writes them.
const SHARD_BYTES: usize = 5_000_000_000;

/// Writes weights (in `dtype`, sharded where large) and `config.json` into a folder.
///
/// # Errors
/// With the file that cannot be written.
pub fn save_model(
    decoder: &Decoder,
    config: &serde_json::Map<String, Value>,
    dtype: DType,
    folder: &Path,
) -> Result<()> {
    let params = decoder.params().into_iter().chain(decoder.buffers().cloned());
    let size = |param: &Arc<Param>| param.len() * dtype.size_in_bytes();
    let mut shards: Vec<Vec<Arc<Param>>> = vec![Vec::new()];
    let mut used = 0;
    for param in params {
        if used > 0 && used + size(&param) > SHARD_BYTES {
            shards.push(Vec::new());
            used = 0;
        }
        used += size(&param);
        if let Some(shard) = shards.last_mut() {
            shard.push(param);
        }
    }
    write_shards(&shards, dtype, folder)?;
    let mut config = config.clone();
    let dtype_name = match dtype {
        DType::BF16 => "bfloat16",
        DType::F16 => "float16",
        _ => "float32",
    };
    // Its newer name is in what transformers 5 wrote.
    let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    config.insert(key.to_owned(), json!(dtype_name));
    write_json(&folder.join("config.json"), &Value::Object(config))
}

fn write_shards(shards: &[Vec<Arc<Param>>], dtype: DType, folder: &Path) -> Result<()> {
    let mut map = BTreeMap::new();
    let mut total = 0;
    for (index, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
        };
        for param in shard {
            map.insert(param.name.clone(), name.clone());
            total += param.len() * dtype.size_in_bytes();
        }
        let failed = RefCell::default();
        let written = |param: &Arc<Param>| {
            (param.name.clone(), Written { tensor: param.tensor.clone(), dtype, failed: &failed })
        };
        save_views(shard.iter().map(written), &failed, &folder.join(&name))?;
    }
    if shards.len() > 1 {
        let index = json!({"metadata": {"total_size": total}, "weight_map": map});
        write_json(&folder.join("model.safetensors.index.json"), &index)?;
    }
    Ok(())
}

/// Writes a safetensors file whose header says `format: pt`, which transformers insists on.
///
/// # Errors
/// With the file, if it cannot be written or a tensor not be read.
pub fn save_tensors(tensors: &[(String, Tensor)], path: &Path) -> Result<()> {
    let failed = RefCell::default();
    let views = tensors.iter().map(|(name, tensor)| {
        (name.as_str(), Written { tensor: tensor.clone(), dtype: tensor.dtype(), failed: &failed })
    });
    save_views(views, &failed, path)
}

/// A tensor as it is written: converted when its turn comes, for all of a model's at once would be the model once more.
struct Written<'a> {
    tensor: Tensor,
    dtype: DType,
    /// The first conversion that failed.
    failed: &'a RefCell<Option<candle_core::Error>>,
}

impl View for Written<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype.into()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let converted = self.tensor.to_dtype(self.dtype).and_then(|tensor| tensor.to_device(&Device::Cpu));
        match converted {
            Ok(tensor) => Cow::Owned(View::data(&tensor).into_owned()),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
                Cow::Owned(vec![0; self.data_len()])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.tensor.elem_count() * self.dtype.size_in_bytes()
    }
}

fn save_views<'a, S: AsRef<str> + Ord + Display>(
    views: impl Iterator<Item = (S, Written<'a>)>,
    failed: &RefCell<Option<candle_core::Error>>,
    path: &Path,
) -> Result<()> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_beside(path, |file| {
        safetensors::serialize_to_file(views, Some(metadata), file)
            .map_err(|error| Error::file(path, format!("could not be written: {error}")))?;
        failed.take().map_or(Ok(()), |error| Err(Error::from(error)))?;
        readable(file)
    })
}

/// The file comes from a temporary one, which only its owner may read; weights are for other tools too.
#[cfg(unix)]
fn readable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, mode).map_err(|error| Error::io(path, error))
}

#[cfg(not(unix))]
fn readable(_path: &Path) -> Result<()> {
    Ok(())
}

/// Writes indented JSON.
///
/// # Errors
/// With the path, if it cannot be written.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::file(path, error.to_string()))?;
    write_atomic(path, (text + "\n").as_bytes())
}
