//! Adapters as PEFT writes and reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::safetensors::load;
use candle_core::{Device, Tensor};
use engine::adapter::{Adapter, save_adapter};
use engine::autograd::Tape;
use engine::families::Config;
use engine::model::{Batch, Decoder, Pass, Selection, Tuning};
use engine::weights;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{assert_near, goldens};

/// Each golden adapter, by folder.
fn adapters() -> Vec<(PathBuf, PathBuf)> {
    let folders = |folder: PathBuf| {
        let mut folders: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|path| path.is_dir());
        folders.sort();
        folders
    };
    let models = folders(goldens().join("adapters")).into_iter();
    let all: Vec<_> = models
        .flat_map(|model| folders(model.clone()).into_iter().map(move |a| (model.clone(), a)))
        .collect();
    assert_eq!(all.len(), 116);
    all
}

/// Logits with an adapter are PEFT's, beside the weights and merged into them.
#[test]
fn adapters_mean_what_peft_takes_them_for() {
    for (model, folder) in adapters() {
        let files = weights::open(&model, None).unwrap();
        let expected = load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let want: Vec<f32> = expected["logits"].flatten_all().unwrap().to_vec1().unwrap();
        let ids = expected["input_ids"].to_vec2::<i64>().unwrap();
        let logits = |decoder: &Decoder| {
            let mut batch = Batch::default();
            for row in &ids {
                batch.push(&row.iter().map(|id| *id as u32).collect::<Vec<_>>(), row);
            }
            let hidden = decoder.hidden(&Tape::off(), &batch, Pass::default()).unwrap().tensor;
            let rows: Vec<u32> = (0..batch.tokens() as u32).collect();
            decoder.logits(&hidden, &rows).unwrap()
        };
        let adapter = [Adapter::open(&folder).unwrap()];
        let name = folder.display().to_string();
        assert_near(&logits(&files.adapted(&Tuning::default(), &adapter).unwrap()), &want, &name);
        assert_near(
            &logits(&files.merged(&Tuning::default(), &adapter).unwrap()),
            &want,
            &format!("{name}, merged"),
        );
    }
}

/// What is written back has the tensors of PEFT's own file that are the adapter's, and says the same of the modules.
#[test]
fn adapters_are_written_as_peft_writes_them() {
    for (model, folder) in adapters() {
        let files = weights::open(&model, None).unwrap();
        let adapter = Adapter::open(&folder).unwrap();
        let config = adapter.config.clone();
        let tuning =
            Tuning { selection: Selection::Modules(config.saved_modules.clone()), ..Tuning::default() };
        let decoder = files.adapted(&tuning, &[adapter]).unwrap();
        let output = TempDir::new().unwrap();
        save_adapter(&decoder, &config, output.path()).unwrap();
        let tensors = |folder: &Path| -> BTreeMap<String, Vec<f32>> {
            let mut tensors = load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
            // PEFT adds the base model's table and head, as they are, where one of them has an update.
            if config.saved_modules.is_empty() {
                tensors.retain(|name, _| name.contains(".lora_") || name.contains(".oft_"));
            }
            let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
            tensors.into_iter().map(|(name, tensor)| (name, values(tensor))).collect()
        };
        assert!(tensors(output.path()) == tensors(&folder), "{}", folder.display());
        let json = |folder: &Path| Config::read(&folder.join("adapter_config.json")).unwrap().values;
        let (ours, theirs) = (json(output.path()), json(&folder));
        let own =
            ["lora_alpha", "use_rslora", "use_dora", "init_lora_weights", "oft_block_size", "init_weights"];
        for key in ["peft_type", "r", "exclude_modules", "layers_to_transform"].iter().chain(&own) {
            assert_eq!(ours.get(*key), theirs.get(*key), "{}: {key}", folder.display());
        }
        for key in ["rank_pattern", "alpha_pattern", "modules_to_save", "target_modules"] {
            let [ours, theirs] = [&ours, &theirs].map(|keys| keys.get(key).map(sorted));
            assert_eq!(ours, theirs, "{}: {key}", folder.display());
        }
    }
}

/// PEFT keeps names in sets.
fn sorted(value: &Value) -> Value {
    let Value::Array(list) = value else { return value.clone() };
    let mut list = list.clone();
    list.sort_by_key(Value::to_string);
    Value::Array(list)
}

/// A folder of an adapter whose configuration has other values.
fn changed(values: Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    let plain = goldens().join("adapters/llama-tied/plain");
    let mut config = Config::read(&plain.join("adapter_config.json")).unwrap().values;
    for (key, value) in values.as_object().unwrap() {
        config.insert(key.clone(), value.clone());
    }
    fs::write(folder.path().join("adapter_config.json"), Value::from(config).to_string()).unwrap();
    fs::copy(plain.join("adapter_model.safetensors"), folder.path().join("adapter_model.safetensors"))
        .unwrap();
    folder
}

/// What would compute something else is refused by its name; what would not is read.
#[test]
fn keys_that_change_the_arithmetic_are_refused_by_name() {
    for (key, value) in [
        ("init_lora_weights", json!("pissa_niter_many")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("alora_invocation_tokens", json!([1, 2])),
        ("layer_replication", json!([[0, 1], [0, 2]])),
        ("lora_bias", json!(true)),
        ("trainable_token_indices", json!([3])),
        ("trainable_token_indices", json!({"embed_tokens": [3]})),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("use_qalora", json!(true)),
        ("arrow_config", json!({"top_k": 3})),
        ("bias", json!("some")),
        ("peft_type", json!("IA3")),
        ("target_modules", json!("q_proj[")),
    ] {
        let folder = changed(json!({key: value}));
        let error = Adapter::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains(&format!("adapter_config.json: `{key}`")), "{key}: {error}");
    }
    for value in [
        json!({"init_lora_weights": false}),
        json!({"init_lora_weights": "gaussian"}),
        json!({"init_lora_weights": "eva", "eva_config": {"rho": 2.0}}),
        json!({"fan_in_fan_out": true}),
        json!({"ensure_weight_tying": true}),
        json!({"trainable_token_indices": null, "layer_replication": [], "lora_bias": false}),
    ] {
        assert!(Adapter::open(changed(value.clone()).path()).is_ok(), "{value}");
    }
}

/// Tensors of modules that the configuration does not mean would be passed over by PEFT.
#[test]
fn tensors_without_a_module_are_refused() {
    let files = weights::open(&goldens().join("adapters/llama-tied"), None).unwrap();
    for values in [
        json!({"exclude_modules": ["q_proj"]}),
        json!({"layers_to_transform": 0}),
        json!({"target_modules": ["down_proj"]}),
        json!({"target_modules": ".*down_proj"}),
    ] {
        let folder = changed(values.clone());
        let adapter = [Adapter::open(folder.path()).unwrap()];
        let error = files.adapted(&Tuning::default(), &adapter).err().unwrap().to_string();
        assert!(error.contains("that adapter_config.json leaves out"), "{values}: {error}");
    }
    let folder = changed(json!({"target_modules": ["q_proj", "down_proj", "embed_tokens"]}));
    let path = folder.path().join("adapter_model.safetensors");
    let mut tensors = load(&path, &Device::Cpu).unwrap();
    let a = Tensor::zeros((2, 48), candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("base_model.model.model.embed_tokens.lora_embedding_A".to_owned(), a);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let adapter = [Adapter::open(folder.path()).unwrap()];
    let error = files.adapted(&Tuning::default(), &adapter).err().unwrap().to_string();
    assert!(error.ends_with("low-rank matrices on embeddings are not supported"), "{error}");
}
