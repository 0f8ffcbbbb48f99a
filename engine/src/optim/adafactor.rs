//! Adafactor (Shazeer & Stern 2018) with the schedule's learning rate, as transformers sets it up: no first moment, and no
//! scaling by a parameter's size, save for AdaLOMO (Lv et al. 2023).

use candle_core::{D, DType, Device, Tensor};

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
    /// The rate is a share of a parameter's root mean square, which counts as at least this.
    pub least_size: Option<f64>,
}

impl Default for Adafactor {
    fn default() -> Adafactor {
        Adafactor { eps: 1e-30, clip_threshold: 1.0, decay_rate: -0.8, least_size: None }
    }
}

impl Adafactor {
    /// What is remembered of a tensor of this shape.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn memory(&self, dims: &[usize], device: &Device) -> Result<Memory> {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, device);
        Ok(match dims {
            [outer @ .., rows, columns] => {
                vec![
                    ("row", zeros(&[outer, &[*rows]].concat())?),
                    ("column", zeros(&[outer, &[*columns]].concat())?),
                ]
            }
            _ => vec![("square", zeros(dims)?)],
        })
    }

    /// The step of a tensor at a learning rate of 1, with the gradient taken into what is remembered.
    ///
    /// # Errors
    /// If an operation fails on the tensor's device.
    pub fn direction(
        &self,
        gradient: &Tensor,
        memory: &mut [(&'static str, Tensor)],
        number: u64,
    ) -> Result<Tensor> {
        let squares = (gradient.sqr()? + self.eps)?;
        let beta = 1.0 - (number as f64).powf(self.decay_rate);
        let mean =
            |old: &Tensor, new: Tensor| -> Result<Tensor> { Ok(((old * beta)? + (new * (1.0 - beta))?)?) };
        let inverse = match memory {
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
            _ => return Ok(gradient.zeros_like()?),
        };
        let update = (gradient * inverse)?;
        let size = root_mean_square(&update)?;
        Ok((update / (size / self.clip_threshold).max(1.0))?)
    }
}

/// √mean(x²)
fn root_mean_square(x: &Tensor) -> Result<f64> {
    Ok(f64::from(x.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>()?))
}

impl Rule for Adafactor {
    fn start(&self, param: &Param) -> Result<Memory> {
        self.memory(param.tensor.dims(), param.tensor.device())
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let update = self.direction(&(gradient * step.clip)?, memory, step.number)?;
        let scale = match self.least_size {
            Some(least) => root_mean_square(&param.tensor)?.max(least),
            None => 1.0,
        };
        let step = Step { rate: step.rate * scale, ..*step };
        assign(param, &(step.shrunk(param)? - (update * step.rate)?)?)
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
        let cases = [(vec![2, 3], None), (vec![6], None), (vec![2, 3], Some(1e-3)), (vec![6], Some(2.0))];
        for (shape, least_size) in cases {
            let start: Vec<f32> = (0..6).map(|i| i as f32 / 4.0).collect();
            let param = Param::new("w", from_vec(start.clone(), shape.clone()).unwrap(), true).unwrap();
            let param = Arc::new(param);
            let mut optimizer = Optimizer::new(Box::new(Adafactor { least_size, ..Adafactor::default() }));
            let groups = [Group { params: vec![param.clone()], rate_scale: 1.0, decay: 0.1 }];
            let mut grads = ParamGradients::default();
            let values = gradient.map(|g| g as f32).to_vec();
            grads.add(&param, from_vec(values, shape.clone()).unwrap()).unwrap();
            optimizer.step(&groups, &mut grads, 0.01, 1.0).unwrap();
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
            let of_param = (start.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 6.0).sqrt();
            let rate = 0.01 * least_size.map_or(1.0, |least| of_param.max(least));
            for (i, got) in param.to_f32().unwrap().iter().enumerate() {
                let want = f64::from(start[i]) * (1.0 - rate * 0.1) - rate * update[i] / size;
                assert!((f64::from(*got) - want).abs() < 1e-6, "{shape:?}: {got} != {want} at {i}");
            }
        }
    }
}
