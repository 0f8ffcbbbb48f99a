//! The largest singular values of a matrix with their vectors, W ≈ U·diag(σ)·Vᵀ, in f64.

use crate::kernel::gemm::{MatMut, MatRef, Options, product};
use crate::rng::Rng;

/// How singular values are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accuracy {
    /// From all eigenvalues of the smaller Gram matrix: O(n³) for the smaller side n.
    Exact,
    /// By so many iterations with random vectors (Halko et al. 2011, algorithm 4.4).
    Iterations(usize),
}

/// Singular values, the largest first.
#[derive(Clone, Debug, Default)]
pub struct Singular {
    /// In falling order.
    pub values: Vec<f64>,
    /// Left vectors, one a row.
    pub left: Vec<Vec<f64>>,
    /// Right vectors, one a row.
    pub right: Vec<Vec<f64>>,
}

/// Random vectors beside those that are wanted: a few make it very likely that these are found.
const MORE: usize = 8;

impl Singular {
    /// The `count` largest of a matrix [rows, columns].
    pub fn of(matrix: &[f32], columns: usize, count: usize, accuracy: Accuracy) -> Singular {
        let rows = matrix.len() / columns.max(1);
        let count = count.min(rows).min(columns);
        match accuracy {
            Accuracy::Exact => exact(matrix, rows, columns, count),
            Accuracy::Iterations(turns) => by_iterations(matrix, rows, columns, count, turns),
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns.max(1);
    (0..matrix.len()).map(|i| matrix[i % rows * columns + i / rows]).collect()
}

/// Eigenvectors of W·Wᵀ are W's left vectors, and vᵢ = Wᵀ·uᵢ / σᵢ.
fn exact(matrix: &[f32], rows: usize, columns: usize, count: usize) -> Singular {
    if rows > columns {
        let Singular { values, left, right } = exact(&transposed(matrix, columns), columns, rows, count);
        return Singular { values, left: right, right: left };
    }
    let wide: Vec<Vec<f64>> =
        matrix.chunks_exact(columns).map(|row| row.iter().map(|x| f64::from(*x)).collect()).collect();
    let mut gram: Vec<Vec<f64>> = wide.iter().map(|a| wide.iter().map(|b| dot(a, b)).collect()).collect();
    let mut found = Singular::default();
    for (_, u) in eigen(&mut gram).into_iter().take(count) {
        let mut v = vec![0.0; columns];
        for (u, row) in u.iter().zip(&wide) {
            v.iter_mut().zip(row).for_each(|(v, x)| *v += u * x);
        }
        let value = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|v| *v /= value.max(f64::MIN_POSITIVE));
        found.values.push(value);
        found.left.push(u);
        found.right.push(v);
    }
    found
}

/// The range of (W·Wᵀ)ⁿ·W·Ω for random Ω holds the largest left vectors; in it W is a few rows.
fn by_iterations(matrix: &[f32], rows: usize, columns: usize, count: usize, turns: usize) -> Singular {
    let width = (count + MORE).min(rows).min(columns);
    let mut rng = Rng::new(0);
    let mut right: Vec<f32> = (0..width * columns).map(|_| rng.normal() as f32).collect();
    let (mut left, w) = (Vec::new(), MatRef::f32(matrix, rows, columns));
    for turn in 0..=turns {
        left = times(&right, width, w.t());
        orthonormalise(&mut left, rows);
        if turn < turns {
            right = times(&left, width, w);
            orthonormalise(&mut right, columns);
        }
    }
    let Singular { values, left: within, right } = exact(&times(&left, width, w), width, columns, count);
    let combined = |weights: &Vec<f64>| {
        let mut sum = vec![0.0; rows];
        for (weight, row) in weights.iter().zip(left.chunks_exact(rows)) {
            sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
        }
        sum
    };
    Singular { values, left: within.iter().map(combined).collect(), right }
}

/// Rows [width, n] by a matrix [n, m].
fn times(rows: &[f32], width: usize, matrix: MatRef) -> Vec<f32> {
    let mut out = vec![0.0; width * matrix.cols()];
    let left = MatRef::f32(rows, width, rows.len() / width.max(1));
    product(MatMut::f32(&mut out, width, matrix.cols()), left, matrix, Options::default(), true);
    out
}

/// Makes rows orthonormal (Gram–Schmidt, twice, which is enough: Giraud et al. 2005); one that depends on the others
/// becomes zero.
fn orthonormalise(rows: &mut [f32], len: usize) {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for row in rows.chunks_exact_mut(len) {
        let mut x: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
        let before = dot(&x, &x).sqrt();
        for other in done.iter().chain(&done) {
            let along = dot(&x, other);
            x.iter_mut().zip(other).for_each(|(x, other)| *x -= along * other);
        }
        let norm = dot(&x, &x).sqrt();
        let factor = if norm > 1e-6 * before { 1.0 / norm } else { 0.0 };
        x.iter_mut().for_each(|x| *x *= factor);
        row.iter_mut().zip(&x).for_each(|(row, x)| *row = *x as f32);
        done.push(x);
    }
}

/// Eigenvalues of a symmetric matrix with their vectors, the largest first: Householder's reduction to three diagonals,
/// then QR iterations with Wilkinson's shifts (Golub & Van Loan, Matrix Computations, 8.3).
fn eigen(matrix: &mut [Vec<f64>]) -> Vec<(f64, Vec<f64>)> {
    let n = matrix.len();
    let (mut diagonal, mut off, mut vectors) = tridiagonal(matrix);
    let mut end = n.saturating_sub(1);
    let largest = diagonal.iter().chain(&off).fold(0f64, |largest, x| largest.max(x.abs()));
    while end > 0 {
        let small = |i: usize, off: &[f64], diagonal: &[f64]| {
            let beside = diagonal[i].abs() + diagonal[i + 1].abs();
            off[i].abs() <= f64::EPSILON * beside.max(f64::EPSILON * largest)
        };
        if small(end - 1, &off, &diagonal) {
            end -= 1;
            continue;
        }
        let start = (0..end - 1).rev().find(|i| small(*i, &off, &diagonal)).map_or(0, |i| i + 1);
        turn(&mut diagonal, &mut off, &mut vectors, start, end);
    }
    let mut all: Vec<(f64, Vec<f64>)> = diagonal.into_iter().zip(vectors).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

/// One implicit QR step on the diagonals from `start` to `end`, a chain of rotations of neighbours; `vectors` are rows.
fn turn(diagonal: &mut [f64], off: &mut [f64], vectors: &mut [Vec<f64>], start: usize, end: usize) {
    let half = (diagonal[end - 1] - diagonal[end]) / 2.0;
    let last = off[end - 1];
    let shift = diagonal[end] - last * last / (half + half.signum() * half.hypot(last));
    let (mut x, mut z) = (diagonal[start] - shift, off[start]);
    for k in start..end {
        let r = x.hypot(z);
        let (c, s) = if r == 0.0 { (1.0, 0.0) } else { (x / r, z / r) };
        if k > start {
            off[k - 1] = r;
        }
        let (a, b, d) = (diagonal[k], off[k], diagonal[k + 1]);
        diagonal[k] = c * c * a + 2.0 * c * s * b + s * s * d;
        diagonal[k + 1] = s * s * a - 2.0 * c * s * b + c * c * d;
        off[k] = c * s * (d - a) + (c * c - s * s) * b;
        x = off[k];
        if k + 1 < end {
            z = s * off[k + 1];
            off[k + 1] *= c;
        }
        let (first, second) = vectors.split_at_mut(k + 1);
        for (p, q) in first[k].iter_mut().zip(&mut second[0]) {
            (*p, *q) = (c * *p + s * *q, c * *q - s * *p);
        }
    }
}

/// T = Qᵀ·M·Q with entries beside its diagonal alone: both diagonals, and the columns of Q as rows.
fn tridiagonal(matrix: &mut [Vec<f64>]) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let n = matrix.len();
    let mut reflections: Vec<Vec<f64>> = Vec::new();
    let mut off = vec![0.0; n.saturating_sub(1)];
    for k in 0..n.saturating_sub(2) {
        // v reflects what is below the diagonal onto its first entry; |v|² = 2.
        let mut v: Vec<f64> = (0..n).map(|i| if i > k { matrix[i][k] } else { 0.0 }).collect();
        let norm = dot(&v, &v).sqrt();
        let target = if v[k + 1] > 0.0 { -norm } else { norm };
        v[k + 1] -= target;
        let length = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|x| *x *= if length > 0.0 { std::f64::consts::SQRT_2 / length } else { 0.0 });
        off[k] = target;
        // M ← (I − vvᵀ)·M·(I − vvᵀ) = M − v·wᵀ − w·vᵀ with w = M·v − v·(vᵀMv)/2.
        let mut w: Vec<f64> = matrix.iter().map(|row| dot(&row[k..], &v[k..])).collect();
        let half = dot(&v[k..], &w[k..]) / 2.0;
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= half * v);
        for i in k..n {
            let (vi, wi) = (v[i], w[i]);
            for ((x, v), w) in matrix[i][k..].iter_mut().zip(&v[k..]).zip(&w[k..]) {
                *x -= vi * w + wi * v;
            }
        }
        reflections.push(v);
    }
    if n > 1 {
        off[n - 2] = matrix[n - 1][n - 2];
    }
    let unit = |i: usize| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
    let mut columns: Vec<Vec<f64>> = (0..n).map(unit).collect();
    for column in &mut columns {
        for v in reflections.iter().rev() {
            let along = dot(column, v);
            column.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
        }
    }
    ((0..n).map(|i| matrix[i][i]).collect(), off, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        (0..count).map(|_| rng.normal() as f32).collect()
    }

    /// Checks W·v = σ·u, Wᵀ·u = σ·v, that vectors are orthonormal, and that what is left of W has the norm that is left.
    fn check(matrix: &[f32], columns: usize, found: &Singular, tolerance: f64) {
        let rows = matrix.len() / columns;
        for (i, value) in found.values.iter().enumerate() {
            assert!(i == 0 || *value <= found.values[i - 1] + 1e-9);
            let (u, v) = (&found.left[i], &found.right[i]);
            for (row, x) in matrix.chunks_exact(columns).zip(u) {
                let y: f64 = row.iter().zip(v).map(|(w, v)| f64::from(*w) * v).sum();
                assert!((y - value * x).abs() < tolerance, "{y} {}", value * x);
            }
            for (column, x) in v.iter().enumerate() {
                let y: f64 = (0..rows).map(|row| f64::from(matrix[row * columns + column]) * u[row]).sum();
                assert!((y - value * x).abs() < tolerance, "{y} {}", value * x);
            }
            for j in 0..=i {
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((dot(u, &found.left[j]) - want).abs() < tolerance);
                assert!((dot(v, &found.right[j]) - want).abs() < tolerance);
            }
        }
    }

    #[test]
    fn exact_values_are_those_of_the_matrix() {
        for (rows, columns) in [(1, 1), (2, 2), (1, 7), (9, 3), (20, 33), (48, 40)] {
            let matrix = random(rows * columns, (rows * 100 + columns) as u64);
            let all = Singular::of(&matrix, columns, usize::MAX, Accuracy::Exact);
            assert_eq!(all.values.len(), rows.min(columns));
            check(&matrix, columns, &all, 1e-6);
            let squares: f64 = matrix.iter().map(|x| f64::from(x * x)).sum();
            let sum: f64 = all.values.iter().map(|value| value * value).sum();
            assert!((sum - squares).abs() < 1e-5 * squares, "{sum} {squares}");
        }
    }

    /// Values that are equal, or zero.
    #[test]
    fn matrices_of_low_rank_have_few_values() {
        let (a, b) = (random(2 * 12, 1), random(2 * 10, 2));
        let matrix: Vec<f32> =
            (0..120).map(|i| (0..2).map(|r| a[r * 12 + i / 10] * b[r * 10 + i % 10]).sum()).collect();
        for accuracy in [Accuracy::Exact, Accuracy::Iterations(4)] {
            let found = Singular::of(&matrix, 10, 2, accuracy);
            check(&matrix, 10, &found, 1e-4);
        }
        let unit: Vec<f32> = (0..25).map(|i| if i % 6 == 0 { 3.0 } else { 0.0 }).collect();
        let found = Singular::of(&unit, 5, 5, Accuracy::Exact);
        assert!(found.values.iter().all(|value| (value - 3.0).abs() < 1e-9), "{:?}", found.values);
        let zero = Singular::of(&[0.0; 12], 4, 2, Accuracy::Exact);
        assert_eq!(zero.values, [0.0, 0.0]);
    }

    #[test]
    fn iterations_come_near_the_exact_values() {
        let matrix = random(60 * 40, 5);
        let exact = Singular::of(&matrix, 40, 4, Accuracy::Exact);
        let near = Singular::of(&matrix, 40, 4, Accuracy::Iterations(16));
        for (near, exact) in near.values.iter().zip(&exact.values) {
            assert!((near - exact).abs() < 1e-3 * exact, "{near} {exact}");
        }
    }
}
