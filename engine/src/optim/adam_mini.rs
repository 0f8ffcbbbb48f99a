//! Adam-mini (Zhang et al. 2024, "Use fewer learning rates to gain more"): AdamW with one second moment for a block of
//! weights, which are the weights of a head for queries and keys, and those of a neuron or token elsewhere.

use candle_core::{D, Tensor};

use super::{AdamW, Memory, Rule, Step, assign};
use crate::Result;
use crate::autograd::Param;

/// v ← β₂ · v + (1 − β₂) · mean(g²) over each block; else as AdamW.
#[derive(Clone, Copy, Debug)]
pub struct AdamMini {
    /// Its means and ε; also how biases move.
    pub adam: AdamW,
    /// Rows of a query or key that belong to one head.
    pub head_dim: usize,
}

/// What names of queries and keys have in them, and those of everything else that is divided by its rows.
const HEADS: [&str; 6] = ["k_proj", "q_proj", "wq", "wk", "query", "key"];
const ROWS: [&str; 15] = [
    "embed",
    "embd",
    "wte",
    "lm_head",
    "output",
    "final_layer",
    "v_proj",
    "wv",
    "value",
    "o_proj",
    "wo",
    "attn.proj",
    "feed_forward",
    "linear",
    "mlp",
];

impl AdamMini {
    /// How many blocks a parameter is divided into, along its first dimensions; none where each weight is one.
    fn blocks(&self, param: &Param) -> Option<usize> {
        let (name, dims) = (param.name.to_lowercase(), param.tensor.dims());
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let rows: usize = dims[..dims.len().saturating_sub(1)].iter().product();
        let is_matrix = dims.len() > 1;
        Some(match () {
            () if name.contains("bias") => return None,
            () if is_matrix && has(&HEADS) && rows.is_multiple_of(self.head_dim) => rows / self.head_dim,
            () if is_matrix && (has(&HEADS) || has(&ROWS)) => rows,
            () => 1,
        })
    }
}

impl Rule for AdamMini {
    fn start(&self, param: &Param) -> Result<Memory> {
        let Some(blocks) = self.blocks(param) else { return self.adam.start(param) };
        let second = Tensor::zeros(blocks, param.tensor.dtype(), param.tensor.device())?;
        Ok(vec![("first", param.tensor.zeros_like()?), ("second", second)])
    }

    fn update(&self, param: &Param, gradient: &Tensor, memory: &mut Memory, step: &Step) -> Result<()> {
        let Some(blocks) = self.blocks(param) else {
            return self.adam.update(param, gradient, memory, step);
        };
        let [(_, first), (_, second)] = &mut memory[..] else { return Ok(()) };
        let AdamW { beta1, beta2, eps, .. } = self.adam;
        let gradient = (gradient * step.clip)?;
        let squares = gradient.reshape((blocks, ()))?.sqr()?.mean(D::Minus1)?;
        *first = ((&*first * beta1)? + (gradient * (1.0 - beta1))?)?;
        *second = ((&*second * beta2)? + (squares * (1.0 - beta2))?)?;
        let correction = |beta: f64| 1.0 - beta.powf(step.number as f64);
        let spread = ((second.sqrt()? / correction(beta2).sqrt())? + eps)?;
        let mean = first.reshape((blocks, ()))?.broadcast_div(&spread.unsqueeze(1)?)?;
        let moved = (mean.reshape(param.tensor.shape())? * (step.rate / correction(beta1)))?;
        assign(param, &(step.shrunk(param)? - moved)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::tests::moves_matrix_like;

    fn rule() -> AdamMini {
        let adam = AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8, eps_first: false };
        AdamMini { adam, head_dim: 2 }
    }

    /// Matrices [4, 3] by names that divide them into two heads, four rows, one block and single weights.
    #[test]
    fn follows_the_definition() {
        for (name, blocks) in [("q_proj", 2), ("mlp.up_proj", 4), ("gate", 1), ("q_proj.bias", 12)] {
            let size = 12 / blocks;
            let (mut m, mut v) = (vec![0.0f64; 12], vec![0.0f64; blocks]);
            moves_matrix_like(rule(), name, (0.01, 0.1), (4, 3), |t, p, g| {
                for (v, g) in v.iter_mut().zip(g.chunks(size)) {
                    *v = 0.99 * *v + 0.01 * g.iter().map(|g| g * g).sum::<f64>() / size as f64;
                }
                for i in 0..12 {
                    m[i] = 0.9 * m[i] + 0.1 * g[i];
                    let spread = (v[i / size] / (1.0 - 0.99f64.powi(t))).sqrt() + 1e-8;
                    p[i] = p[i] * (1.0 - 0.01 * 0.1) - 0.01 * m[i] / (1.0 - 0.9f64.powi(t)) / spread;
                }
            });
        }
    }
}
