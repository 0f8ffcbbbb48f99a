//! Rotary position embedding (Su et al. 2021), in place on the heads of a row-major buffer.

use rayon::prelude::*;

use super::{rows_per_task, simd};

/// Which columns of a buffer are rotated and how pairs are formed.
#[derive(Clone, Copy, Debug)]
pub struct RopeLayout<'a> {
    /// Row length of the buffer.
    pub stride: usize,
    /// First rotated column of each head.
    pub starts: &'a [usize],
    /// Rotated columns of each head.
    pub rotary_dim: usize,
    /// Pairs are neighbours (2i, 2i+1) instead of halves (i, i + d/2).
    pub interleaved: bool,
}

/// Rotates row r by the angles in row r of `cos` and `sin`, each [rows, rotary_dim / 2].
///
/// With `inverse` the rotation is undone, which is also its gradient.
pub fn rotate(buffer: &mut [f32], layout: RopeLayout, cos: &[f32], sin: &[f32], inverse: bool) {
    let half = layout.rotary_dim / 2;
    if half == 0 {
        return;
    }
    let task = rows_per_task(layout.starts.len() * layout.rotary_dim);
    let sign = if inverse { -1.0 } else { 1.0 };
    buffer
        .par_chunks_mut(layout.stride * task)
        .zip(cos.par_chunks(half * task).zip(sin.par_chunks(half * task)))
        .for_each(|(rows, (cos, sin))| {
            simd(
                #[inline(always)]
                || {
                    let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                    for (row, (cos, sin)) in rows.chunks_mut(layout.stride).zip(angles) {
                        for start in layout.starts {
                            let head = &mut row[*start..start + layout.rotary_dim];
                            if layout.interleaved {
                                rotate_neighbours(head, cos, sin, sign);
                            } else {
                                rotate_halves(head, cos, sin, sign);
                            }
                        }
                    }
                },
            )
        });
}

#[inline(always)]
fn rotate_halves(head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let half = cos.len();
    let (low, high) = head.split_at_mut(half);
    let (high, sin) = (&mut high[..half], &sin[..half]);
    for i in 0..half {
        let (a, b, s) = (low[i], high[i], sign * sin[i]);
        low[i] = a * cos[i] - b * s;
        high[i] = b * cos[i] + a * s;
    }
}

#[inline(always)]
fn rotate_neighbours(head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    for (i, pair) in head.chunks_exact_mut(2).enumerate() {
        let (a, b, s) = (pair[0], pair[1], sign * sin[i]);
        pair[0] = a * cos[i] - b * s;
        pair[1] = b * cos[i] + a * s;
    }
}
