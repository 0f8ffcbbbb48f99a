//! Adafactor (Shazeer & Stern 2018) with the schedule's learning rate, as transformers sets it up: no first moment, no
//! scaling by a parameter's size.

use candle_core::{D, Tensor};

use super::{Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// Second moments of a matrix are kept as means of its rows and columns, of anything else as they are.
#[derive(Clone, Copy, Debug)]
pub struct Adafactor {
    /// Added to squared gradients.
    pub eps: f64,
    /// The root mean square that an update has at most.
    pub clip_threshold: f64,
    /// β₂ of step t is 1 − t^decay_rate.
    pub decay_rate: f64,
}

impl Default for Adafactor {
    fn default() -> Adafactor {
        Adafactor { eps: 1e-30, clip_threshold: 1.0, decay_rate: -0.8 }
    }
}

impl Rule for Adafactor {
    fn start(&self, param: &Param) -> Result<Memory> {
        let (dims, device) = (param.tensor.dims(), param.tensor.device());
        let zeros = |dims: &[usize]| Tensor::zeros(dims, param.tensor.dtype(), device);
        Ok(match dims {
            [.., rows, columns] => {
                let outer = &dims[..dims.len() - 2];
                vec![
                    ("row", zeros(&[outer, &[*rows]].concat())?),
                    ("column", zeros(&[outer, &[*columns]].concat())?),
                ]
            }
            _ => vec![("square", zeros(dims)?)],
        })
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let gradient = (gradient * step.clip)?;
        let squares = (gradient.sqr()? + self.eps)?;
        let beta = 1.0 - (step.number as f64).powf(self.decay_rate);
        let mean =
            |old: &Tensor, new: Tensor| -> Result<Tensor> { Ok(((old * beta)? + (new * (1.0 - beta))?)?) };
        let inverse = match &mut memory[..] {
            [(_, row), (_, column)] => {
                *row = mean(row, squares.mean(D::Minus1)?)?;
                *column = mean(column, squares.mean(D::Minus2)?)?;
                // 1/√(row ⊗ column / mean(row)), the best approximation of rank one (section 3).
                let of_rows = row.broadcast_div(&row.mean_keepdim(D::Minus1)?)?.sqrt()?.recip()?;
                of_rows.unsqueeze(D::Minus1)?.broadcast_mul(&column.sqrt()?.recip()?.unsqueeze(D::Minus2)?)?
            }
            [(_, square)] => {
                *square = mean(square, squares)?;
                square.sqrt()?.recip()?
            }
            _ => return Ok(()),
        };
        let update = (gradient * inverse)?;
        let size = f64::from(update.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>()?);
        let update = (update * (step.rate / (size / self.clip_threshold).max(1.0)))?;
        assign(param, &(step.shrunk(param)? - update)?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::autograd::ParamGradients;
    use crate::optim::{Group, Optimizer};
    use crate::tensor::from_vec;

    /// A step of a matrix and of a vector, by the formulas in f64.
    #[test]
    fn follows_the_definition() {
        let gradient = [0.5f64, -1.0, 2.0, 0.25, -0.75, 1.5];
        for shape in [vec![2, 3], vec![6]] {
            let start: Vec<f32> = (0..6).map(|i| i as f32 / 4.0).collect();
            let param = Param::new("w", from_vec(start.clone(), shape.clone()).unwrap(), true).unwrap();
            let param = Arc::new(param);
            let mut optimizer = Optimizer::new(Box::new(Adafactor::default()));
            let groups = [Group { params: vec![param.clone()], rate_scale: 1.0, decay: 0.1 }];
            let mut grads = ParamGradients::default();
            let values = gradient.map(|g| g as f32).to_vec();
            grads.add(&param, from_vec(values, shape.clone()).unwrap()).unwrap();
            optimizer.step(&groups, &grads, 0.01, 1.0).unwrap();
            // β₂ of the first step is 0: the moments are the squares themselves.
            let square = |row: usize, column: usize| gradient[3 * row + column].powi(2);
            let row = |row: usize| (0..3).map(|column| square(row, column)).sum::<f64>() / 3.0;
            let column = |column: usize| (0..2).map(|row| square(row, column)).sum::<f64>() / 2.0;
            let all = (row(0) + row(1)) / 2.0;
            let moment = |i: usize| match shape.len() {
                2 => row(i / 3) * column(i % 3) / all,
                _ => gradient[i].powi(2),
            };
            let update: Vec<f64> = (0..6).map(|i| gradient[i] / moment(i).sqrt()).collect();
            let size = (update.iter().map(|u| u * u).sum::<f64>() / 6.0).sqrt().max(1.0);
            for (i, got) in param.to_f32().unwrap().iter().enumerate() {
                let want = f64::from(start[i]) * (1.0 - 0.01 * 0.1) - 0.01 * update[i] / size;
                assert!((f64::from(*got) - want).abs() < 1e-6, "{shape:?}: {got} != {want} at {i}");
            }
        }
    }
}
