//! Where tensors live and operations run.
//!
//! Every operation has hand-written kernels for the CPU. On other devices the same operation runs as plain
//! candle operations; [`has_kernels`] is the one place that tells which.

use std::cell::Cell;

use candle_core::{Device, Tensor};

use crate::memory;

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// Whether operations on a tensor run on the hand-written kernels.
pub fn has_kernels(tensor: &Tensor) -> bool {
    has_kernels_on(tensor.device())
}

/// The same of tensors on a device.
pub fn has_kernels_on(device: &Device) -> bool {
    device.is_cpu() && !is_plain()
}

/// Whether this thread is within [`with_plain_operations`].
pub(crate) fn is_plain() -> bool {
    PLAIN.get()
}

/// Runs `work` with plain candle operations on the CPU too: so they can be tested and compared without
/// another device. As on another device, tensors cannot be seen as slices then. Holds for this thread.
pub fn with_plain_operations<R>(work: impl FnOnce() -> R) -> R {
    with_plain(true, work)
}

/// Runs `work` on kernels, where the device has them: for jobs that a thread takes up while it waits amid its own plain
/// operations.
pub(crate) fn with_kernels<R>(work: impl FnOnce() -> R) -> R {
    with_plain(false, work)
}

fn with_plain<R>(plain: bool, work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PLAIN.set(self.0);
        }
    }
    let _restore = Restore(PLAIN.replace(plain));
    work()
}

/// The device to train and to chat on: the first accelerator that this build can use and this machine has
/// (`CUDA_VISIBLE_DEVICES` chooses among several), unless the CPU is asked for; else the CPU. `log` is told why
/// an accelerator that could be used is not.
pub fn choose(use_cpu: bool, log: &mut dyn FnMut(String)) -> Device {
    if use_cpu {
        return Device::Cpu;
    }
    accelerator(log).unwrap_or(Device::Cpu)
}

#[cfg(feature = "cuda")]
fn accelerator(log: &mut dyn FnMut(String)) -> Option<Device> {
    match Device::new_cuda(0) {
        Ok(device) => Some(device),
        Err(error) => {
            // A backtrace may follow.
            let error = error.to_string();
            let reason = error.lines().next().unwrap_or_default();
            log(format!("no CUDA device can be used ({reason}); running on the CPU"));
            None
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn accelerator(_log: &mut dyn FnMut(String)) -> Option<Device> {
    None
}

/// A device in words, e.g. `CPU, 16 threads`.
pub fn describe(device: &Device) -> String {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(cuda) = device {
        let name = cuda.cuda_stream().context().name().unwrap_or_else(|_| "CUDA device".to_owned());
        return format!("CUDA, {name}");
    }
    match device {
        Device::Cpu => format!("CPU, {} threads", rayon::current_num_threads()),
        other => format!("{:?}", other.location()),
    }
}

/// Bytes that new tensors on a device may take.
pub fn available_memory(device: &Device) -> usize {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(cuda) = device
        && let Ok((free, _)) = cuda.cuda_stream().context().mem_get_info()
    {
        return free;
    }
    // A device that does not tell is taken to have what the machine has.
    let _ = device;
    memory::available()
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    #[test]
    fn plain_operations_end_with_their_scope() {
        let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        assert!(has_kernels(&tensor));
        let caught = std::panic::catch_unwind(|| {
            with_plain_operations(|| {
                assert!(!has_kernels(&Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap()));
                panic!("an operation fails");
            })
        });
        assert!(caught.is_err() && has_kernels(&tensor));
    }

    #[test]
    fn the_cpu_can_be_asked_for() {
        let mut told = Vec::new();
        assert!(choose(true, &mut |message| told.push(message)).is_cpu());
        assert!(told.is_empty());
        assert!(describe(&Device::Cpu).starts_with("CPU"));
    }
}
