//! Writes a model in Hugging Face layout.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};
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
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for param in shard {
            map.insert(param.name.clone(), name.clone());
            total += param.len() * dtype.size_in_bytes();
            tensors.push((param.name.clone(), param.tensor.to_dtype(dtype)?));
        }
        save_tensors(&tensors, &folder.join(&name))?;
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
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let views = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    write_beside(path, |file| {
        safetensors::serialize_to_file(views, Some(metadata), file)
            .map_err(|error| Error::file(path, format!("could not be written: {error}")))?;
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
