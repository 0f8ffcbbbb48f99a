//! Puts a decoder together from a spec and a source of weights.

mod attention;
mod feed_forward;
mod selection;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::block::Block;
use super::decoder::Decoder;
use super::depths::Router;
use crate::Result;
use crate::autograd::Param;
use crate::families::DecoderSpec;
use crate::families::spec::{DepthsSpec, LinearSpec, NormSpec};
use crate::ops::linear::Adaptable;
use crate::ops::{Embedding, Head, Linear, Norm, Projection, Prologue, Weight};
use crate::quant::QuantizedWeight;

pub use selection::{BlockSelection, Selection};

/// Where weights come from.
pub trait WeightSource {
    /// A tensor by its name in the checkpoint.
    ///
    /// # Errors
    /// If it is missing, has another shape, or cannot be read; the message names file, tensor and shapes.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor>;

    /// The weight of a norm, which may be stored as its difference from one.
    ///
    /// # Errors
    /// If there is no such tensor, or it has another shape.
    fn norm_weight(&self, name: &str, shape: &[usize], _one_plus: bool) -> Result<Tensor> {
        self.tensor(name, shape)
    }

    /// The output matrix of a model that ties it to its token table, where it is another than the table by now.
    ///
    /// # Errors
    /// As those of [`WeightSource::tensor`].
    fn untied_head(&self, _head: &str, _table: &str, _shape: &[usize]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// The weight [out, dim] of a linear map or a table as it is stored quantised; none where it is stored dense, or not
    /// in whole rows of the model.
    ///
    /// # Errors
    /// As those of [`WeightSource::tensor`].
    fn quantised(
        &self,
        _name: &str,
        (_out, _dim): (usize, usize),
    ) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        Ok(None)
    }

    /// Checks that a decoder of this spec, which has read the tensors of these names, has read everything that belongs to
    /// the model.
    ///
    /// # Errors
    /// Names file and tensor that would be left out.
    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()>;
}

/// What is trained, in which arithmetic, and where.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Which of the model's own weights train.
    pub selection: Selection,
    /// Frozen weights are kept in bf16 and multiplied with bf16 dot products.
    pub bf16: bool,
    /// Matrices that train are kept in bf16, too.
    pub pure_bf16: bool,
    /// Where weights are kept and computed with.
    pub device: Device,
    /// Frozen weights that are stored quantised are dequantised as they are loaded.
    pub dequantised: bool,
}

impl Default for Tuning {
    /// Nothing is trained; on the CPU, in the types that weights are stored in, quantised ones too.
    fn default() -> Self {
        Tuning {
            selection: Selection::Nothing,
            bf16: false,
            pure_bf16: false,
            device: Device::Cpu,
            dequantised: false,
        }
    }
}

struct Builder<'a> {
    spec: &'a DecoderSpec,
    source: &'a dyn WeightSource,
    tuning: &'a Tuning,
    /// What was loaded, by name: parts that name the same module share it.
    loaded: RefCell<HashMap<String, Arc<Param>>>,
    quantised: RefCell<HashMap<String, Arc<dyn QuantizedWeight>>>,
}

impl Decoder {
    /// Loads all weights that the spec names.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape than the specification says.
    pub fn build(spec: DecoderSpec, source: &dyn WeightSource, tuning: &Tuning) -> Result<Decoder> {
        let (loaded, quantised) = Default::default();
        let builder = Builder { spec: &spec, source, tuning, loaded, quantised };
        let embedding = builder.embedding()?;
        let embedding_norm = spec.embedding.norm.map(|norm| builder.norm(norm.name, norm, &[spec.hidden]));
        let embedding_norm = embedding_norm.transpose()?.map(Arc::new);
        let blocks: Result<Vec<_>> =
            (0..spec.layers.len()).map(|layer| builder.block(layer).map(Arc::new)).collect();
        let blocks = blocks?;
        let head = builder.head(&embedding.tokens)?;
        Ok(Decoder { embedding, embedding_norm, blocks, head, spec, adapter: Arc::default() })
    }
}

