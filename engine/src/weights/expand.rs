//! Block expansion (LLaMA Pro, Wu et al. 2024): copies of some blocks behind them, which add nothing at first, since the
//! last map of each of their parts is zero. Trained alone, they teach the model without changing what it knows.

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use serde_json::{Value, json};

use super::remade::check_free;
use super::{ModelFiles, open};
use crate::autograd::Param;
use crate::families::{self, DecoderSpec};
use crate::model::{Decoder, Tuning, WeightSource};
use crate::ops::Linear;
use crate::quant::QuantizedWeight;
use crate::{Error, Result};

/// The weights of a model whose blocks are copied.
struct CopiedSource<'a> {
    base: &'a (dyn WeightSource + Send + Sync),
    /// What the names of blocks begin with, before their numbers.
    blocks: &'a str,
    /// The block that each new one is, or is a copy of.
    origins: &'a [usize],
}

impl CopiedSource<'_> {
    /// The name of a tensor in the model that there is.
    fn old(&self, name: &str) -> String {
        let block = name.strip_prefix(self.blocks).and_then(|rest| rest.split_once('.'));
        let origin =
            block.and_then(|(number, rest)| Some((self.origins.get(number.parse::<usize>().ok()?)?, rest)));
        origin.map_or_else(|| name.to_owned(), |(origin, rest)| format!("{}{origin}.{rest}", self.blocks))
    }
}

impl WeightSource for CopiedSource<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.base.tensor(&self.old(name), shape)
    }

    fn norm_weight(&self, name: &str, shape: &[usize], one_plus: bool) -> Result<Tensor> {
        self.base.norm_weight(&self.old(name), shape, one_plus)
    }

    fn untied_head(&self, head: &str, table: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        self.base.untied_head(head, table, shape)
    }

    fn quantised(&self, name: &str, dims: (usize, usize)) -> Result<Option<Arc<dyn QuantizedWeight>>> {
        self.base.quantised(&self.old(name), dims)
    }

    fn check_read(&self, spec: &DecoderSpec, names: &[String]) -> Result<()> {
        self.base.check_read(spec, names)
    }
}

/// Writes a model with `added` more blocks: one behind each of as many equal stretches of its own, a copy of the last one
/// there. Answers with the number of blocks.
///
/// # Errors
/// If the blocks cannot be divided so, are not alike where they have to be, or files cannot be read or written.
pub fn expand(model: &Path, added: usize, output: &Path) -> Result<usize> {
    let files = open(model, None)?;
    check_free(output)?;
    let (decoder, config) = files.expanded(added)?;
    files.save_remade(&decoder, &config, output)?;
    Ok(decoder.blocks.len())
}

impl ModelFiles {
    /// The model with `added` blocks that add nothing, and its configuration.
    ///
    /// # Errors
    /// As those of [`expand`].
    fn expanded(&self, added: usize) -> Result<(Decoder, serde_json::Map<String, Value>)> {
        let count = self.spec.layers.len();
        if added == 0 || !count.is_multiple_of(added) {
            let fitting: Vec<String> =
                (1..=count).filter(|n| count.is_multiple_of(*n)).map(|n| n.to_string()).collect();
            let message = format!(
                "num_expand is {added}; the model has {count} blocks, to which can be added {}",
                fitting.join(", ")
            );
            return Err(Error::file(&self.path, message));
        }
        if self.spec.block.depths.is_some() {
            let message = "has routers in every second block (`mixture_of_depths`), which more blocks would not be; expand \
                           the model before it is converted";
            return Err(Error::file(&self.path, message));
        }
        if self.is_quantised() {
            return Err(Error::file(&self.path, "is quantised; expand the model in f32, f16 or bf16"));
        }
        let stretch = count / added;
        let ends = |layer: usize| (layer + 1).is_multiple_of(stretch);
        let origins: Vec<usize> =
            (0..count).flat_map(|layer| if ends(layer) { vec![layer; 2] } else { vec![layer] }).collect();
        let mut config = self.config.clone();
        for (key, value) in &mut config.values {
            match value {
                Value::Number(number) if is_count(key) && number.as_u64() == Some(count as u64) => {
                    *value = json!(origins.len());
                }
                // What each block is.
                Value::Array(list) if ["layer_types", "no_rope_layers"].contains(&key.as_str()) => {
                    *value = origins.iter().filter_map(|origin| list.get(*origin).cloned()).collect();
                }
                _ => {}
            }
        }
        let spec = families::read(&config)?;
        let wanted: Vec<_> = origins.iter().map(|origin| self.spec.layers[*origin]).collect();
        if spec.layers != wanted {
            let message = "has blocks that differ by their numbers, so that a copy behind one would not be like it; \
                           such a model cannot be expanded";
            return Err(Error::file(&self.path, message));
        }
        let blocks = spec.block.prefix.split("{}").next().unwrap_or_default();
        let source = CopiedSource { base: self.weights.as_ref(), blocks, origins: &origins };
        let mut decoder =
            Decoder::build(spec.clone(), &source, &Tuning { dequantised: true, ..Tuning::default() })?;
        source.check_read(&decoder.spec, &decoder.names())?;
        for layer in (1..origins.len()).filter(|layer| origins[*layer] == origins[layer - 1]) {
            decoder.silence(layer)?;
        }
        Ok((decoder, config.values))
    }
}

/// Whether a key of `config.json` may be the number of blocks.
fn is_count(key: &str) -> bool {
    ["num_hidden_layers", "n_layer", "num_layers", "n_layers"].contains(&key)
}

impl Decoder {
    /// Makes the last map of each part of a block zero: the block adds nothing.
    fn silence(&mut self, layer: usize) -> Result<()> {
        let block = Arc::make_mut(&mut self.blocks[layer]);
        let last = std::iter::once(&mut block.output).chain(block.feed_forward.last_mut());
        for projection in last {
            for linear in &mut Arc::make_mut(projection).linears {
                zero(linear)?;
            }
        }
        Ok(())
    }
}

fn zero(linear: &mut Linear) -> Result<()> {
    let zeros = |param: &Arc<Param>| -> Result<_> {
        Ok(Arc::new(Param::new(param.name.clone(), param.tensor.zeros_like()?, param.trainable)?))
    };
    if let Some(weight) = linear.weight.param() {
        linear.weight = zeros(weight)?.into();
    }
    linear.bias = linear.bias.as_ref().map(zeros).transpose()?;
    Ok(())
}
