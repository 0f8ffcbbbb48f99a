//! Rotations of what a linear map reads (orthogonal fine-tuning, Qiu et al. 2023): y = R(x)·Wᵀ + b, where R rotates each
//! block of columns by an orthogonal matrix.
//!
//! A block's matrix is the Cayley transform (I + Q)·(I − Q)⁻¹ of a skew-symmetric Q, whose inverse is the beginning of its
//! Neumann series, as in PEFT: I + 2Q + 2Q² + 2Q³ + Q⁴ (OFTv2, Qiu et al. 2025).

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::dropout::Dropout;
use super::linear::{Linear, Part, PartMut, Stretch};
use crate::Result;
use crate::autograd::{Param, ParamGradients, Weights, gradients};
use crate::kernel::gemm::{MatMut, MatRef, Options};
use crate::kernel::uninit;
use crate::rng::Rng;
use crate::tensor::from_vec;

/// Rotations of the blocks of a map's input.
#[derive(Debug, Clone)]
pub struct Oft {
    /// Entries above the diagonals of each Q, row by row [blocks, b·(b − 1)/2].
    pub skew: Arc<Param>,
    /// Columns of a block: b.
    pub block: usize,
    /// Share of the blocks that a training pass leaves as they are.
    pub dropout: f32,
    /// Tells the choices for different maps apart.
    pub key: u64,
}

/// How a map's input is divided: into so many blocks, or into blocks of so many columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// So many blocks.
    Count(usize),
    /// Blocks of so many columns.
    Columns(usize),
}

impl Blocks {
    /// Columns of a block of an input of some width. Where that cannot be divided so, the nearest number that it can be
    /// divided by counts, as in PEFT: the lower of two that are as near.
    pub fn columns(self, width: usize) -> usize {
        let fitting = |wanted: usize| {
            let divides = |number: &usize| width.is_multiple_of(*number);
            let wanted = wanted.clamp(1, width.max(1));
            let higher = (wanted..=width).find(divides).unwrap_or(width);
            let lower = (1..=wanted).rev().find(divides).unwrap_or(1);
            if wanted - lower <= higher - wanted { lower } else { higher }
        };
        match self {
            Blocks::Count(count) => width / fitting(count),
            Blocks::Columns(columns) => fitting(columns),
        }
    }
}

/// The matrices of a pass.
pub(super) struct Rotations {
    /// [blocks, b, b]
    matrices: Vec<f32>,
}

impl Oft {
    /// The rotations of a map by their parameters, to be trained.
    ///
    /// # Errors
    /// If the tensor cannot be moved to where the map's weight is.
    pub fn new(linear: &Linear, skew: Tensor, block: usize) -> Result<Oft> {
        Ok(Oft { skew: linear.beside("oft_R.weight", skew)?, block, dropout: 0.0, key: 0 })
    }

    /// Blocks that a pass leaves as they are have 0, others 1 [blocks, 1, 1]; none where all turn.
    fn mask(&self, dropout: Dropout, device: &Device) -> Result<Option<Tensor>> {
        let blocks = self.skew.tensor.dims()[0];
        let still = (f64::from(self.dropout) * blocks as f64) as usize;
        let Some(seed) = dropout.filter(|_| blocks > 1 && still > 0) else { return Ok(None) };
        let mut mask: Vec<f32> = (0..blocks).map(|block| if block < still { 0.0 } else { 1.0 }).collect();
        Rng::stream(seed, self.key).shuffle(&mut mask);
        Ok(Some(Tensor::from_vec(mask, (blocks, 1, 1), device)?))
    }

    /// The blocks' matrices [blocks, b, b].
    fn matrices(&self, weights: &Weights, dropout: Dropout) -> Result<Tensor> {
        let (skew, b) = (weights.read(&self.skew)?, self.block);
        let device = skew.device();
        let place = |entry: usize| {
            let (row, column) = (entry / b, entry % b);
            let (low, high) = (row.min(column), row.max(column));
            let sign = (column as f32 - row as f32).signum() * if row == column { 0.0 } else { 1.0 };
            let before = low * b - low * (low + 1) / 2;
            (if row == column { 0 } else { (before + high - low - 1) as u32 }, sign)
        };
        let (places, signs): (Vec<u32>, Vec<f32>) = (0..b * b).map(place).unzip();
        let places = Tensor::from_vec(places, b * b, device)?;
        let signs = Tensor::from_vec(signs, b * b, device)?;
        let blocks = skew.dims()[0];
        let q = skew.index_select(&places, 1)?.broadcast_mul(&signs)?.reshape((blocks, b, b))?;
        let (square, mut turned) = (q.matmul(&q)?, (&q * 2.0)?);
        let cube = square.matmul(&q)?;
        turned = ((turned + (&square + &cube)? * 2.0)? + cube.matmul(&q)?)?;
        if let Some(mask) = self.mask(dropout, device)? {
            turned = turned.broadcast_mul(&mask)?;
        }
        Ok(Tensor::eye(b, DType::F32, device)?.broadcast_add(&turned)?)
    }

