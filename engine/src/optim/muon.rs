//! Muon (Jordan et al. 2024): momentum of matrices, made orthogonal; AdamW for everything else.
//!
//! The step has the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2), so one learning
//! rate serves both.

use candle_core::{DType, Tensor};

use super::{AdamW, Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// m ← μ · m + g, p ← p · (1 − rate · decay) − rate · 0.2 · √max(rows, columns) · orthogonal(g + μ · m).
#[derive(Clone, Copy, Debug)]
pub struct Muon {
    /// Share of the moving sum that is kept from step to step.
    pub momentum: f64,
    /// For what is no matrix, the token table and the output matrix.
    pub rest: AdamW,
}

/// Coefficients of an iteration, chosen for their slope at zero rather than for convergence to one.
const QUINTIC: (f64, f64, f64) = (3.4445, -4.775, 2.0315);
const ITERATIONS: usize = 5;

impl Muon {
    fn is_meant(param: &Param) -> bool {
        param.tensor.dims().len() == 2 && !["embed", "lm_head"].iter().any(|part| param.name.contains(part))
    }
}

impl Rule for Muon {
    fn start(&self, param: &Param) -> Result<Memory> {
        if !Muon::is_meant(param) {
            return self.rest.start(param);
        }
        Ok(vec![("momentum", param.tensor.zeros_like()?)])
    }

    /// As in the original everything decays, norms and biases too.
    fn decays(&self, _param: &Param) -> bool {
        true
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let [(_, momentum)] = &mut memory[..] else {
            return self.rest.update(param, gradient, memory, step);
        };
        let gradient = (gradient * step.clip)?;
        *momentum = ((&*momentum * self.momentum)? + &gradient)?;
        let update = orthogonal(&(gradient + (&*momentum * self.momentum)?)?)?;
        let longer = param.tensor.dims().iter().max().copied().unwrap_or(1);
        let size = 0.2 * (longer as f64).sqrt();
        assign(param, &(step.shrunk(param)? - (update * (step.rate * size))?)?)
    }
}

/// About U·Vᵀ of a matrix U·S·Vᵀ, by Newton and Schulz's iteration. As in the original each result is rounded to bf16.
fn orthogonal(matrix: &Tensor) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let (a, b, c) = QUINTIC;
    let matrix = rounded(matrix.clone())?;
    let matrix = if rows > columns { transposed(&matrix)? } else { matrix };
    let norm = rounded(matrix.sqr()?.sum_all()?.sqrt()?)?.to_scalar::<f32>()?;
    let mut x = rounded((matrix / f64::from(norm + 1e-7))?)?;
    for _ in 0..ITERATIONS {
        let square = rounded(x.matmul(&transposed(&x)?)?)?;
        let quartic = rounded(rounded((&square * c)?)?.matmul(&square)?)?;
        let factor = rounded((rounded((square * b)?)? + quartic)?)?;
        let product = rounded(factor.matmul(&x)?)?;
        x = rounded((rounded((x * a)?)? + product)?)?;
    }
    if rows > columns { transposed(&x) } else { Ok(x) }
}

fn rounded(x: Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(DType::BF16)?.to_dtype(DType::F32)?)
}

fn transposed(x: &Tensor) -> Result<Tensor> {
    Ok(x.t()?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::tensor::from_vec;

    #[test]
    fn makes_singular_values_about_one() {
        let mut rng = Rng::new(3);
        for (rows, columns) in [(6, 10), (10, 6)] {
            let values = (0..60).map(|_| rng.uniform() as f32 - 0.5).collect();
            let x = orthogonal(&from_vec(values, (rows, columns)).unwrap()).unwrap();
            let short = if rows < columns { x.clone() } else { x.t().unwrap().contiguous().unwrap() };
            let square = short.matmul(&short.t().unwrap().contiguous().unwrap()).unwrap();
            for (i, row) in square.to_vec2::<f32>().unwrap().iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    let want = if i == j { 1.0 } else { 0.0 };
                    // The coefficients leave singular values between about 0.7 and 1.2.
                    assert!((value - want).abs() < 0.6, "{value} at {i}, {j} of {rows} × {columns}");
                }
            }
        }
    }
}
