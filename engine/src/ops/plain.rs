//! The operations from candle's own, which candle can differentiate: the oracle of the tests.

use candle_core::{D, DType, Tensor};

use super::attention::{AttentionSpec, Rotation};
use super::head::{Head, Label};
use super::norm::Norm;
use super::projection::{Linear, Projection, Prologue};
use crate::Result;
use crate::kernel::activation::{Activation, GateOrder};
use crate::kernel::attention::Span;

impl Norm {
    pub fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let mean = |x: &Tensor| x.mean_keepdim(D::Minus1);
        let x = if self.center { x.broadcast_sub(&mean(x)?)? } else { x.clone() };
        let mut y = x.broadcast_div(&(mean(&x.sqr()?)? + self.eps)?.sqrt()?)?;
        if let Some(weight) = &self.weight {
            let weight = weight.tensor.to_dtype(DType::F32)?;
            y = y.broadcast_mul(&if self.one_plus { (weight + 1.0)? } else { weight })?;
        }
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&bias.tensor.to_dtype(DType::F32)?)?;
        }
        Ok(y)
    }
}

impl Linear {
    pub fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.tensor.to_dtype(DType::F32)?;
        let weight = if self.transposed { weight } else { weight.reshape((self.out_dim(), ()))?.t()? };
        let mut y = x.matmul(&weight)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&bias.tensor.to_dtype(DType::F32)?)?;
        }
        if let Some(lora) = &self.lora {
            let update = x.matmul(&lora.a.tensor.t()?)?.matmul(&lora.b.tensor.t()?)?;
            y = (y + (update * lora.scale as f64)?)?;
        }
        Ok(y)
    }
}

impl Projection {
    pub fn plain(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let width = self.in_dim();
        let input = match &self.prologue {
            Prologue::Identity => x.clone(),
            Prologue::Norm(norm) => norm.plain(x)?,
            Prologue::Gated(activation, order) => {
                let halves = (x.narrow(1, 0, width)?, x.narrow(1, width, width)?);
                let (gate, up) = match order {
                    GateOrder::GateUp => halves,
                    GateOrder::UpGate => (halves.1, halves.0),
                };
                (plain_activation(*activation, &gate)? * up)?
            }
            Prologue::Plain(activation) => plain_activation(*activation, x)?,
        };
        let outputs: Result<Vec<Tensor>> = self.linears.iter().map(|linear| linear.plain(&input)).collect();
        let y = Tensor::cat(&outputs?, 1)?;
        Ok(match residual {
            Some(residual) => (y + residual)?,
            None => y,
        })
    }
}

fn plain_activation(activation: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => x.silu()?,
        Activation::Gelu => x.gelu_erf()?,
        Activation::GeluTanh => x.gelu()?,
        Activation::Relu => x.relu()?,
    })
}

impl Head {
    /// Σ of the losses.
    pub fn plain(&self, hidden: &Tensor, labels: &[Label]) -> Result<Tensor> {
        let index: Vec<u32> = labels.iter().map(|label| label.row).collect();
        let tokens: Vec<u32> = labels.iter().map(|label| label.token).collect();
        let x = hidden.index_select(&Tensor::new(index, hidden.device())?, 0)?;
        let x = match &self.norm {
            Some(norm) => norm.plain(&x)?,
            None => x,
        };
        let mut logits = if self.unit_rows {
            let weight = &self.linear.weight.tensor;
            let unit = weight.broadcast_div(&weight.sqr()?.sum_keepdim(1)?.sqrt()?)?;
            x.matmul(&unit.t()?)?
        } else {
            self.linear.plain(&x)?
        };
        logits = (logits * self.scale as f64)?;
        if let Some(cap) = self.cap {
            logits = ((logits / cap as f64)?.tanh()? * cap as f64)?;
        }
        let top = logits.max_keepdim(D::Minus1)?.detach();
        let shifted = logits.broadcast_sub(&top)?;
        let normaliser = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        let own = shifted.gather(&Tensor::new(tokens, hidden.device())?.unsqueeze(1)?, 1)?;
        Ok((normaliser - own)?.sum_all()?)
    }
}

