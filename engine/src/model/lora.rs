//! Adapters beside a decoder's linear maps, and merged into them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use recipe::module_matches;

use super::decoder::Decoder;
use crate::autograd::{Param, ParamId};
use crate::ops::linear::Adaptable;
use crate::ops::{Blocks, Linear, Lora, Oft, Update, Updates};
use crate::rng::Rng;
use crate::svd::Accuracy;
use crate::tensor::{from_vec, view};
use crate::{Error, Result};

/// A new adapter.
#[derive(Clone, Debug, Default)]
pub struct LoraSettings {
    /// Inner size of the update.
    pub rank: usize,
    /// What multiplies B·A.
    pub scale: f64,
    /// Probability with which an input of A is dropped while training.
    pub dropout: f64,
    /// Ends of module names; `all` is every linear map but the output matrix.
    pub targets: Vec<String>,
    /// Train a magnitude for each output, too (DoRA).
    pub dora: bool,
    /// Begin with the principal part of the weights (PiSSA), found like this, and leave the rest of them beside it.
    pub principal: Option<Accuracy>,
}

/// A new adapter of rotations.
#[derive(Clone, Debug)]
pub struct OftSettings {
    /// How the input of each map is divided.
    pub blocks: Blocks,
    /// Share of the blocks that a training pass leaves as they are.
    pub dropout: f64,
    /// As those of [`LoraSettings`].
    pub targets: Vec<String>,
}

/// Last parts of the names of the linear maps that `lora_target: all` stands for.
pub fn linear_names(decoder: &Decoder) -> BTreeSet<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let linears = decoder.linears().filter(|linear| linear.adaptable == Adaptable::Always);
    linears.map(|linear| last(&linear.name)).collect()
}

/// The linear maps that an argument `key` names.
///
/// # Errors
/// If no module matches a target; the message lists the names there are.
pub fn linears_named<'a>(
    decoder: &'a Decoder,
    targets: &[String],
    key: &'static str,
) -> Result<Vec<&'a Linear>> {
    decoder.check_targets(key, targets)?;
    let is_meant = |linear: &&Linear| targets.iter().any(|target| means(target, linear));
    Ok(decoder.linears().filter(is_meant).collect())
}

/// The linear maps that an optimiser's argument `key` names: as in LLaMA-Factory any part of a name does, `mlp` or
/// `self_attn.q`, and `all` but the output matrix.
///
/// # Errors
/// If a part is in no name; the message lists the names there are.
pub fn linears_with<'a>(
    decoder: &'a Decoder,
    parts: &[String],
    key: &'static str,
) -> Result<Vec<&'a Linear>> {
    let is_within = |part: &str, linear: &Linear| {
        means(part, linear) || (linear.adaptable != Adaptable::Never && linear.name.contains(part))
    };
    let is_unknown = |part: &&String| !decoder.linears().any(|linear| is_within(part, linear));
    let unknown: Vec<String> = parts.iter().filter(is_unknown).cloned().collect();
    if !unknown.is_empty() || parts.is_empty() {
        decoder.check_targets(key, &unknown)?;
    }
    let is_meant = |linear: &&Linear| parts.iter().any(|part| is_within(part, linear));
    Ok(decoder.linears().filter(is_meant).collect())
}

/// Whether a target, a name or `all`, means a linear map.
fn means(target: &str, linear: &Linear) -> bool {
    match linear.adaptable {
        Adaptable::Always => target == "all" || module_matches(&linear.name, target),
        Adaptable::ByName => module_matches(&linear.name, target),
        Adaptable::Never => false,
    }
}

/// Whether a linear map gets an update: what is trained whole needs none.
fn is_target(targets: &[String], linear: &Linear) -> bool {
    linear.weight.trained().is_none() && targets.iter().any(|target| means(target, linear))
}

impl Decoder {
    /// Adds a fresh adapter: A uniform as PEFT draws it, B zero, or the principal part of weights, so that the model is
    /// unchanged at first.
    ///
    /// # Errors
    /// If no module matches a target; the message lists the names there are.
    pub fn add_lora(&mut self, settings: &LoraSettings, seed: u64) -> Result<()> {
        self.check_targets("lora_target", &settings.targets)?;
        let mut rng = Rng::new(seed);
        let mut parts = match settings.principal {
            Some(accuracy) => {
                let wanted = (settings.rank, settings.scale as f32);
                self.take_principal(
                    |linear| is_target(&settings.targets, linear).then_some(wanted),
                    accuracy,
                )?
            }
            None => HashMap::new(),
        };
        self.attach(
            |linear| {
                if !is_target(&settings.targets, linear) {
                    return Ok(None);
                }
                let (out, dim) = (linear.out_dim(), linear.in_dim());
                // Kaiming-uniform with a = √5: bounds ± 1/√in.
                let bound = 1.0 / (dim as f32).sqrt();
                let a =
                    (0..settings.rank * dim).map(|_| (rng.uniform() as f32 * 2.0 - 1.0) * bound).collect();
                let b = vec![0.0; out * settings.rank];
                let (a, b) = (from_vec(a, (settings.rank, dim))?, from_vec(b, (out, settings.rank))?);
                let fresh = || Lora::new(linear, a, b, settings.scale as f32);
                let lora = parts.remove(&linear.name).map_or_else(fresh, Ok)?;
                let lora = if settings.dora { lora.with_magnitude(linear, None)? } else { lora };
                Ok(Some(lora.into()))
            },
            settings.dropout as f32,
        )
    }

