//! How much memory a run would take, beside what this machine has free.

use std::path::Path;

use engine::families::{self, Config};
use recipe::{
    Recipe,
    memory::{ModelShape, estimate},
};
use wire::Memory;

use crate::models::{self, Tensor};

/// None where it is not known: a model that is not in a folder here, or is quantised, or would train on a
/// graphics card.
pub fn of(recipe: &Recipe) -> Option<Memory> {
    if cfg!(feature = "cuda") && !recipe.use_cpu {
        return None;
    }
    let shape = shape(Path::new(&recipe.model_name_or_path))?;
    let free = engine::memory::available() as u64;
    let parts = estimate(recipe, &shape, free);
    Some(Memory { needed: parts.total(), parts, free })
}

fn shape(folder: &Path) -> Option<ModelShape> {
    let config = Config::read(&folder.join("config.json")).ok()?;
    if config.get("quantization_config").is_some() {
        return None;
    }
    let spec = families::read(&config).ok()?;
    let tensors = models::tensors(folder)?;
    let table = spec.embedding.table;
    let trains_experts = spec.experts.as_ref().is_some_and(|experts| experts.adaptable_experts);
    let is_adapted = |name: &str| {
        !name.starts_with(spec.head.name)
            && !name.starts_with(table)
            && (trains_experts || !name.contains(".experts."))
    };
    let linear = |Tensor { name, shape }: &Tensor| {
        let module = name.strip_suffix(".weight").filter(|name| is_adapted(name))?;
        let last = module.rsplit('.').next().unwrap_or(module);
        match shape[..] {
            [outputs, inputs] => Some((last.to_owned(), inputs, outputs)),
            _ => None,
        }
    };
    Some(ModelShape {
        vocab: spec.vocab as u64,
        hidden: spec.hidden as u64,
        layers: spec.layers.len() as u64,
        parameters: models::count(&tensors)?,
        activation_floats: spec.activation_floats() as u64,
        linears: tensors.iter().filter_map(linear).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_model_is_measured() {
        let wick = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/wick");
        let shape = shape(&wick).unwrap();
        assert!(shape.parameters > 1_000_000 && shape.layers > 1, "{shape:?}");
        // Seven in each block of a llama.
        assert_eq!(shape.linears.len() as u64, 7 * shape.layers);
        let recipe =
            Recipe { model_name_or_path: wick.display().to_string(), use_cpu: true, ..Recipe::default() };
        let memory = of(&recipe).unwrap();
        assert!(memory.needed > 4 * shape.parameters && memory.free > 0, "{memory:?}");
        assert_eq!(of(&Recipe { model_name_or_path: "owner/name".to_owned(), ..recipe }), None);
    }
}
