//! Named weights, trainable or frozen.

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Tensor};

use crate::Result;

/// Identifies a parameter within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(usize);

/// A weight of a model or of an adapter.
///
/// A trainable one is f32, or bf16 where that is asked for, and is changed in place by the optimiser; a frozen one keeps
/// the type it is stored in.
#[derive(Debug)]
pub struct Param {
    /// What tells it from all others of the process.
    pub id: ParamId,
    /// Full name in the checkpoint, e.g. `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Its values.
    pub tensor: Tensor,
    /// Whether the optimiser may move it.
    pub trainable: bool,
}

impl Param {
    /// # Errors
    /// If a trainable tensor cannot be converted to f32.
    pub fn new(name: impl Into<String>, tensor: Tensor, trainable: bool) -> Result<Self> {
        let tensor = if trainable { tensor.to_dtype(DType::F32)? } else { tensor };
        Self::of(name.into(), tensor, trainable)
    }

    /// A trainable one in bf16.
    ///
    /// # Errors
    /// If the tensor cannot be converted to bf16.
    pub fn narrow(name: impl Into<String>, tensor: Tensor) -> Result<Self> {
        Self::of(name.into(), tensor.to_dtype(DType::BF16)?, true)
    }

    fn of(name: String, tensor: Tensor, trainable: bool) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = ParamId(NEXT.fetch_add(1, Ordering::Relaxed));
        Ok(Param { id, name, tensor: tensor.contiguous()?, trainable })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.tensor.elem_count()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the values, widened to f32.
    ///
    /// # Errors
    /// If the values cannot be widened.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        Ok(self.tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}
