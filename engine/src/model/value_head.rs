//! A value head: one number for each token of its hidden state, as TRL's `v_head.summary` (reward models).

use std::path::Path;
use std::sync::Arc;

use super::assemble::WeightSource;
use super::decoder::Decoder;
use crate::Result;
use crate::autograd::{Param, Tape, Var};
use crate::ops::linear::Adaptable;
use crate::ops::{Linear, Mode, Projection, Prologue};
use crate::rng::Rng;
use crate::tensor::from_vec;
use crate::weights::{FolderSource, save_tensors};

/// Its file in a folder of weights.
pub const VALUE_HEAD: &str = "value_head.safetensors";

const MODULE: &str = "v_head.summary";

/// value = w · norm(hidden state) + b, where the norm is the model's last one.
#[derive(Clone, Debug)]
pub struct ValueHead {
    projection: Arc<Projection>,
}

impl ValueHead {
    /// A fresh one, drawn as torch draws a linear map: uniform within ± 1/√hidden.
    ///
    /// # Errors
    /// If its tensors cannot be made.
    pub fn new(decoder: &Decoder, seed: u64) -> Result<ValueHead> {
        let hidden = decoder.spec.hidden;
        let bound = 1.0 / (hidden as f32).sqrt();
        let mut rng = Rng::new(seed);
        let mut draw = |count| (0..count).map(|_| (rng.uniform() as f32 * 2.0 - 1.0) * bound).collect();
        let (weight, bias) = (draw(hidden), draw(1));
        ValueHead::of(decoder, [from_vec(weight, (1, hidden))?, from_vec(bias, 1)?])
    }

    /// The one in a folder.
    ///
    /// # Errors
    /// If the file cannot be read, or is of a model of another size.
    pub fn read(decoder: &Decoder, folder: &Path) -> Result<ValueHead> {
        let file = FolderSource::file(&folder.join(VALUE_HEAD))?;
        let tensor = |part: &str, shape: &[usize]| file.tensor(&format!("{MODULE}.{part}"), shape);
        ValueHead::of(decoder, [tensor("weight", &[1, decoder.spec.hidden])?, tensor("bias", &[1])?])
    }

    fn of(decoder: &Decoder, [weight, bias]: [candle_core::Tensor; 2]) -> Result<ValueHead> {
        let param = |tensor: candle_core::Tensor, part: &str| -> Result<_> {
            let tensor = tensor.to_device(decoder.device())?;
            Ok(Arc::new(Param::new(format!("{MODULE}.{part}"), tensor, true)?))
        };
        let linear = Linear {
            name: MODULE.to_owned(),
            weight: param(weight, "weight")?.into(),
            bias: Some(param(bias, "bias")?),
            transposed: false,
            adaptable: Adaptable::Never,
        };
        let prologue = decoder.head.norm.clone().map_or(Prologue::Identity, Prologue::Norm);
        Ok(ValueHead { projection: Arc::new(Projection { prologue, linears: vec![linear], bf16: false }) })
    }

    /// Values [tokens, 1] of hidden states [tokens, hidden] before the final norm.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn values(&self, tape: &Tape, hidden: Var) -> Result<Var> {
        self.projection.forward(tape, hidden, None, &Mode::default())
    }

    /// What is added to every value.
    pub fn bias(&self) -> Option<&Arc<Param>> {
        self.projection.linears.first()?.bias.as_ref()
    }

    /// The parameters of its map.
    pub fn params(&self) -> impl Iterator<Item = &Arc<Param>> {
        self.projection.linears.iter().flat_map(|linear| linear.params())
    }

    /// Writes it beside a model or an adapter.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let tensors: Vec<_> = self.params().map(|param| (param.name.clone(), param.tensor.clone())).collect();
        save_tensors(&tensors, &folder.join(VALUE_HEAD))
    }
}
