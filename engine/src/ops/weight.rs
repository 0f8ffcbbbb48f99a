//! The matrix of a linear map or of a token table: a dense parameter, or a frozen one that stays as it is packed.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::Result;
use crate::autograd::{Param, ParamId, Weights};
use crate::device;
use crate::kernel::gemm::{Elements, MatMut, MatRef, Options, product};
use crate::kernel::uninit;
use crate::quant::{self, QuantizedWeight};
use crate::tensor::{from_vec, view};

/// A matrix [out, in].
#[derive(Clone, Debug)]
pub enum Weight {
    /// What follows the first dimension counts as one.
    Dense(Arc<Param>),
    /// It is frozen, on the CPU, and no parameter of the model: nothing asks it for a gradient, moves or saves it.
    Quantised(Arc<dyn QuantizedWeight>),
}

impl From<Arc<Param>> for Weight {
    fn from(param: Arc<Param>) -> Weight {
        Weight::Dense(param)
    }
}

impl Weight {
    /// The parameter, if it is one.
    pub fn param(&self) -> Option<&Arc<Param>> {
        match self {
            Weight::Dense(param) => Some(param),
            Weight::Quantised(_) => None,
        }
    }

    /// The parameter, if it trains.
    pub fn trained(&self) -> Option<&Arc<Param>> {
        self.param().filter(|param| param.trainable)
    }

    /// Rows and columns of the matrix, as it is stored.
    pub fn dims(&self) -> (usize, usize) {
        match self {
            Weight::Dense(param) => {
                let rows = param.tensor.dims()[0];
                (rows, param.len() / rows)
            }
            Weight::Quantised(weight) => weight.dims(),
        }
    }

    /// Elements of the matrix, however they are stored.
    pub fn len(&self) -> usize {
        let (rows, columns) = self.dims();
        rows * columns
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        match self {
            Weight::Dense(param) => param.len() * param.tensor.dtype().size_in_bytes(),
            Weight::Quantised(weight) => weight.bytes(),
        }
    }

    /// Where it is.
    pub fn device(&self) -> &Device {
        match self {
            Weight::Dense(param) => param.tensor.device(),
            Weight::Quantised(_) => &Device::Cpu,
        }
    }

    /// Whether operations on it run on the hand-written kernels.
    pub(super) fn has_kernels(&self) -> bool {
        device::has_kernels_on(self.device())
    }

    /// What tells weights apart that are shared by several maps.
    pub(crate) fn identity(&self) -> Identity {
        match self {
            Weight::Dense(param) => Identity::Param(param.id),
            Weight::Quantised(weight) => Identity::Quantised(Arc::as_ptr(weight).cast::<()>() as usize),
        }
    }

    /// The matrix as a tensor that candle may differentiate by: a parameter as it is, a quantised one in f32.
    pub(super) fn tensor(&self, weights: &Weights) -> Result<Tensor> {
        match self {
            Weight::Dense(param) => weights.read(param),
            Weight::Quantised(weight) => weight.dequantize(),
        }
    }

    /// The same in f32, without a gradient.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn widened(&self) -> Result<Tensor> {
        self.tensor(&Weights::fixed())
    }

    /// Rows by their numbers, one behind the other, in f32.
    ///
    /// # Panics
    /// If a number is beyond the last row, or `out` has another length.
    pub(super) fn rows(&self, rows: &[u32], out: &mut [f32]) -> Result<()> {
        let (_, width) = self.dims();
        let places = rows.iter().map(|row| *row as usize).zip(out.chunks_exact_mut(width));
        match self {
            Weight::Dense(param) => {
                let table = view(&param.tensor)?;
                let table = table.elements()?;
                places.for_each(|(row, out)| table.copy_to(row * width, out));
            }
            Weight::Quantised(weight) => {
                places.for_each(|(row, out)| weight.dequantize_rows(row..row + 1, out))
            }
        }
        Ok(())
    }

    /// Rows by their numbers as a tensor.
    pub(super) fn plain_rows(&self, rows: &[u32]) -> Result<Tensor> {
        match self {
            Weight::Dense(param) => {
                let index = Tensor::new(rows, param.tensor.device())?;
                Ok(param.tensor.index_select(&index, 0)?.to_dtype(DType::F32)?)
            }
            Weight::Quantised(weight) => {
                let (_, width) = weight.dims();
                let mut values = uninit(rows.len() * width);
                self.rows(rows, &mut values)?;
                from_vec(values, (rows.len(), width))
            }
        }
    }
}

/// Equal for the same weight in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Param(ParamId),
    Quantised(usize),
}

/// A weight's products with rows.
pub(super) struct Products<'a> {
    pub weight: &'a Weight,
    /// A dense one is stored as [in, out].
    pub transposed: bool,
    /// Other threads work on other rows: products stay on this one.
    pub alone: bool,
}

impl Products<'_> {
    /// C ← [C +] A·Wᵀ [+ A₂·B₂]
    pub(super) fn by_transposed(&self, c: MatMut, a: MatRef, options: Options) -> Result<()> {
        match self.weight {
            Weight::Dense(param) => {
                let weight = view(&param.tensor)?;
                product(c, a, self.matrix(weight.elements()?).t(), options, self.alone);
            }
            Weight::Quantised(weight) => quant::by_transposed(c, a, weight.as_ref(), options, self.alone),
        }
        Ok(())
    }

    /// C ← [C +] A·W [+ A₂·B₂]
    pub(super) fn by(&self, c: MatMut, a: MatRef, options: Options) -> Result<()> {
        match self.weight {
            Weight::Dense(param) => {
                let weight = view(&param.tensor)?;
                product(c, a, self.matrix(weight.elements()?), options, self.alone);
            }
            Weight::Quantised(weight) => quant::by(c, a, weight.as_ref(), options, self.alone),
        }
        Ok(())
    }

    /// A dense weight as [out, in].
    fn matrix<'e>(&self, elements: Elements<'e>) -> MatRef<'e> {
        let (rows, columns) = self.weight.dims();
        let stored = MatRef::new(elements, rows, columns, columns);
        if self.transposed { stored.t() } else { stored }
    }
}
