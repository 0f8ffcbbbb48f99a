//! Models with more blocks.

use std::path::Path;

use candle_core::safetensors::load;
use candle_core::{Device, Tensor};
use engine::model::Tuning;
use engine::weights::{self, ModelFiles};
use recipe::FinetuningType;
use tempfile::TempDir;

use super::{FAMILIES, assert_near, logits, recipe, run, write_model};

/// A model with more blocks says what it said, on every family, and the new blocks alone train.
#[test]
fn expanded_models_say_the_same_until_their_new_blocks_are_trained() {
    for (case, _) in FAMILIES {
        let [model, output, trained] = [(); 3].map(|()| TempDir::new().unwrap());
        let files = write_model(case, false, model.path());
        let count = files.spec.layers.len();
        let larger = output.path().join("larger");
        // Its blocks take turns with windows.
        if case == "gemma2" {
            let error = weights::expand(model.path(), 1, &larger).unwrap_err().to_string();
            assert!(error.contains("blocks that differ by their numbers"), "{error}");
            continue;
        }
        assert_eq!(weights::expand(model.path(), 1, &larger).unwrap(), count + 1, "{case}");
        let expanded = weights::open(&larger, None).unwrap();
        let said = |files: &ModelFiles| logits(&files.build(&Tuning::default()).unwrap());
        assert_near(&said(&expanded), &said(&files), case);

        let freeze = recipe(&larger, trained.path(), |recipe| {
            recipe.finetuning_type = FinetuningType::Freeze;
            recipe.use_llama_pro = true;
            recipe.freeze_trainable_layers = 1;
        });
        run(&freeze, 9);
        let read = |folder: &Path| load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
        let (before, after) = (read(&larger), read(trained.path()));
        let block = files.spec.block.name(count, "");
        for (name, tensor) in &before {
            let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let is_same = values(tensor) == values(&after[name]);
            assert_eq!(is_same, !name.starts_with(&block), "{case}: {name}");
        }
        let error = weights::expand(model.path(), 5, &output.path().join("other")).unwrap_err().to_string();
        assert!(error.contains("num_expand is 5"), "{error}");
    }
}
