//! Projections of gradients to few rows or columns, and back: by singular vectors (GaLore: Zhao et al. 2024) or at random
//! (APOLLO: Zhu et al. 2024).

use candle_core::{DType, Device, Tensor};
use recipe::Projection;

use super::Memory;
use crate::Result;
use crate::rng::Rng;
use crate::svd::{Accuracy, Singular};
use crate::tensor::from_vec;

/// Bases by their names in checkpoints: rows of one span what is kept of a matrix's columns, columns of the other what is
/// kept of its rows.
const RIGHT: &str = "right";
const LEFT: &str = "left";

/// Which sides of a matrix are projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// [rows, columns] becomes [rows, rank].
    Right,
    /// [rows, columns] becomes [rank, columns].
    Left,
    /// It becomes [rank, rank].
    Both,
}

/// Where bases come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The largest singular vectors of the gradient.
    Singular,
    /// Draws of variance 1/rank.
    Random { seed: u64 },
}

#[derive(Clone, Copy, Debug)]
pub struct Projector {
    pub kind: Projection,
    pub rank: usize,
    /// Steps that bases are used for.
    pub interval: u64,
    pub source: Source,
}

impl Projector {
    pub fn side(&self, rows: usize, columns: usize) -> Side {
        match (self.kind, rows >= columns) {
            (Projection::Right, _) | (Projection::Std, true) | (Projection::ReverseStd, false) => Side::Right,
            (Projection::Left, _) | (Projection::Std, false) | (Projection::ReverseStd, true) => Side::Left,
            (Projection::Full, _) => Side::Both,
        }
    }

    fn rank(&self, rows: usize, columns: usize) -> usize {
        self.rank.min(rows).min(columns)
    }

