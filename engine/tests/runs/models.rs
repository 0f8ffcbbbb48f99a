//! Models that a run starts from: what is found in their files, and what is wrong with them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use engine::autograd::Param;
use engine::model::Tuning;
use tempfile::TempDir;

use super::{data, recipe, run};

/// A copy of the base model to break.
fn broken(change: impl FnOnce(&Path)) -> String {
    let (model, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for entry in fs::read_dir(data().join("base")).unwrap() {
        let path = entry.unwrap().path();
        fs::write(model.path().join(path.file_name().unwrap()), fs::read(&path).unwrap()).unwrap();
    }
    change(model.path());
    let mut recipe = recipe(output.path(), "finetuning_type: lora\n");
    recipe.model_name_or_path = model.path().display().to_string();
    let error = run(&recipe, None).unwrap_err().to_string();
    assert!(!error.contains('\n'), "more than a sentence: {error}");
    error
}

/// Changes the tensors of a model folder.
fn rewrite(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

/// The base model alone, as GPT-2 and BLOOM were published; with it buffers that are no weights, an output
/// matrix that is tied, and a layer behind the last.
#[test]
fn tensors_without_the_base_models_prefix_are_found_and_others_left() {
    let base = data().join("base");
    let folder = TempDir::new().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::write(folder.path().join(name), fs::read(base.join(name)).unwrap()).unwrap();
    }
    rewrite(folder.path(), |tensors| {
        let table = tensors["model.embed_tokens.weight"].clone();
        let norm = tensors["model.norm.weight"].clone();
        let names: Vec<String> = tensors.keys().cloned().collect();
        for name in names {
            let tensor = tensors.remove(&name).unwrap();
            tensors.insert(name.trim_start_matches("model.").to_owned(), tensor);
        }
        let mask = Tensor::ones((1, 1, 4, 4), DType::F32, &Device::Cpu).unwrap();
        tensors.insert("layers.0.attn.bias".into(), mask);
        tensors.insert("layers.0.self_attn.rotary_emb.inv_freq".into(), norm.clone());
        tensors.insert("layers.4.enorm.weight".into(), norm);
        tensors.entry("lm_head.weight".into()).or_insert(table);
    });
    let [whole, bare] = [&base, folder.path()].map(|folder| {
        let files = engine::weights::open(folder, None).unwrap();
        let decoder = files.build(&Tuning::default()).unwrap();
        let params = decoder.params();
        let value = |param: &Param| param.tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        params.iter().map(|param| (param.name.clone(), value(param))).collect::<Vec<_>>()
    });
    assert_eq!(whole, bare);
}

#[test]
fn a_pickle_named_as_the_model_is_refused() {
    let folder = TempDir::new().unwrap();
    for name in ["model.bin", "model.PTH", "model.safetensors"] {
        let path = folder.path().join(name);
        fs::write(&path, b"\x80\x02}q\x00(X\x04\x00\x00").unwrap();
        let error = engine::weights::open(&path, None).err().unwrap().to_string();
        assert!(error.contains("pickle") && error.contains(name), "{error}");
    }
}

/// ALiBi knows no rotary positions, and Qwen v1 stretches its own.
#[test]
fn positions_that_cannot_be_stretched_are_refused() {
    let folder = TempDir::new().unwrap();
    for (family, more) in [("baichuan", ""), ("qwen", ", \"max_position_embeddings\": 512")] {
        let config = format!(
            "{{\"model_type\": \"{family}\", \"vocab_size\": 64, \"hidden_size\": 16, \"intermediate_size\": 32, \
             \"num_hidden_layers\": 1, \"num_attention_heads\": 2, \"model_max_length\": 512{more}}}"
        );
        fs::write(folder.path().join("config.json"), config).unwrap();
        let mut files = engine::weights::open(folder.path(), Some(1)).unwrap();
        let before = files.config.clone();
        let error = files.stretch_positions(recipe::RopeScaling::Linear, 1000).unwrap_err().to_string();
        assert!(error.starts_with("rope_scaling") && files.config.values == before.values, "{error}");
    }
}

/// Texts beyond the model's context stretch its positions, and the saved model says so.
#[test]
fn stretched_positions_are_written_into_the_configuration() {
    for kind in ["linear", "dynamic", "yarn", "llama3"] {
        let folder = TempDir::new().unwrap();
        let mut recipe = recipe(folder.path(), &format!("finetuning_type: full\nrope_scaling: {kind}\n"));
        (recipe.cutoff_len, recipe.max_steps) = (5000, 1);
        run(&recipe, None).unwrap();
        let text = fs::read_to_string(folder.path().join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["rope_scaling"]["rope_type"], kind);
        assert!(config["max_position_embeddings"].as_u64().unwrap() >= 5000, "{config}");
        engine::weights::open(folder.path(), None).unwrap();
    }
}

#[test]
fn broken_models_are_named() {
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let error = broken(|folder| fs::remove_file(folder.join("config.json")).unwrap());
    assert!(error.contains("config.json"), "{error}");
    let error = broken(|folder| fs::write(folder.join("config.json"), "{\"model_type\": ").unwrap());
    assert!(error.contains("config.json") && error.contains("JSON"), "{error}");
    let error = broken(|folder| edit(folder, "\"model_type\": \"llama\"", "\"model_type\": \"mamba\""));
    assert!(error.contains("mamba") && error.contains("llama"), "{error}");
    let error = broken(|folder| edit(folder, "\"hidden_size\": 64", "\"hidden_size\": 96"));
    assert!(error.contains("model.embed_tokens.weight") && error.contains("[600, 64]"), "{error}");
    let error = broken(|folder| edit(folder, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"));
    assert!(error.contains("model.layers.4.") && error.contains("model.safetensors"), "{error}");
    let error =
        broken(|folder| edit(folder, "\"rope_scaling\": null", "\"rope_scaling\": {\"type\": \"magic\"}"));
    assert!(error.contains("magic") && error.contains("yarn"), "{error}");
    let error = broken(|folder| fs::remove_file(folder.join("model.safetensors")).unwrap());
    assert!(error.contains("model.safetensors"), "{error}");
    let error = broken(|folder| {
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(error.contains("model.safetensors"), "{error}");
    let error = broken(|folder| {
        fs::rename(folder.join("model.safetensors"), folder.join("pytorch_model.bin")).unwrap();
    });
    assert!(error.contains("pickle") && error.contains("safetensors"), "{error}");
    for name in ["pytorch_model-00001-of-00003.bin", "pytorch_model.bin.index.json", "weights.ckpt"] {
        let error = broken(|folder| fs::rename(folder.join("model.safetensors"), folder.join(name)).unwrap());
        assert!(error.contains("pickle") && error.contains(name), "{error}");
    }
    for magic in [b"PK\x03\x04 archive".as_slice(), b"\x80\x02}q\x00(X\x04\x00\x00"] {
        let error = broken(|folder| fs::write(folder.join("model.safetensors"), magic).unwrap());
        assert!(error.contains("pickle"), "{error}");
    }
    let error = broken(|folder| {
        edit(folder, "\"rope_scaling\": null", "\"quantization_config\": {\"quant_method\": \"fp8\"}");
    });
    assert!(error.contains("quantization_config") && error.contains("fp8"), "{error}");
    let error = broken(|folder| {
        rewrite(folder, |tensors| {
            let bias = tensors["model.norm.weight"].clone();
            tensors.insert("model.layers.0.self_attn.q_proj.bias".into(), bias);
        });
    });
    assert!(error.contains("model.layers.0.self_attn.q_proj.bias"), "{error}");
    let error = broken(|folder| {
        rewrite(folder, |tensors| {
            let codes = tensors["model.norm.weight"].to_dtype(DType::U8).unwrap();
            tensors.insert("model.norm.weight".into(), codes);
        });
    });
    assert!(error.contains("model.norm.weight") && error.contains("U8") && error.contains("BF16"), "{error}");
    let error = broken(|folder| fs::write(folder.join("tokenizer.json"), "[]").unwrap());
    assert!(error.contains("tokenizer"), "{error}");
}

#[test]
fn a_broken_gguf_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    for bytes in
        [&b""[..], b"GGUF", b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", b"not a gguf file at all"]
    {
        fs::write(&path, bytes).unwrap();
        let error = engine::weights::open(&path, None).err().unwrap().to_string();
        assert!(error.contains("model.gguf"), "{error}");
    }
}
