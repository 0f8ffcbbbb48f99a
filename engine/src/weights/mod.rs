//! Reading and writing checkpoints.

mod atomic;
mod expand;
mod folder;
mod gguf;
mod grown;
mod initial;
mod load;
mod loftq;
mod mapped;
mod measured;
mod names;
mod remade;
mod routed;
mod save;
mod stop;
mod unread;

pub use atomic::{clear_partial, replace_folder, write_atomic, write_beside};
pub use expand::expand;
pub use folder::FolderSource;
pub use gguf::{GgufFile, GgufSource, is_later_part};
pub use grown::Growth;
pub use initial::InitialSource;
pub(crate) use load::GENERATION_CONFIG;
pub use load::{ModelFiles, open};
pub use loftq::{ADAPTERS, LoftQ, loftq};
pub use measured::measured;
pub use save::{save_model, save_tensors, write_json};

use std::path::Path;

use candle_core::Tensor;

use crate::{Error, Result};

/// Refuses a tensor of another shape than the configuration asks for.
fn check_shape(path: &Path, name: &str, tensor: Tensor, shape: &[usize]) -> Result<Tensor> {
    if tensor.dims() == shape {
        return Ok(tensor);
    }
    let message =
        format!("tensor `{name}` has shape {:?}; by the configuration it should be {shape:?}", tensor.dims());
    Err(Error::file(path, message))
}