    /// Bases of zeros.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn start(&self, rows: usize, columns: usize, device: &Device) -> Result<Memory> {
        let rank = self.rank(rows, columns);
        let zeros = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, device);
        Ok(match self.side(rows, columns) {
            Side::Right => vec![(RIGHT, zeros((rank, columns))?)],
            Side::Left => vec![(LEFT, zeros((rows, rank))?)],
            Side::Both => vec![(LEFT, zeros((rows, rank))?), (RIGHT, zeros((rank, columns))?)],
        })
    }

    /// The shape of a projected matrix.
    pub fn low(&self, rows: usize, columns: usize) -> (usize, usize) {
        let rank = self.rank(rows, columns);
        match self.side(rows, columns) {
            Side::Right => (rows, rank),
            Side::Left => (rank, columns),
            Side::Both => (rank, rank),
        }
    }

    /// Makes new bases where step `number` is the first to use them, or where there are none yet; `stream` tells
    /// parameters apart.
    ///
    /// # Errors
    /// If the gradient is no matrix of f32.
    pub fn renew(
        &self,
        bases: &mut [(&'static str, Tensor)],
        gradient: &Tensor,
        number: u64,
        stream: u64,
    ) -> Result<()> {
        let past = number.saturating_sub(1);
        let is_due = past.is_multiple_of(self.interval.max(1));
        if !is_due && !bases.iter().any(|(_, basis)| is_zero(basis)) {
            return Ok(());
        }
        match self.source {
            Source::Singular => singular(bases, gradient, self.rank),
            Source::Random { seed } => {
                let turn = past / self.interval.max(1);
                for (_, basis) in bases {
                    let mut rng = Rng::stream(seed.wrapping_add(turn), stream);
                    let scale = 1.0 / (self.rank as f64).sqrt();
                    let draws = (0..basis.elem_count()).map(|_| (rng.normal() * scale) as f32).collect();
                    *basis = from_vec(draws, basis.shape())?.to_device(basis.device())?;
                }
                Ok(())
            }
        }
    }
}

/// What is left of a matrix.
///
/// # Errors
/// If shapes or devices do not fit.
pub(super) fn down(matrix: &Tensor, bases: &[(&'static str, Tensor)]) -> Result<Tensor> {
    bases.iter().try_fold(matrix.clone(), |matrix, (name, basis)| {
        let other = basis.t()?.contiguous()?;
        Ok(if *name == RIGHT { matrix.matmul(&other)? } else { other.matmul(&matrix)? })
    })
}

/// A matrix of what was left of one.
///
/// # Errors
/// If shapes or devices do not fit.
pub(super) fn up(low: &Tensor, bases: &[(&'static str, Tensor)]) -> Result<Tensor> {
    bases.iter().try_fold(low.clone(), |low, (name, basis)| {
        Ok(if *name == RIGHT { low.matmul(basis)? } else { basis.matmul(&low)? })
    })
}

fn is_zero(basis: &Tensor) -> bool {
    let largest = basis.abs().and_then(|basis| basis.max_all()).and_then(|max| max.to_scalar::<f32>());
    largest.is_ok_and(|largest| largest == 0.0)
}

/// Singular vectors are defined up to their sign, which what is remembered in their coordinates depends on: the largest
/// entry of each is positive.
fn singular(bases: &mut [(&'static str, Tensor)], gradient: &Tensor, rank: usize) -> Result<()> {
    let (_, columns) = gradient.dims2()?;
    let found = Singular::of(&gradient.flatten_all()?.to_vec1::<f32>()?, columns, rank, Accuracy::Exact);
    for (name, basis) in bases {
        let vectors = if *name == RIGHT { &found.right } else { &found.left };
        let rows: Vec<f32> = vectors.iter().flat_map(|vector| positive(vector)).map(|x| x as f32).collect();
        let vectors = from_vec(rows, (vectors.len(), vectors.first().map_or(0, Vec::len)))?;
        let vectors = if *name == RIGHT { vectors } else { vectors.t()?.contiguous()? };
        *basis = vectors.to_device(basis.device())?;
    }
    Ok(())
}

fn positive(vector: &[f64]) -> impl Iterator<Item = f64> {
    let largest = vector.iter().fold(0.0f64, |largest, x| if x.abs() > largest.abs() { *x } else { largest });
    vector.iter().map(move |x| x * if largest < 0.0 { -1.0 } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projector(kind: Projection, source: Source) -> Projector {
        Projector { kind, rank: 2, interval: 3, source }
    }

    /// A matrix of rank two is kept whole.
    #[test]
    fn what_singular_vectors_span_comes_back() {
        let mut rng = Rng::new(4);
        for (rows, columns) in [(7, 4), (4, 7)] {
            let mut draw =
                |r, c| from_vec((0..r * c).map(|_| rng.normal() as f32).collect(), (r, c)).unwrap();
            let matrix = draw(rows, 2).matmul(&draw(2, columns)).unwrap();
            let kinds = [
                Projection::Std,
                Projection::ReverseStd,
                Projection::Right,
                Projection::Left,
                Projection::Full,
            ];
            for kind in kinds {
                let projector = projector(kind, Source::Singular);
                let mut bases = projector.start(rows, columns, &Device::Cpu).unwrap();
                let shapes: Vec<_> = bases.iter().map(|(_, basis)| basis.dims().to_vec()).collect();
                projector.renew(&mut bases, &matrix, 1, 0).unwrap();
                assert_eq!(shapes, bases.iter().map(|(_, basis)| basis.dims().to_vec()).collect::<Vec<_>>());
                let low = down(&matrix, &bases).unwrap();
                assert_eq!(low.dims2().unwrap(), projector.low(rows, columns));
                let back = (up(&low, &bases).unwrap() - &matrix).unwrap().abs().unwrap().max_all().unwrap();
                assert!(back.to_scalar::<f32>().unwrap() < 1e-4, "{kind:?} of {rows} × {columns}");
            }
        }
    }

    #[test]
    fn random_bases_change_with_turn_and_parameter_and_keep_lengths_in_the_mean() {
        let projector = Projector { rank: 64, ..projector(Projection::Right, Source::Random { seed: 5 }) };
        let matrix = Tensor::ones((64, 200), DType::F32, &Device::Cpu).unwrap();
        let drawn = |number, stream| {
            let mut bases = projector.start(64, 200, &Device::Cpu).unwrap();
            projector.renew(&mut bases, &matrix, number, stream).unwrap();
            bases.remove(0).1.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert!(drawn(1, 0) == drawn(3, 0) && drawn(1, 0) != drawn(4, 0) && drawn(1, 0) != drawn(1, 1));
        let mean = drawn(1, 0).iter().map(|x| f64::from(x * x)).sum::<f64>() / (64.0 * 200.0);
        assert!((mean * 64.0 - 1.0).abs() < 0.05, "{mean}");
    }
}
