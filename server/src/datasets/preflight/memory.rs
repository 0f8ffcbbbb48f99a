//! How much memory a run would take, beside what this machine has free.

use std::path::Path;

use engine::hub::{Hubs, is_model_id, quietly};
use engine::weights::measured;
use recipe::{
    Recipe,
    memory::{Machine, ModelShape, estimate},
    registry,
};
use wire::Memory;

/// None where it is not known: of a model of which neither a configuration is here nor a size in its name, or where it
/// would train on a graphics card.
pub fn of(recipe: &Recipe) -> Option<Memory> {
    if cfg!(feature = "cuda") && !recipe.use_cpu {
        return None;
    }
    let shape = shape(&recipe.model_name_or_path)?;
    let free = engine::memory::available() as u64;
    let threads = engine::limits::threads() as u64;
    let parts = estimate(recipe, &shape, Machine { free, threads });
    Some(Memory { needed: parts.total(), parts, free })
}

/// Of a model's files; of a model on a hub, those in its cache, or what its name says of its size.
fn shape(model: &str) -> Option<ModelShape> {
    let path = Path::new(model);
    match path {
        path if path.is_file() || path.is_dir() => measured(path),
        _ if is_model_id(model) => {
            let cached = Hubs::from_env().in_cache().model(model, None, &mut quietly);
            let cached = cached.ok().and_then(|folder| measured(&folder));
            cached.or_else(|| registry::size_in_name(model).map(ModelShape::typical))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use recipe::FinetuningType;

    use super::*;

    const WICK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/wick");

    #[test]
    fn the_bundled_model_is_measured() {
        let shape = shape(WICK).unwrap();
        // Norms and all: what the file has.
        assert_eq!(Some(shape.parameters), crate::models::parameters(Path::new(WICK)), "{shape:?}");
        // Seven in each block of a llama.
        assert_eq!(shape.linears.len() as u64, 7 * shape.layers);
        assert!(shape.tokenizer > 10_000 && shape.quantised.is_none());
        let recipe = Recipe { model_name_or_path: WICK.to_owned(), use_cpu: true, ..Recipe::default() };
        let memory = of(&recipe).unwrap();
        assert!(memory.needed > 4 * shape.parameters && memory.free > 0, "{memory:?}");
    }

    /// A file of f16, whose weights are held dense, and one whose blocks stay as they are.
    #[test]
    fn gguf_files_are_measured() {
        let golden =
            |file: &str| format!("{}/../engine/tests/goldens/gguf/{file}.gguf", env!("CARGO_MANIFEST_DIR"));
        let plain = shape(&golden("llama-bias/model")).unwrap();
        assert!(plain.quantised.is_none() && plain.layers > 1 && plain.parameters > 0, "{plain:?}");
        let packed = shape(&golden("one-layer/q4_k_m")).unwrap();
        let file = fs::metadata(golden("one-layer/q4_k_m")).unwrap().len();
        assert!(
            packed.quantised.is_some_and(|bytes| bytes <= file && bytes < 2 * packed.parameters),
            "{packed:?}"
        );
        let lora =
            Recipe { model_name_or_path: golden("one-layer/q4_k_m"), use_cpu: true, ..Recipe::default() };
        let full = Recipe { finetuning_type: FinetuningType::Full, ..lora.clone() };
        assert!(4 * of(&lora).unwrap().parts.weights < of(&full).unwrap().parts.weights);
    }

    #[test]
    fn models_that_are_not_here_are_estimated_by_the_size_in_their_name() {
        let estimated = |name: &str| of(&Recipe { model_name_or_path: name.to_owned(), ..Recipe::default() });
        let eight = estimated("nobody/model-8B").unwrap();
        assert!((30..40).contains(&(eight.parts.weights >> 30)), "{eight:?}");
        assert_eq!((estimated("nobody/model"), estimated("no such folder")), (None, None));
    }
}
