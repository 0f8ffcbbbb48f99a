//! CPU kernels on plain slices: no tensors, no graph, no allocation policy.
//!
//! [`gemm`] is the one place with processor-specific code. Everything else is written so that the
//! compiler vectorises it and is compiled for each instruction set by [`pulp`]. [`level`] says which is used.

#![warn(missing_docs, unreachable_pub, clippy::missing_errors_doc)]

pub mod activation;
pub mod attention;
pub mod cross_entropy;
pub mod gemm;
pub mod lanes;
pub mod level;
pub mod norm;
pub mod rope;

use std::cell::RefCell;

use rayon::prelude::*;

/// An output buffer whose contents are unspecified: the caller writes all of it before it reads any.
///
/// Zeroing would cost a pass over memory for every activation of every layer.
#[allow(clippy::uninit_vec)]
pub fn uninit(len: usize) -> Vec<f32> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the capacity is `len` and every bit pattern is a valid f32; kernels overwrite the buffer.
    unsafe { buffer.set_len(len) };
    buffer
}

/// Runs `work` on a thread of the pool, and waits for it.
///
/// Work made of many short parallel pieces (training, generation) belongs there: from any other thread each
/// piece puts the caller to sleep and wakes it again, which takes longer than a small product.
pub fn on_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a thread-local work area of `len` floats with unspecified contents; calls may nest.
pub fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with(|pool| take_scratch(&mut pool.borrow_mut(), len));
    if buffer.len() < len {
        buffer = uninit(len);
    }
    let result = work(&mut buffer[..len]);
    SCRATCH.with(|pool| pool.borrow_mut().push(buffer));
    result
}

/// The smallest buffer that fits, else any: nested areas of different sizes would take each other's in turn,
/// and allocate anew each time.
fn take_scratch(pool: &mut Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let fitting = pool.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
    let best = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(index, _)| index);
    best.map(|index| pool.swap_remove(index)).or_else(|| pool.pop()).unwrap_or_default()
}

/// Runs `work` compiled for the widest instruction set of the [`level`] in use.
///
/// The closure must be marked `#[inline(always)]`: one that stays a function of its own is compiled for the
/// oldest processor. So is what it hands to `for_each`, if it is long: loops are safer.
#[inline(always)]
pub fn simd<R>(work: impl FnOnce() -> R) -> R {
    struct Call<F>(F);
    impl<F: FnOnce() -> R, R> pulp::NullaryFnOnce for Call<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    arch().dispatch(Call(work))
}

/// What [`simd`] compiles for.
#[inline]
fn arch() -> pulp::Arch {
    #[cfg(target_arch = "x86_64")]
    {
        use level::Level;
        use pulp::x86::{V3, V4};
        match level::level() {
            Level::Portable => pulp::Arch::Scalar,
            Level::Avx2 => V3::try_new().map_or(pulp::Arch::Scalar, pulp::Arch::V3),
            Level::Avx512 | Level::Amx => V4::try_new().map_or(pulp::Arch::Scalar, pulp::Arch::V4),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    pulp::Arch::new()
}

/// Rows a thread should take at least, so that a task moves some tens of kilobytes.
pub fn rows_per_task(row_len: usize) -> usize {
    (16 * 1024 / row_len.max(1)).max(1)
}

/// out += Σ over rows of what `add` adds for each, in an order that does not depend on the number of
/// threads.
pub fn column_sums(rows: usize, out: &mut [f32], add: impl Fn(usize, &mut [f32]) + Sync) {
    const ROWS_PER_PARTIAL: usize = 32;
    let partials: Vec<Vec<f32>> = (0..rows.div_ceil(ROWS_PER_PARTIAL))
        .into_par_iter()
        .map(|block| {
            let mut total = vec![0.0; out.len()];
            let first = block * ROWS_PER_PARTIAL;
            simd(
                #[inline(always)]
                || (first..rows.min(first + ROWS_PER_PARTIAL)).for_each(|row| add(row, &mut total)),
            );
            total
        })
        .collect();
    for partial in partials {
        out.iter_mut().zip(partial).for_each(|(out, partial)| *out += partial);
    }
}
