//! Adapters beside a decoder's linear maps, and merged into them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use recipe::module_matches;

use super::decoder::Decoder;
use crate::autograd::{Param, ParamId};
use crate::ops::linear::Adaptable;
use crate::ops::{Linear, Lora, Update, Updates};
use crate::rng::Rng;
use crate::svd::Accuracy;
use crate::tensor::from_vec;
use crate::{Error, Result};

/// A new adapter.
#[derive(Clone, Debug, Default)]
pub struct LoraSettings {
    pub rank: usize,
    /// What multiplies B·A.
    pub scale: f64,
    pub dropout: f64,
    /// Ends of module names; `all` is every linear map but the output matrix.
    pub targets: Vec<String>,
    /// Train a magnitude for each output, too (DoRA).
    pub dora: bool,
    /// Begin with the principal part of the weights (PiSSA), found like this, and leave the rest of them beside it.
    pub principal: Option<Accuracy>,
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

/// Whether a target, a name or `all`, means a linear map.
fn means(target: &str, linear: &Linear) -> bool {
    match linear.adaptable {
        Adaptable::Always => target == "all" || module_matches(&linear.name, target),
        Adaptable::ByName => module_matches(&linear.name, target),
        Adaptable::Never => false,
    }
}

impl LoraSettings {
    /// What is trained whole needs no update.
    fn matches(&self, linear: &Linear) -> bool {
        linear.weight.trained().is_none() && self.targets.iter().any(|target| means(target, linear))
    }
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
                self.take_principal(|linear| settings.matches(linear).then_some(wanted), accuracy)?
            }
            None => HashMap::new(),
        };
        self.attach(
            |linear| {
                if !settings.matches(linear) {
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
                if settings.dora { lora.with_magnitude(linear, None).map(Some) } else { Ok(Some(lora)) }
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
    pub fn attach(
        &mut self,
        mut update: impl FnMut(&Linear) -> Result<Option<Update>>,
        dropout: f32,
    ) -> Result<()> {
        let mut updates = Updates::default();
        for (place, linear) in (1..).zip(self.linears()) {
            if let Some(update) = update(linear)? {
                updates.insert(&linear.name, Lora { dropout, key: place, ..update });
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

    /// Parameters whose gradient is zero for now: each A that is multiplied by a B of zeros.
    pub fn without_effect(&self) -> impl Iterator<Item = ParamId> {
        let still =
            self.adapter.iter().filter(|lora| lora.b.to_f32().is_ok_and(|b| b.iter().all(|x| *x == 0.0)));
        still.map(|lora| lora.a.id)
    }

    /// Takes updates into the weights that `update` has one for, which keep their type; a quantised one is dequantised,
    /// since its type has no room for the sum.
    pub fn merge(&mut self, mut update: impl FnMut(&Linear) -> Result<Option<Update>>) -> Result<()> {
        self.change_linears(|linear| {
            let Some(update) = update(linear)? else { return Ok(()) };
            let mut merged = update.merged(&linear.matrix()?)?;
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