/// Head by head.
pub fn attention(spec: &AttentionSpec, qkv: &Tensor, rotation: &Rotation, spans: &[Span]) -> Result<Tensor> {
    let shape = spec.shape;
    let [q_columns, k_columns, v_columns] = spec.columns;
    let part = |column: usize, dim: usize| qkv.narrow(1, column, dim);
    let mut heads = Vec::new();
    for head in 0..shape.heads {
        let kv = head / shape.group();
        let mut q = turn(spec, &part(q_columns.of(head), shape.head_dim)?, rotation)?;
        if let Some(factors) = &rotation.query_factors {
            q = q.broadcast_mul(&Tensor::from_slice(factors, (factors.len(), 1), qkv.device())?)?;
        }
        let k = turn(spec, &part(k_columns.of(kv), shape.head_dim)?, rotation)?;
        let v = part(v_columns.of(kv), shape.value_dim)?;
        let mut outputs = Vec::new();
        for span in spans {
            let rows = |x: &Tensor| x.narrow(0, span.start, span.len);
            let mut scores = (rows(&q)?.matmul(&rows(&k)?.t()?)? * shape.scale as f64)?;
            if let Some(cap) = shape.cap {
                scores = ((scores / cap as f64)?.tanh()? * cap as f64)?;
            }
            let bias = biases(spec, *span, head);
            let scores = (scores + Tensor::from_vec(bias, (span.len, span.len), qkv.device())?)?;
            let top = scores.max_keepdim(D::Minus1)?.detach();
            let weights = scores.broadcast_sub(&top)?.exp()?;
            let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
            outputs.push(weights.matmul(&rows(&v)?)?);
        }
        heads.push(Tensor::cat(&outputs, 0)?);
    }
    Ok(Tensor::cat(&heads, 1)?)
}

/// What is added to the scores of a head: slopes, and −∞ where a key is not seen.
fn biases(spec: &AttentionSpec, span: Span, head: usize) -> Vec<f32> {
    let slope = spec.slopes.as_ref().map_or(0.0, |slopes| slopes[head]);
    let window = spec.shape.window.unwrap_or(span.len);
    let pairs = (0..span.len).flat_map(|i| (0..span.len).map(move |j| (i, j)));
    let seen = |i: usize, j: usize| j <= i && i - j < window && j < span.len - span.trailing;
    pairs.map(|(i, j)| if seen(i, j) { slope * (j as f32 - i as f32) } else { f32::NEG_INFINITY }).collect()
}

fn turn(spec: &AttentionSpec, x: &Tensor, rotation: &Rotation) -> Result<Tensor> {
    let rotary = spec.rotary;
    let (rows, half) = (x.dims()[0], rotary.dim / 2);
    if half == 0 {
        return Ok(x.clone());
    }
    let cos = Tensor::from_slice(&rotation.cos, (rows, half), x.device())?;
    let sin = Tensor::from_slice(&rotation.sin, (rows, half), x.device())?;
    let end = rotary.start + rotary.dim;
    let before = x.narrow(1, 0, rotary.start)?;
    let turned = x.narrow(1, rotary.start, rotary.dim)?;
    let after = x.narrow(1, end, spec.shape.head_dim - end)?;
    let (low, high) = if rotary.interleaved {
        let pairs = turned.reshape((rows, half, 2))?;
        (pairs.narrow(2, 0, 1)?.squeeze(2)?, pairs.narrow(2, 1, 1)?.squeeze(2)?)
    } else {
        (turned.narrow(1, 0, half)?, turned.narrow(1, half, half)?)
    };
    let new_low = ((&low * &cos)? - (&high * &sin)?)?;
    let new_high = ((&high * &cos)? + (&low * &sin)?)?;
    let turned = if rotary.interleaved {
        Tensor::stack(&[new_low, new_high], 2)?.reshape((rows, rotary.dim))?
    } else {
        Tensor::cat(&[new_low, new_high], 1)?
    };
    Ok(Tensor::cat(&[before, turned, after], 1)?)
}
