//! Puts a decoder together from a spec and a source of weights.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::block::Block;
use super::decoder::Decoder;
use crate::Result;
use crate::autograd::Param;
use crate::families::DecoderSpec;
use crate::kernel::attention::AttentionShape;
use crate::ops::{AttentionSpec, Head, Linear, Norm, Projection, Prologue};

/// Where weights come from.
pub trait WeightSource {
    /// A tensor by its name in the checkpoint.
    ///
    /// # Errors
    /// If it is missing, has another shape, or cannot be read; the message names file, tensor and shapes.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor>;
}

/// What is trained, and in which arithmetic.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// Every weight is trained.
    pub full: bool,
    /// Modules that are trained whole beside an adapter, by the end of their name.
    pub additional: Vec<String>,
    /// Frozen weights are kept in bf16 and multiplied with bf16 dot products.
    pub bf16: bool,
}

impl Tuning {
    fn trains(&self, module: &str) -> bool {
        self.full || self.is_additional(module)
    }

    /// Whether a module is named by `additional`.
    pub fn is_additional(&self, module: &str) -> bool {
        self.additional.iter().any(|name| module == name || module.ends_with(&format!(".{name}")))
    }
}

struct Builder<'a> {
    spec: &'a DecoderSpec,
    source: &'a dyn WeightSource,
    tuning: &'a Tuning,
}

impl Decoder {
    /// Loads all weights that the spec names.
    pub fn build(spec: DecoderSpec, source: &dyn WeightSource, tuning: &Tuning) -> Result<Decoder> {
        let builder = Builder { spec: &spec, source, tuning };
        let embedding = builder.param(spec.names.embedding, "weight", &[spec.vocab, spec.hidden])?;
        let blocks: Result<Vec<_>> =
            (0..spec.layers).map(|layer| builder.block(layer).map(Arc::new)).collect();
        let weight = builder.head(&embedding)?;
        let norm = Some(builder.norm(spec.names.final_norm)?);
        let head = Head { norm, weight, bf16: tuning.bf16 };
        Ok(Decoder { embedding, blocks: blocks?, head, spec })
    }
}

impl Builder<'_> {
    fn param(&self, module: &str, part: &str, shape: &[usize]) -> Result<Arc<Param>> {
        let name = format!("{module}.{part}");
        let mut tensor = self.source.tensor(&name, shape)?;
        let trainable = self.tuning.trains(module);
        if self.tuning.bf16 && !trainable && shape.len() == 2 {
            tensor = tensor.to_dtype(DType::BF16)?;
        }
        Ok(Arc::new(Param::new(name, tensor, trainable)?))
    }

    /// The output matrix: the token table if tied, unless one of the two is trained by itself.
    fn head(&self, embedding: &Arc<Param>) -> Result<Arc<Param>> {
        let (spec, names) = (self.spec, &self.spec.names);
        if !spec.tied {
            return self.param(names.head, "weight", &[spec.vocab, spec.hidden]);
        }
        let apart = !self.tuning.full
            && (self.tuning.is_additional(names.head) || self.tuning.is_additional(names.embedding));
        if !apart {
            return Ok(embedding.clone());
        }
        let trainable = self.tuning.is_additional(names.head);
        Ok(Arc::new(Param::new(format!("{}.weight", names.head), embedding.tensor.copy()?, trainable)?))
    }

    fn norm(&self, module: &str) -> Result<Norm> {
        let weight = Some(self.param(module, "weight", &[self.spec.hidden])?);
        Ok(Norm { weight, bias: None, one_plus: false, center: false, eps: self.spec.norm_eps })
    }

    fn linear(&self, module: String, out: usize, dim: usize, bias: bool) -> Result<Linear> {
        let weight = self.param(&module, "weight", &[out, dim])?;
        let bias = bias.then(|| self.param(&module, "bias", &[out])).transpose()?;
        Ok(Linear { name: module, weight, bias, lora: None })
    }

    fn projection(&self, prologue: Prologue, linears: Vec<Linear>) -> Arc<Projection> {
        Arc::new(Projection { prologue, linears, bf16: self.tuning.bf16 })
    }

    fn block(&self, layer: usize) -> Result<Block> {
        let (spec, names) = (self.spec, &self.spec.names);
        let module = |part: &str| names.in_block(layer, part);
        let (q, kv) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let qkv: Result<Vec<Linear>> = (names.qkv.iter().zip([q, kv, kv]))
            .map(|(name, out)| self.linear(module(name), out, spec.hidden, spec.qkv_bias))
            .collect();
        let gate_up: Result<Vec<Linear>> = [names.gate, names.up]
            .iter()
            .map(|name| self.linear(module(name), spec.mlp, spec.hidden, spec.mlp_bias))
            .collect();
        let output = self.linear(module(names.output), spec.hidden, q, spec.output_bias)?;
        let down = self.linear(module(names.down), spec.hidden, spec.mlp, spec.mlp_bias)?;
        Ok(Block {
            qkv: self.projection(Prologue::Norm(self.norm(&module(names.attention_norm))?), qkv?),
            attention: self.attention(layer),
            output: self.projection(Prologue::Identity, vec![output]),
            gate_up: self.projection(Prologue::Norm(self.norm(&module(names.mlp_norm))?), gate_up?),
            down: self.projection(Prologue::Gated(spec.activation), vec![down]),
        })
    }

    fn attention(&self, layer: usize) -> AttentionSpec {
        let spec = self.spec;
        let shape = AttentionShape {
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_dim: spec.head_dim,
            scale: 1.0 / (spec.head_dim as f32).sqrt(),
        };
        let rotary_dim = if spec.rotates[layer] { spec.rope.rotary_dim } else { 0 };
        AttentionSpec { shape, rotary_dim, interleaved: spec.rope.interleaved }
    }
}
