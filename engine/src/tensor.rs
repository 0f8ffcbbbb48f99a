//! Slices of candle tensors on the CPU, to read and to write in place.

use std::sync::Mutex;

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Shape, Storage, Tensor};

use parking_lot::RwLockReadGuard;

use crate::device::is_plain;
use crate::kernel::gemm::Elements;
use crate::{Error, Result};

/// A read lock on a contiguous CPU tensor.
pub struct View<'a> {
    storage: RwLockReadGuard<'a, Storage>,
    start: usize,
    end: usize,
}

/// Locks a tensor for reading.
///
/// # Errors
/// If the tensor is not contiguous or not on the CPU, or plain operations are asked for.
pub fn view(tensor: &Tensor) -> Result<View<'_>> {
    refuse_plain()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(internal(format!("a tensor of shape {:?} is not contiguous", tensor.dims())));
    };
    Ok(View { storage, start, end })
}

/// Plain operations on the CPU stand for another device: what would fail there fails with them.
fn refuse_plain() -> Result<()> {
    if is_plain() { Err(internal("a kernel was called among plain operations".to_owned())) } else { Ok(()) }
}

fn internal(message: String) -> Error {
    Error::Tensor(candle_core::Error::Msg(message))
}

impl View<'_> {
    fn cpu(&self) -> Result<&CpuStorage> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(storage),
            _ => Err(internal("this kernel runs on the CPU only".to_owned())),
        }
    }

    /// The elements of an f32 tensor.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn f32(&self) -> Result<&[f32]> {
        match self.cpu()? {
            CpuStorage::F32(data) => Ok(&data[self.start..self.end]),
            other => Err(internal(format!("expected an f32 tensor, found {:?}", dtype_of(other)))),
        }
    }

    /// The elements of a floating-point tensor, as stored.
    ///
    /// # Errors
    /// If it holds whole numbers, or floats of a type without kernels.
    pub fn elements(&self) -> Result<Elements<'_>> {
        match self.cpu()? {
            CpuStorage::F32(data) => Ok(Elements::F32(&data[self.start..self.end])),
            CpuStorage::BF16(data) => Ok(Elements::Bf16(&data[self.start..self.end])),
            CpuStorage::F16(data) => Ok(Elements::F16(&data[self.start..self.end])),
            other => Err(internal(format!("expected f32, bf16 or f16, found {:?}", dtype_of(other)))),
        }
    }
}

fn dtype_of(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// A CPU tensor from a buffer, without a copy.
///
/// # Errors
/// If the shape has another number of elements.
pub fn from_vec(data: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(data, shape.into(), &Device::Cpu)?)
}

/// Changes a contiguous f32 CPU tensor in place.
///
/// All clones of the tensor see the change: the caller must be their only reader.
///
/// # Errors
/// If it is not such a tensor.
pub fn mutate<R: Send>(tensor: &Tensor, change: impl FnOnce(&mut [f32]) -> R + Send) -> Result<R> {
    struct Change<F, R>(Mutex<(Option<F>, Option<R>)>);
    impl<F: FnOnce(&mut [f32]) -> R, R> InplaceOp1 for Change<F, R> {
        fn name(&self) -> &'static str {
            "mutate"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
            let Some((start, end)) = layout.contiguous_offsets() else {
                candle_core::bail!("a tensor that is changed in place must be contiguous")
            };
            let CpuStorage::F32(data) = storage else {
                candle_core::bail!("a tensor that is changed in place must be f32")
            };
            let mut slot = self.0.lock().map_err(|_| candle_core::Error::Msg("poisoned".to_owned()))?;
            if let Some(change) = slot.0.take() {
                slot.1 = Some(change(&mut data[start..end]));
            }
            Ok(())
        }
    }
    refuse_plain()?;
    let op = Change(Mutex::new((Some(change), None)));
    tensor.inplace_op1(&op)?;
    let result = op.0.into_inner().ok().and_then(|slot| slot.1);
    result.ok_or_else(|| internal("an in-place change did not run".to_owned()))
}