    /// W·Rᵀ of a weight W [out, in] in f32: it does to x what W does to R(x).
    ///
    /// # Errors
    /// If shapes do not fit.
    pub fn merged(&self, weight: &Tensor) -> Result<Tensor> {
        let matrices = self.matrices(&Weights::fixed(), None)?.t()?;
        rotate(weight, &matrices)
    }

    /// What the map reads in place of x [rows, in].
    pub(super) fn plain_rotated(&self, x: &Tensor, weights: &Weights, dropout: Dropout) -> Result<Tensor> {
        rotate(x, &self.matrices(weights, dropout)?)
    }

    /// The matrices of a pass for kernels.
    pub(super) fn rotations(&self, dropout: Dropout) -> Result<Rotations> {
        let matrices = self.matrices(&Weights::fixed(), dropout)?;
        Ok(Rotations { matrices: matrices.flatten_all()?.to_vec1()? })
    }
}

/// Each block of columns of x [rows, blocks · b] times its matrix [blocks, b, b].
fn rotate(x: &Tensor, matrices: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let (blocks, b, _) = matrices.dims3()?;
    let parts = x.reshape((rows, blocks, b))?.transpose(0, 1)?.contiguous()?;
    Ok(parts.matmul(&matrices.contiguous()?)?.transpose(0, 1)?.reshape((rows, width))?)
}

impl Rotations {
    /// The matrix of each block with its first column.
    fn blocks(&self, b: usize) -> impl Iterator<Item = (usize, MatRef<'_>)> {
        let matrices = self.matrices.chunks_exact(b * b);
        matrices.enumerate().map(move |(block, matrix)| (block * b, MatRef::f32(matrix, b, b)))
    }

    /// R(x)
    fn apply_to(&self, b: usize, x: &[f32], rows: Stretch) -> Vec<f32> {
        let width = x.len() / rows.count.max(1);
        let mut out = uninit(x.len());
        for (column, matrix) in self.blocks(b) {
            rows.product(
                MatMut::columns(&mut out, rows.count, width, column, b),
                MatRef::columns(x, rows.count, width, column, b),
                matrix,
                Options::default(),
            );
        }
        out
    }

    /// Writes a map's columns of y = [residual +] R(x)·Wᵀ + b.
    pub(super) fn apply(
        &self,
        (linear, oft): (&Linear, &Oft),
        x: &[f32],
        y: PartMut,
        residual: Option<&[f32]>,
        rows: Stretch,
    ) -> Result<()> {
        linear.apply(&self.apply_to(oft.block, x, rows), y, residual, None, rows)
    }

    /// Adds the gradients of all that trains to `grads`, and writes or adds that of x, if it is wanted.
    pub(super) fn backward(
        &self,
        (linear, oft): (&Linear, &Oft),
        x: &[f32],
        dy: Part,
        dx: Option<(&mut [f32], bool)>,
        grads: &mut ParamGradients,
        rows: Stretch,
    ) -> Result<()> {
        let (b, width) = (oft.block, linear.in_dim());
        linear.parameter_gradients(&self.apply_to(b, x, rows), dy, grads, rows)?;
        let mut turned = uninit(x.len());
        linear.input_gradient(dy, (&mut turned, false), None, rows)?;
        if oft.skew.trainable {
            let mut by_matrix = uninit(self.matrices.len());
            for (block, out) in by_matrix.chunks_exact_mut(b * b).enumerate() {
                let [x, turned] = [x, &turned].map(|x| MatRef::columns(x, rows.count, width, block * b, b));
                rows.product(MatMut::f32(out, b, b), x.t(), turned, Options::default());
            }
            let by_matrix = from_vec(by_matrix, (self.matrices.len() / (b * b), b, b))?;
            gradients(&[], &[by_matrix], grads, |_, weights| Ok(vec![oft.matrices(weights, rows.dropout)?]))?;
        }
        let Some((dx, accumulate)) = dx else { return Ok(()) };
        for (column, matrix) in self.blocks(b) {
            rows.product(
                MatMut::columns(dx, rows.count, width, column, b),
                MatRef::columns(&turned, rows.count, width, column, b),
                matrix.t(),
                Options { accumulate, ..Options::default() },
            );
        }
        Ok(())
    }
}
