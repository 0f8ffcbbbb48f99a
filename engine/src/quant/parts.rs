//! The stored tensors of one linear map, read by type and checked by shape.

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::{Error, Result};

/// Finds the tensors of a module by what follows its name, as in `q_proj.` + `qweight`.
pub struct Parts<'a> {
    /// The module, for messages.
    pub module: &'a str,
    /// The file or folder, for messages.
    pub origin: &'a std::path::Path,
    /// The tensor of a name, if there is one.
    pub find: &'a dyn Fn(&str) -> Option<TensorView<'a>>,
}

impl<'a> Parts<'a> {
    /// Whether the module has this tensor.
    pub fn has(&self, suffix: &str) -> bool {
        (self.find)(suffix).is_some()
    }

    pub(super) fn error(&self, suffix: &str, message: impl std::fmt::Display) -> Error {
        Error::file(self.origin, format!("tensor `{}.{suffix}` {message}", self.module))
    }

    pub(super) fn get(&self, suffix: &str) -> Result<TensorView<'a>> {
        (self.find)(suffix).ok_or_else(|| self.error(suffix, "is missing; the weight is packed with it"))
    }

    fn shaped(&self, suffix: &str, shape: &[usize]) -> Result<TensorView<'a>> {
        let tensor = self.get(suffix)?;
        if tensor.shape() == shape {
            return Ok(tensor);
        }
        Err(self.error(suffix, format!("has shape {:?}; it should be {shape:?}", tensor.shape())))
    }

    /// A floating-point tensor of any shape, widened.
    pub(super) fn floats(&self, suffix: &str) -> Result<Vec<f32>> {
        let tensor = self.get(suffix)?;
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => Ok(values(data, f32::from_le_bytes)),
            Dtype::F16 => Ok(values(data, |bytes| f16::from_le_bytes(bytes).to_f32())),
            Dtype::BF16 => Ok(values(data, |bytes| bf16::from_le_bytes(bytes).to_f32())),
            other => {
                Err(self.error(suffix, format!("is stored as {other:?}; it should be F32, F16 or BF16")))
            }
        }
    }

    /// A floating-point tensor of a known shape.
    pub(super) fn floats_of(&self, suffix: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.shaped(suffix, shape)?;
        self.floats(suffix)
    }

    /// 32-bit words, whose bits hold packed numbers.
    pub(super) fn words(&self, suffix: &str, shape: &[usize]) -> Result<Vec<u32>> {
        let tensor = self.shaped(suffix, shape)?;
        match tensor.dtype() {
            Dtype::I32 | Dtype::U32 => Ok(values(tensor.data(), u32::from_le_bytes)),
            other => Err(self.error(suffix, format!("is stored as {other:?}; it should be I32"))),
        }
    }

    /// Whole numbers of 8 to 32 bits, sign-extended.
    pub(super) fn integers(&self, suffix: &str, shape: &[usize]) -> Result<Vec<i32>> {
        let tensor = self.shaped(suffix, shape)?;
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::I8 => Ok(values(data, |bytes| i32::from(i8::from_le_bytes(bytes)))),
            Dtype::I16 => Ok(values(data, |bytes| i32::from(i16::from_le_bytes(bytes)))),
            Dtype::I32 => Ok(values(data, i32::from_le_bytes)),
            other => Err(self.error(suffix, format!("is stored as {other:?}; it should be I8, I16 or I32"))),
        }
    }

    /// Plain bytes.
    pub(super) fn bytes(&self, suffix: &str) -> Result<Vec<u8>> {
        let tensor = self.get(suffix)?;
        match tensor.dtype() {
            Dtype::U8 | Dtype::I8 => Ok(tensor.data().to_vec()),
            other => Err(self.error(suffix, format!("is stored as {other:?}; it should be U8 or I8"))),
        }
    }
}

fn values<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}