impl Builder<'_> {
    /// Loads a tensor once; what is asked for again under the same name is the same parameter.
    fn load(
        &self,
        name: String,
        trainable: bool,
        load: impl FnOnce(&str) -> Result<Tensor>,
    ) -> Result<Arc<Param>> {
        if let Some(param) = self.loaded.borrow().get(&name) {
            return Ok(param.clone());
        }
        let mut tensor = load(&name)?;
        let is_matrix = tensor.rank() == 2;
        if self.tuning.bf16 && !trainable && is_matrix {
            tensor = tensor.to_dtype(DType::BF16)?;
        }
        let tensor = tensor.to_device(&self.tuning.device)?;
        let is_narrow = self.tuning.pure_bf16 && trainable && is_matrix;
        let param = if is_narrow {
            Param::narrow(name.clone(), tensor)
        } else {
            Param::new(name.clone(), tensor, trainable)
        };
        let param = Arc::new(param?);
        self.loaded.borrow_mut().insert(name, param.clone());
        Ok(param)
    }

    fn param(&self, module: &str, part: &str, shape: &[usize]) -> Result<Arc<Param>> {
        let trainable = self.tuning.selection.trains(module);
        self.load(format!("{module}.{part}"), trainable, |name| self.source.tensor(name, shape))
    }

    /// The weight [out, dim] of a module, which is kept as it is stored where it is frozen and quantised.
    fn weight(&self, module: &str, shape: &[usize], out: usize, transposed: bool) -> Result<Weight> {
        let name = format!("{module}.weight");
        if let Some(weight) = self.quantised.borrow().get(&name) {
            return Ok(Weight::Quantised(weight.clone()));
        }
        let dim = shape.iter().product::<usize>() / out.max(1);
        let Some(weight) = self.source.quantised(&name, (out, dim))? else {
            return self.param(module, "weight", shape).map(Weight::Dense);
        };
        let trainable = self.tuning.selection.trains(module);
        // There are kernels for the CPU alone: elsewhere each product would dequantise the whole weight.
        if !trainable && !self.tuning.dequantised && self.tuning.device.is_cpu() {
            self.quantised.borrow_mut().insert(name, weight.clone());
            return Ok(Weight::Quantised(weight));
        }
        let dense = self.load(name, trainable, |_| {
            let tensor = weight.dequantize()?;
            Ok(if transposed { tensor.t()?.contiguous()? } else { tensor.reshape(shape)? })
        });
        dense.map(Weight::Dense)
    }

    fn embedding(&self) -> Result<Embedding> {
        let spec = self.spec;
        let tokens = self.weight(spec.embedding.table, &[spec.vocab, spec.hidden], spec.vocab, false)?;
        let table = |name| self.param(name, "weight", &[spec.max_positions, spec.hidden]);
        let positions = spec.embedding.positions.map(table).transpose()?;
        Ok(Embedding { tokens, positions, scale: spec.embedding.scale })
    }

    /// A norm whose parameters have the given shape.
    fn norm(&self, module: &str, spec: NormSpec, shape: &[usize]) -> Result<Norm> {
        let trainable = self.tuning.selection.trains(module);
        let weight = spec.weight.then(|| {
            let load = |name: &str| self.source.norm_weight(name, shape, spec.one_plus);
            self.load(format!("{module}.weight"), trainable, load)
        });
        let bias = spec.bias.then(|| self.param(module, "bias", shape));
        Ok(Norm {
            weight: weight.transpose()?,
            bias: bias.transpose()?,
            one_plus: spec.one_plus,
            center: spec.center,
            eps: spec.eps,
        })
    }

    /// A norm over the hidden states within a block.
    fn block_norm(&self, layer: usize, spec: NormSpec) -> Result<Norm> {
        self.norm(&self.spec.block.name(layer, spec.name), spec, &[self.spec.hidden])
    }

    fn prologue(&self, layer: usize, norm: Option<NormSpec>) -> Result<Prologue> {
        let norm = norm.map(|norm| self.block_norm(layer, norm)).transpose()?;
        Ok(norm.map_or(Prologue::Identity, Prologue::Norm))
    }

    /// A linear map out ← dim under its full name.
    fn linear(&self, module: String, spec: LinearSpec, out: usize, dim: usize) -> Result<Linear> {
        let shape = if spec.transposed { [dim, out] } else { [out, dim] };
        self.linear_of_shape(module, spec, &shape, out)
    }

    fn linear_of_shape(&self, name: String, spec: LinearSpec, shape: &[usize], out: usize) -> Result<Linear> {
        let weight = self.weight(&name, shape, out, spec.transposed)?;
        let bias = spec.bias.then(|| self.param(&name, "bias", &[out])).transpose()?;
        let adaptable = if spec.transposed { Adaptable::ByName } else { Adaptable::Always };
        Ok(Linear { name, weight, bias, transposed: spec.transposed, adaptable })
    }

    /// A linear map of block `layer`.
    fn block_linear(&self, layer: usize, spec: LinearSpec, out: usize, dim: usize) -> Result<Linear> {
        self.linear(self.spec.block.name(layer, spec.name), spec, out, dim)
    }

    fn projection(&self, prologue: Prologue, linears: Vec<Linear>) -> Arc<Projection> {
        Arc::new(Projection { prologue, linears, bf16: self.tuning.bf16 })
    }

    fn block(&self, layer: usize) -> Result<Block> {
        let spec = &self.spec.block;
        let post = |norm: Option<NormSpec>| -> Result<Option<Arc<Norm>>> {
            norm.map(|norm| self.block_norm(layer, norm).map(Arc::new)).transpose()
        };
        Ok(Block {
            attention: self.attention(layer)?,
            output: self.attention_output(layer)?,
            feed_forward: self.feed_forward(layer)?,
            post_norms: [post(spec.attention_post_norm)?, post(spec.feed_forward_post_norm)?],
            parallel: spec.parallel,
            residual_scale: spec.residual_scale,
            router: spec.routing(layer).map(|depths| self.router(layer, depths)).transpose()?,
        })
    }

    fn router(&self, layer: usize, depths: DepthsSpec) -> Result<Router> {
        let mut map =
            self.linear(self.spec.block.router(layer), LinearSpec::new("", true), 1, self.spec.hidden)?;
        map.adaptable = Adaptable::Never;
        Ok(Router { map: self.projection(Prologue::Identity, vec![map]), capacity: depths.capacity })
    }

    fn head(&self, tokens: &Weight) -> Result<Head> {
        let (spec, head) = (self.spec, &self.spec.head);
        let weight = self.head_weight(tokens)?;
        let bias = head.bias.then(|| self.param(head.name, "bias", &[spec.vocab])).transpose()?;
        let linear = Linear {
            name: head.name.to_owned(),
            weight,
            bias,
            transposed: false,
            adaptable: if head.adaptable { Adaptable::Always } else { Adaptable::ByName },
        };
        Ok(Head {
            norm: Some(self.norm(spec.final_norm.name, spec.final_norm, &[spec.hidden])?),
            linear,
            scale: head.scale,
            cap: head.cap,
            unit_rows: head.unit_rows,
            tokens: head.tokens.unwrap_or(spec.vocab),
            bf16: self.tuning.bf16,
        })
    }

    /// The output matrix: the token table if tied, unless one of the two is, or was, trained by itself.
    fn head_weight(&self, tokens: &Weight) -> Result<Weight> {
        let (spec, tuning) = (self.spec, self.tuning);
        let (shape, name) = ([spec.vocab, spec.hidden], format!("{}.weight", spec.head.name));
        if !spec.head.tied {
            return self.weight(spec.head.name, &shape, spec.vocab, false);
        }
        let table = format!("{}.weight", spec.embedding.table);
        let additional = tuning.selection.names(spec.head.name);
        let own = match self.source.untied_head(&name, &table, &shape)? {
            Some(head) => self.load(name, tuning.selection.trains(spec.head.name), |_| Ok(head)),
            None if !tuning.selection.is_all()
                && (additional || tuning.selection.names(spec.embedding.table)) =>
            {
                self.load(name, additional, |_| match tokens {
                    Weight::Dense(table) => Ok(table.tensor.copy()?),
                    Weight::Quantised(table) => table.dequantize(),
                })
            }
            None => return Ok(tokens.clone()),
        };
        own.map(Weight::Dense)
    }
}