    /// Adds fresh rotations, which leave everything where it is.
    ///
    /// # Errors
    /// If no module matches a target; the message lists the names there are.
    pub fn add_oft(&mut self, settings: &OftSettings) -> Result<()> {
        self.check_targets("oft_target", &settings.targets)?;
        self.attach(
            |linear| {
                if !is_target(&settings.targets, linear) {
                    return Ok(None);
                }
                let block = settings.blocks.columns(linear.in_dim());
                let shape = (linear.in_dim() / block, block * (block - 1) / 2);
                Ok(Some(Oft::new(linear, Tensor::zeros(shape, DType::F32, &Device::Cpu)?, block)?.into()))
            },
            settings.dropout as f32,
        )
    }

    /// Checks that every target means a linear map.
    fn check_targets(&self, key: &'static str, targets: &[String]) -> Result<()> {
        let meant = |target: &str| self.linears().any(|linear| means(target, linear));
        if let Some(unknown) = targets.iter().find(|target| !meant(target)) {
            let last = |linear: &Linear| linear.name.rsplit('.').next().unwrap_or_default().to_owned();
            let there = self.linears().filter(|linear| linear.adaptable != Adaptable::Never).map(last);
            let there: Vec<String> = there.collect::<BTreeSet<_>>().into_iter().collect();
            let found = if unknown == "all" {
                "`all` stands for none of this model's maps, which are stored transposed; name them"
                    .to_owned()
            } else {
                format!("no linear layer is called `{unknown}`")
            };
            let names = there.iter().map(String::as_str).chain(["all"]);
            let meant = recipe::closest(unknown, names).filter(|meant| meant != unknown);
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            let message = format!("{found}; there are {}{meant}", there.join(", "));
            return Err(Error::recipe(key, message));
        }
        Ok(())
    }

    /// Puts an adapter beside the weights in place of the one there: for each linear map what `update` has.
    ///
    /// # Errors
    /// If `update` fails.
    pub fn attach(
        &mut self,
        mut update: impl FnMut(&Linear) -> Result<Option<Update>>,
        dropout: f32,
    ) -> Result<()> {
        let mut updates = Updates::default();
        for (place, linear) in (1..).zip(self.linears()) {
            if let Some(update) = update(linear)? {
                updates.insert(&linear.name, update.dropping(dropout, place));
            }
        }
        self.adapter = Arc::new(updates);
        Ok(())
    }

    fn change_linears(&mut self, mut change: impl FnMut(&mut Linear) -> Result<()>) -> Result<()> {
        for block in &mut self.blocks {
            for projection in Arc::make_mut(block).projections_mut() {
                for linear in &mut Arc::make_mut(projection).linears {
                    change(linear)?;
                }
            }
        }
        change(&mut self.head.linear)
    }

    /// Every linear map: those of the blocks, and the output matrix.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        let projections = self.blocks.iter().flat_map(|block| block.projections());
        projections.flat_map(|projection| projection.linears.iter()).chain([&self.head.linear])
    }

    /// Linear maps with their updates, of those that have one.
    pub fn updates(&self) -> impl Iterator<Item = (&Linear, &Update)> {
        self.linears().filter_map(|linear| Some((linear, self.adapter.get(&linear.name)?)))
    }

    /// Parameters whose gradient is zero for now: each A that is multiplied by a B of zeros, and what is in front of a
    /// block's last map while that is zero, as block expansion leaves it.
    pub fn without_effect(&self) -> impl Iterator<Item = ParamId> {
        let low_rank = self.adapter.iter().filter_map(Update::low_rank);
        let still = low_rank.filter(|lora| is_zero(&lora.b)).map(|lora| lora.a.id);
        still.chain(self.blocks.iter().flat_map(|block| block.without_effect()))
    }

    /// Takes updates into the weights that `update` has one for, which keep their type; a quantised one is dequantised,
    /// since its type has no room for the sum.
    ///
    /// # Errors
    /// If `update` fails, or an operation does.
    pub fn merge(&mut self, mut update: impl FnMut(&Linear) -> Result<Option<Update>>) -> Result<()> {
        self.replace_weights(|linear| {
            update(linear)?.map(|update| update.merged(&linear.matrix()?)).transpose()
        })
    }

    /// Puts the matrix [out, in] that `new` has for a map in the place of its weight, in the weight's type.
    pub(super) fn replace_weights(
        &mut self,
        mut new: impl FnMut(&Linear) -> Result<Option<Tensor>>,
    ) -> Result<()> {
        self.change_linears(|linear| {
            let Some(mut merged) = new(linear)? else { return Ok(()) };
            if let Some(old) = linear.weight.param() {
                if linear.transposed {
                    merged = merged.t()?;
                }
                merged = merged.reshape(old.tensor.shape())?.to_dtype(old.tensor.dtype())?;
            }
            // What was tied to another module's weight is one of its own now.
            let name = format!("{}.weight", linear.name);
            let trainable = linear.weight.trained().is_some();
            linear.weight = Arc::new(Param::new(name, merged, trainable)?).into();
            Ok(())
        })
    }
}

/// Whether every entry is zero.
pub(super) fn is_zero(param: &Param) -> bool {
    let zeros = |values: &[f32]| values.iter().all(|x| *x == 0.0);
    // On the CPU nothing is copied for it: most weights have another number at their beginning.
    let seen = view(&param.tensor).and_then(|view| view.f32().map(zeros));
    seen.unwrap_or_else(|_| param.to_f32().is_ok_and(|values| zeros(&values)))
}
